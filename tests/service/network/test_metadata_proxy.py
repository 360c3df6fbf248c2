"""What a guest may ask of the metadata address, over a socket; the service behind it is a list of what came through."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import uuid
from collections.abc import AsyncIterator

import httpx
import pytest

from kilonova.network.agent.metadata import proxy as metadata_proxy
from kilonova.network.agent.metadata.proxy import MetadataProxy, MetadataUpstream
from tests.eventually import PATIENCE, until

NETWORK = str(uuid.uuid4())


class Proxied:
    def __init__(self, port: int, seen: list[str]) -> None:
        self.port, self.seen = port, seen

    async def status(self, words: str) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(words.encode("latin-1"))
        head = await asyncio.wait_for(reader.readline(), PATIENCE)
        writer.close()
        return int(head.split()[1])


@contextlib.asynccontextmanager
async def proxied(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Proxied]:
    seen: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))

    async def inside(*_: object) -> socket.socket:
        return listener

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(f"{request.method} {request.url.raw_path.decode()}")
        return httpx.Response(200, text="found")

    monkeypatch.setattr(metadata_proxy.netns, "inside", inside)
    client = httpx.AsyncClient(transport=httpx.MockTransport(handle))
    upstream = MetadataUpstream(client=client, base_url="http://cloud.test/metadata", secret="s")
    proxy = MetadataProxy(upstream, lambda place, own, source: ("server", "project"))
    await proxy.ensure(NETWORK, "namespace", ("127.0.0.1", 80))
    try:
        yield Proxied(listener.getsockname()[1], seen)
    finally:
        proxy.close()
        await client.aclose()


@pytest.mark.parametrize(
    "target",
    ["/", "/?x=1", "/latest", "/latest/", "/latest/meta-data/public-keys/0/openssh-key", "/1.0/meta-data/",
     "/2009-04-04/user-data", "/openstack/latest/meta_data.json", "/openstack/content/0000", "/ec2/latest?a=../b"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_metadata_passes(monkeypatch: pytest.MonkeyPatch, method: str, target: str) -> None:
    async with proxied(monkeypatch) as guest:
        assert await guest.status(f"{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n") == 200
        assert guest.seen == [f"{method} /metadata{target}"]


DISGUISES = [
    "/../identity/v3", "/latest/../../identity/v3", "/./identity", "/latest/..", "/latest/.", "/..", "/%2e%2e/identity/v3",
    "/%2E./identity", "/.%2e/identity", "/..%2fidentity", "/latest/%2e%2e/%2e%2e/identity", "/%252e%252e/identity",
    "/..\\identity", "/\\..\\identity", "//identity/v3", "//../identity", "/latest//../../identity", "/latest//meta-data",
    "http://cloud.test/identity/v3", "http://169.254.169.254/../identity", "//cloud.test/identity", "/..;/identity", "*",
    "/latest/%00", "/latest/\xff",
]  # fmt: skip


@pytest.mark.parametrize("target", DISGUISES)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_nothing_else_is_reached(monkeypatch: pytest.MonkeyPatch, method: str, target: str) -> None:
    async with proxied(monkeypatch) as guest:
        assert await guest.status(f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n") == 400
        assert guest.seen == []


@pytest.mark.parametrize(("method", "target", "status"), [
    ("POST", "/latest/meta-data", 405), ("POST", "/openstack/latest/password/x", 405), ("PUT", "/openstack/latest/password", 405),
    ("PUT", "/latest/api/token", 405), ("DELETE", "/", 405), ("OPTIONS", "/", 405),
    ("GET", "/identity/v3", 404), ("GET", "/metadata/latest", 404), ("GET", "/latestish", 404), ("GET", "/healthcheck", 404),
])  # fmt: skip
async def test_what_is_no_metadata(monkeypatch: pytest.MonkeyPatch, method: str, target: str, status: int) -> None:
    async with proxied(monkeypatch) as guest:
        assert await guest.status(f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n") == status
        assert guest.seen == []


async def test_half_open_connections_of_one_guest_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets no more than its share, and the share again when their time is over."""
    monkeypatch.setattr("kilonova.network.agent.metadata.http1.REQUEST_SECONDS", 1.0)
    async with proxied(monkeypatch) as guest:
        half = [await asyncio.open_connection("127.0.0.1", guest.port) for _ in range(metadata_proxy.CALLS_PER_GUEST)]
        for _, writer in half:
            writer.write(b"GET / HTTP/1.1\r\n")
        await until(lambda: guest.status("GET / HTTP/1.1\r\n\r\n"), satisfies=lambda found: found != 200)
        await until(lambda: guest.status("GET / HTTP/1.1\r\n\r\n"), satisfies=lambda found: found != 503)
        for reader, writer in half:
            assert (await reader.readline()).split()[1] == b"408"
            writer.close()

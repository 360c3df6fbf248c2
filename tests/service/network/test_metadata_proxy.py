"""What a guest may ask of the metadata address, over a socket; the service behind it is a list of what came through."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from kilonova.core import errors
from kilonova.core.grants import HEADER
from kilonova.network.agent.dataplane import MetadataCaller
from kilonova.network.agent.metadata import proxy as metadata_proxy
from kilonova.network.agent.metadata.part import NamespaceMetadata
from kilonova.network.agent.metadata.proxy import FindCaller, MetadataProxy, MetadataUpstream
from kilonova.network.agent.model import FixedIP, HostModel, NetworkModel, PortModel, RouterModel, RouterPortModel
from tests.eventually import PATIENCE, until

NETWORK = str(uuid.uuid4())


async def _anyone(place: str, own: str, source: str) -> MetadataCaller:
    return MetadataCaller(device_id="server", project_id="project")


class Proxied:
    def __init__(self, port: int, seen: list[str], grants: list[str]) -> None:
        self.port, self.seen, self.grants = port, seen, grants

    async def status(self, words: str) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(words.encode("latin-1"))
        head = await asyncio.wait_for(reader.readline(), PATIENCE)
        writer.close()
        return int(head.split()[1])


@contextlib.asynccontextmanager
async def proxied(monkeypatch: pytest.MonkeyPatch, find: FindCaller = _anyone) -> AsyncIterator[Proxied]:
    seen, grants = list[str](), list[str]()
    listener = socket.create_server(("127.0.0.1", 0))

    async def inside(*_: object) -> socket.socket:
        return listener

    def handle(request: httpx.Request) -> httpx.Response:
        grants.extend(request.headers.get_list(HEADER))
        seen.append(f"{request.method} {request.url.raw_path.decode()}")
        return httpx.Response(200, text="found")

    monkeypatch.setattr(metadata_proxy.netns, "inside", inside)
    client = httpx.AsyncClient(transport=httpx.MockTransport(handle))
    upstream = MetadataUpstream(client=client, base_url="http://cloud.test/metadata", secret="s")

    proxy = MetadataProxy(upstream, find)
    await proxy.ensure(NETWORK, "namespace", ("127.0.0.1", 80))
    try:
        yield Proxied(listener.getsockname()[1], seen, grants)
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
    ("PUT", "/latest/api/token/", 405), ("PUT", "/latest/api/token?x", 405), ("POST", "/latest/api/token", 405),
    ("DELETE", "/", 405), ("OPTIONS", "/", 405),
    ("GET", "/identity/v3", 404), ("GET", "/metadata/latest", 404), ("GET", "/latestish", 404), ("GET", "/healthcheck", 404),
])  # fmt: skip
async def test_what_is_no_metadata(monkeypatch: pytest.MonkeyPatch, method: str, target: str, status: int) -> None:
    async with proxied(monkeypatch) as guest:
        assert await guest.status(f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n") == status
        assert guest.seen == []


async def test_a_token_is_for_the_one_that_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    async with proxied(monkeypatch) as guest:
        words = "PUT /latest/api/token HTTP/1.1\r\nHost: x\r\n{}Content-Length: 0\r\n\r\n"
        assert await guest.status(words.format("X-Forwarded-For: 10.0.0.9\r\n")) == 403
        assert guest.seen == []
        assert await guest.status(words.format("")) == 200
        assert guest.seen == ["PUT /metadata/latest/api/token"]


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


ROUTER, ADDRESS, GUEST = str(uuid.uuid4()), "10.0.0.1", "10.0.0.9"


async def test_a_router_asks_for_guests_of_other_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the network of the interface that was asked; for a guest that is here nothing is asked."""
    part = NamespaceMetadata(MetadataUpstream(client=httpx.AsyncClient(), base_url="http://cloud.test", secret="s"))
    here = PortModel(
        id=str(uuid.uuid4()), network_id=NETWORK, project_id="p", mac_address="fa:16:3e:00:00:01", device_id="here",
        fixed_ips=(FixedIP(subnet_id="s", ip_address="10.0.0.5"),),
    )  # fmt: skip
    there = replace(here, device_id="stale", local=False, fixed_ips=(FixedIP(subnet_id="s", ip_address=GUEST),))
    part.know(HostModel(networks=(NetworkModel(id=NETWORK, project_id="p", ports=(here, there)),)))
    end = RouterPortModel(port_id="x", network_id=NETWORK, mac_address="", addresses=(f"{ADDRESS}/24", "fd00::1/64"))
    ensured: list[str] = []

    async def ensure(place: str, *_: object) -> None:
        ensured.append(place)

    monkeypatch.setattr(part._proxy, "ensure", ensure)
    await part.ensure_router(RouterModel(id=ROUTER, project_id="p", interfaces=(end,)))
    asked: list[tuple[str, str]] = []

    async def elsewhere(network_id: str, source: str) -> MetadataCaller | None:
        asked.append((network_id, source))
        return MetadataCaller(device_id="there", project_id="p", grant="g") if source == GUEST else None

    assert await part._find(ROUTER, ADDRESS, GUEST) is None  # who would be asked is not known yet
    part.find_callers(elsewhere)
    found = [await part._find(ROUTER, ADDRESS, source) for source in ("10.0.0.5", GUEST, "10.0.0.77")]
    assert [one.device_id if one else None for one in found] == ["here", "there", None]
    assert asked == [(NETWORK, GUEST), (NETWORK, "10.0.0.77")]
    # a network's own listener answers guests of this host alone, and a router only on its own addresses
    assert await part._find(NETWORK, "169.254.169.254", GUEST) is None
    assert await part._find(ROUTER, "10.7.7.7", GUEST) is None
    assert (len(asked), ensured) == (2, [ROUTER])


@pytest.mark.parametrize(
    ("found", "status"), [(None, 404), (errors.ServiceUnavailable(reason="down"), 503), ("grant", 200)]
)
async def test_what_a_guest_of_another_host_is_answered(
    monkeypatch: pytest.MonkeyPatch, found: Any, status: int
) -> None:
    async def find(place: str, own: str, source: str) -> MetadataCaller | None:
        if isinstance(found, Exception):
            raise found
        return MetadataCaller(device_id="server", project_id="project", grant=found) if found else None

    async with proxied(monkeypatch, find) as guest:
        assert await guest.status("GET / HTTP/1.1\r\nHost: x\r\nX-Kilonova-Grant: forged\r\n\r\n") == status
        assert guest.grants == (["grant"] if status == 200 else [])

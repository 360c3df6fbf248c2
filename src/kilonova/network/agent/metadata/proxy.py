"""The metadata address of a network: a socket opened inside its namespace, or a router's, answered on the agent's event loop.

The guest that asks is found by the network and the source address, which anti-spoofing has checked. What a request claims
about its guest is never passed on: only the headers in `PASSED` are."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import socket
from collections import Counter
from collections.abc import Awaitable, Callable

import httpx

from kilonova.core import log
from kilonova.core.grants import HEADER
from kilonova.network.agent.dataplane import DataPlaneError, MetadataCaller
from kilonova.network.agent.metadata.http1 import BadRequest, Request, answer, fault, read_request
from kilonova.network.agent.metadata_signature import (
    FORWARDED_FOR,
    HOST,
    INSTANCE_ID,
    SIGNATURE,
    TENANT_ID,
    host_of,
    sign_instance,
)
from kilonova.network.agent.system import netns

PASSED = {"accept", "content-type", "user-agent", "x-aws-ec2-metadata-token", "x-aws-ec2-metadata-token-ttl-seconds"}
RETURNED = {"content-type", "etag", "last-modified", "location", "retry-after"}
METHODS = ("GET", "HEAD")
LEFT = re.compile(r"^/openstack/[^/?]+/password\Z")
"""The one path at which guests leave something (POST)."""
TOKEN = re.compile(r"^/latest/api/token\Z")
"""The one at which they get a token (PUT), with which a program that merely passes on requests can't ask."""
HOP_LIMIT = "x-aws-ec2-metadata-hop-limit"
"""How many hops the answer with a token may go."""
NAME = r"[\w=:@,~-][\w.=:@,~-]*"
TARGET = re.compile(rf"^/({NAME}(/{NAME})*/?)?(\?[\x21-\x7e]*)?\Z", re.ASCII)
"""A path of plain names, with a query or without: no dot segments in any spelling, no empty ones, no other host's."""
TREES = re.compile(r"^/(openstack|ec2|latest|\d+\.\d+|\d{4}-\d\d-\d\d)?([/?]|\Z)", re.ASCII)
"""What the metadata service has; only this leaves the guest's network."""
CALLS_PER_GUEST, CALLS_PER_PLACE = 16, 128

FindCaller = Callable[[str, str, str], Awaitable[MetadataCaller | None]]
"""(network or router id, own address, source address) → the guest. It may raise, then there is no answer yet."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MetadataUpstream:
    """Where guests' requests go: the metadata service's base URL, the client to reach it by, the shared secret."""

    client: httpx.AsyncClient
    base_url: str
    secret: str = dataclasses.field(repr=False)
    timeout: float = 30.0


class MetadataProxy:
    """The listeners of all networks and routers, by id: each is a place."""

    def __init__(self, upstream: MetadataUpstream, find: FindCaller) -> None:
        self.upstream, self.find = upstream, find
        self.logger = log.get("network.metadata")
        self._servers: dict[str, asyncio.Server] = {}
        self._calls: Counter[tuple[str, str]] = Counter()

    async def ensure(self, place: str, namespace: str, address: tuple[str, int]) -> None:
        """Listen in a namespace, at an IPv4 address and port; nothing happens when it is done already."""
        if place in self._servers:
            return
        try:
            sock = await netns.inside(namespace, lambda: _listen(address))
        except OSError as why:
            raise DataPlaneError(f"metadata listener in {namespace}: {why.strerror}") from None

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve(place, reader, writer)

        self._servers[place] = await asyncio.start_server(serve, sock=sock)

    def remove(self, place: str) -> None:
        server = self._servers.pop(place, None)
        if server is not None:
            server.close()

    def close(self) -> None:
        for place in list(self._servers):
            self.remove(place)

    async def _serve(self, place: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer, own = writer.get_extra_info("peername"), writer.get_extra_info("sockname")
        source, local = (peer[0] if peer else ""), (own[0] if own else "")
        calls, keys = self._calls, ((place, source), (place, ""))
        calls.update(keys)
        try:
            if calls[keys[0]] > CALLS_PER_GUEST or calls[keys[1]] > CALLS_PER_PLACE:
                writer.write(fault(503))
            else:
                writer.write(await self._answer(place, local, source, reader, writer))
            async with asyncio.timeout(self.upstream.timeout):
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (ConnectionError, TimeoutError):
            pass
        finally:
            writer.transport.abort()  # nothing happens where it is closed; a guest that takes no answer holds nothing
            calls.subtract(keys)
            for key in keys:
                if calls[key] <= 0:
                    del calls[key]

    async def _answer(
        self, place: str, local: str, source: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        try:
            request = await read_request(reader)
        except BadRequest as why:
            return fault(why.status)
        if request is None:
            return b""
        if (status := refusal(request)) is not None:
            return fault(status)
        try:
            caller = await self.find(place, local, source)
            if caller is None:
                self.logger.warning("metadata request from an unknown address", place=place, source=source)
                return fault(404)
            return await self._forward(request, source, caller, writer)
        except httpx.InvalidURL:
            return fault(400)
        except Exception as why:  # in one process with the metadata service, its failures come here as they are
            self.logger.warning("metadata service unreachable", place=place, reason=repr(why))
            return fault(503)

    async def _forward(
        self, request: Request, source: str, caller: MetadataCaller, writer: asyncio.StreamWriter
    ) -> bytes:
        up = self.upstream
        instance_id, project_id = caller.device_id, caller.project_id
        headers = [(name, value) for name, value in request.headers if name in PASSED]
        headers += [
            ("accept-encoding", "identity"),
            (FORWARDED_FOR, source),
            (INSTANCE_ID, instance_id),
            (TENANT_ID, project_id),
            (SIGNATURE, sign_instance(up.secret, instance_id, project_id)),
            *([(HOST, host)] if (host := host_of(up.secret)) else []),
            *([(HEADER, caller.grant)] if caller.grant else []),
        ]
        reply = await up.client.request(
            request.method,
            up.base_url.rstrip("/") + request.target,
            headers=headers,
            content=request.body,
            timeout=up.timeout,
            follow_redirects=False,
        )
        if (hops := reply.headers.get(HOP_LIMIT, "")).isdecimal() and 1 <= int(hops) <= 64:
            writer.get_extra_info("socket").setsockopt(socket.IPPROTO_IP, socket.IP_TTL, int(hops))
        back = [(name, value) for name, value in reply.headers.items() if name in RETURNED]
        back += [(name, value) for name, value in reply.headers.items() if name.startswith("x-aws-ec2-metadata-")]
        return answer(reply.status_code, back, reply.content, head=request.method == "HEAD")


def refusal(request: Request) -> int | None:
    """The status for what is no request for metadata."""
    if not TARGET.match(request.target):
        return 400
    others = {"POST": LEFT, "PUT": TOKEN}
    if request.method not in METHODS and not (
        request.method in others and others[request.method].match(request.target)
    ):
        return 405
    if request.method == "PUT" and any(name == "x-forwarded-for" for name, _ in request.headers):
        return 403  # it was passed on for somebody
    return None if TREES.match(request.target) else 404


def _listen(address: tuple[str, int]) -> socket.socket:
    """Runs inside the namespace: a socket stays where it was opened."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(address)
        sock.listen(128)
    except OSError:
        sock.close()
        raise
    return sock

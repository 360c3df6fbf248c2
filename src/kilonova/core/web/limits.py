"""What clients may use of a server before they are authenticated: in a module of its own, so that settings load no HTTP."""

from __future__ import annotations

import socket

import msgspec

MAPPED = bytes(10) + b"\xff\xff"  # the beginning of an IPv4 address in IPv6's form


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Connections that are open at once, and times in seconds; see `ServeSettings`."""

    connections: int = 8192
    connections_per_address: int = 2048
    head_timeout: float = 10.0
    body_timeout: float = 30.0


def source_of(address: str) -> str:
    """What counts as one address: of IPv6 a client has a whole /64."""
    if ":" not in address:
        return address
    packed = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    if packed.startswith(MAPPED):
        return socket.inet_ntop(socket.AF_INET, packed[12:])
    return socket.inet_ntop(socket.AF_INET6, packed[:8] + bytes(8))

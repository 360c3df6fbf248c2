"""Links by netlink, as every part reads and deletes them. Blocking."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Iterator

import msgspec
from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError


class Link(msgspec.Struct, frozen=True):
    index: int
    name: str
    master: int | None
    alias: str
    up: bool
    mtu: int


@contextlib.contextmanager
def route() -> Iterator[IPRoute]:
    """A netlink socket in the calling thread's namespace, on an event loop of its own kind: uvloop knows no netlink."""
    loop = asyncio.SelectorEventLoop()
    try:
        with IPRoute(use_event_loop=loop) as ip:
            yield ip
    finally:
        loop.close()


def read(ip: IPRoute) -> dict[str, Link]:
    found = {}
    for message in ip.get_links():
        name = message.get("ifname")
        found[name] = Link(
            message["index"],
            name,
            message.get("master"),
            message.get("ifalias") or "",
            bool(message["flags"] & 1),
            message.get("mtu") or 0,
        )
    return found


def delete(ip: IPRoute, index: int) -> None:
    try:
        ip.link("del", index=index)
    except NetlinkError as why:
        if why.code != errno.ENODEV:
            raise


LINK_SCOPE = 253


def addresses(ip: IPRoute, index: int) -> set[str]:
    """Those of a link with their prefix lengths, but for its link-local ones."""
    return {f"{a.get('address')}/{a['prefixlen']}" for a in ip.get_addr(index=index) if a["scope"] != LINK_SCOPE}


def address_words(address: str) -> dict[str, str | int]:
    """`10.0.0.1/24` as the library's arguments for an address."""
    ip, _, length = address.partition("/")
    return {"address": ip, "prefixlen": int(length)}


def quiet_ipv6(name: str) -> None:
    """No IPv6 of the host's own on a device that only carries guests' frames."""
    write_setting(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6", "1")


def write_setting(path: str, text: str) -> None:
    """A kernel setting in /proc; nothing happens where the kernel has none such."""
    with contextlib.suppress(OSError), open(path, "w") as file:
        file.write(text)

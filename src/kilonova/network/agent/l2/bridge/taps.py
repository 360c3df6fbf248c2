"""Watches taps by netlink events: reports when one is up on a bridge of ours, and when it no longer is."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any

from pyroute2.netlink.rtnl import RTM_DELLINK, RTM_NEWLINK
from pyroute2.netlink.rtnl.marshal import MarshalRtnl

from kilonova.core import log
from kilonova.network.agent.l2.bridge.links import Links
from kilonova.network.agent.system.netlink import Link, quiet_ipv6

GROUP_LINK = 1
FAMILY_BRIDGE = 7


class TapWatch:
    """`bridges` holds the indexes of our bridges; the driver keeps it."""

    def __init__(self, links: Links) -> None:
        self.links = links
        self.bridges: set[int] = set()
        self.up: dict[str, int] = {}
        self.logger = log.get("network.taps")
        self._taps: dict[int, Link] = {}
        self._listeners: list[Callable[[str, bool], None]] = []
        self._socket: socket.socket | None = None
        self._marshal: Any = MarshalRtnl()
        self._resync: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Subscribe first, then read the links: nothing is missed between the two."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.bind((0, GROUP_LINK))
        asyncio.get_running_loop().add_reader(self._socket, self._read)
        await self.look()

    async def look(self) -> None:
        links, ours = await asyncio.to_thread(self.links.survey)
        self.bridges = {links[name].index for name in ours}
        self._taps = {link.index: link for link in links.values() if link.name.startswith("tap")}
        self.judge()

    def subscribe(self, on_tap: Callable[[str, bool], None]) -> None:
        self._listeners.append(on_tap)
        for name in sorted(self.up):
            asyncio.get_running_loop().call_soon(on_tap, name, True)

    def close(self) -> None:
        self._listeners.clear()
        if self._resync is not None:
            self._resync.cancel()
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def judge(self) -> None:
        """Notify the listeners of what has changed since the last call. A tap that went and came again in between is another
        device: it went, and it came."""
        now = {tap.name: tap.index for tap in self._taps.values() if tap.up and tap.master in self.bridges}
        before, self.up = self.up, now
        gone, come = sorted(before.items() - now.items()), sorted(now.items() - before.items())
        for name, up in [*((name, False) for name, _ in gone), *((name, True) for name, _ in come)]:
            if up:
                quiet_ipv6(name)
            for listener in self._listeners:
                asyncio.get_running_loop().call_soon(listener, name, up)

    def _read(self) -> None:
        while self._socket is not None:
            try:
                data = self._socket.recv(65536)
            except BlockingIOError:
                break
            except OSError as why:
                if why.errno != errno.ENOBUFS:
                    raise
                self.logger.warning("link events lost: reading all links")
                self._resync = asyncio.get_running_loop().create_task(self.look())
                break
            for message in self._marshal.parse(data):
                self._take(message)
        self.judge()

    def _take(self, message: Any) -> None:
        """Take in a netlink message. Bridges report their ports in a family of their own, too; the plain messages suffice."""
        kind, name = message["header"]["type"], message.get("ifname") or ""
        if message["family"] == FAMILY_BRIDGE or kind not in (RTM_NEWLINK, RTM_DELLINK):
            return
        if kind == RTM_DELLINK or not name.startswith("tap"):
            self._taps.pop(message["index"], None)
            return
        self._taps[message["index"]] = Link(
            message["index"], name, message.get("master"), "", bool(message["flags"] & 1), 0
        )

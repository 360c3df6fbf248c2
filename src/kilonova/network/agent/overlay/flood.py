"""Where a network's tunnel device sends frames: flood lists, and what it learned that is no longer true. Blocking.

Frames for all and for unknown MACs go to every other host that has ports of the network; single MACs are learned from
the frames that come, as on any bridge. What was learned of a port that has moved is deleted when the service says so."""

from __future__ import annotations

import contextlib
import errno
import os

import msgspec
from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from kilonova.network.agent.dataplane import DataPlaneError
from kilonova.network.agent.model import NetworkModel
from kilonova.network.agent.system.names import clean_ip, clean_mac
from kilonova.network.agent.system.netlink import route

ALL = "00:00:00:00:00:00"
MASTER = 0x04  # an entry of the bridge that the device is on
PERMANENT = 0x80


class Reach(msgspec.Struct, frozen=True):
    """The other hosts' tunnel addresses, and behind which of them each MAC is."""

    peers: frozenset[str] = frozenset()
    places: dict[str, str] = {}


def reach(network: NetworkModel, own: str) -> Reach:
    """`own` is this host's tunnel address. A local port has one while its guest is still on another host. Ports whose MAC or host
    cannot be read are left out: nothing reaches them."""
    places, peers = dict[str, str](), set[str]()
    for port in network.ports:
        if port.tunnel_ip not in ("", own):
            with contextlib.suppress(ValueError):
                peers.add(clean_ip(port.tunnel_ip))
                if not port.local:
                    places[clean_mac(port.mac_address)] = clean_ip(port.tunnel_ip)
    return Reach(frozenset(peers), places)


def direct(device: str, wanted: Reach, local: set[str]) -> None:
    """Make a tunnel device reach others as wanted, by differences alone; `local` are the MACs of ports on this host.
    Raises DataPlaneError."""
    try:
        with route() as ip:
            (index,) = ip.link_lookup(ifname=device)
            flooded, learned, beyond = _entries(ip, index)
            for peer in sorted(wanted.peers - flooded):
                ip.fdb("append", ifindex=index, lladdr=ALL, dst=peer)
            for mac, peer in learned:
                if peer not in wanted.peers or wanted.places.get(mac, peer) != peer:
                    _forget(ip, ifindex=index, lladdr=mac, dst=peer)
            for mac in beyond & local:
                _forget(ip, ifindex=index, lladdr=mac, flags=MASTER)
            for peer in sorted(flooded - wanted.peers):  # last: once a host is gone from the list, nothing leads there
                _forget(ip, ifindex=index, lladdr=ALL, dst=peer)
    except NetlinkError as why:
        raise DataPlaneError(f"tunnel {device}: {os.strerror(why.code)} from the kernel ({why})") from None


def flooded(device: str) -> set[str]:
    """The hosts that a tunnel device sends to what is for all; none where there is no such device."""
    with route() as ip:
        return {peer for index in ip.link_lookup(ifname=device) for peer in _entries(ip, index)[0]}


def _entries(ip: IPRoute, index: int) -> tuple[set[str], list[tuple[str, str]], set[str]]:
    """Of a tunnel device: the flood list, the learned (MAC, host), and the MACs that its bridge has learned from it."""
    flooded: set[str] = set()
    learned: list[tuple[str, str]] = []
    beyond: set[str] = set()
    for entry in ip.fdb("dump", ifindex=index):
        mac, peer = entry.get("lladdr"), entry.get("dst")
        if entry["ifindex"] != index:
            continue
        if peer is None:
            if not entry["state"] & PERMANENT:
                beyond.add(mac)
        elif mac == ALL:
            flooded.add(peer)
        else:
            learned.append((mac, peer))
    return flooded, learned, beyond


def _forget(ip: IPRoute, **entry: str | int) -> None:
    """An entry may have aged meanwhile."""
    try:
        ip.fdb("del", **entry)
    except NetlinkError as why:
        if why.code != errno.ENOENT:
            raise

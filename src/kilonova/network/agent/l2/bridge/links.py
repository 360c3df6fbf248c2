"""Bridges, wires and namespaces by netlink. Blocking: the driver calls it in a thread.

Every bridge and every wire carries an alias (`kilonova/INSTANCE/network/ID`), so that ours are known from others'."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterator

import msgspec
from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from kilonova.network.agent.dataplane import DataPlaneError
from kilonova.network.agent.model import NetworkModel, bridge_name, dhcp_namespace
from kilonova.network.agent.system import netns
from kilonova.network.agent.system.names import (
    METADATA_ADDRESS,
    clean_ip,
    clean_mac,
    clean_network,
    dhcp_link,
    inner_link,
    vxlan_link,
    vxlan_prefix,
)

SIOCETHTOOL, ETHTOOL_STXCSUM = 0x8946, 0x17


class Link(msgspec.Struct, frozen=True):
    index: int
    name: str
    master: int | None
    alias: str
    up: bool
    mtu: int


class Wiring(msgspec.Struct, frozen=True):
    """What a network needs on the host: its bridge, with `addresses` a namespace wired to it, with `vni` a tunnel device."""

    id: str
    mtu: int
    mac: str | None
    addresses: tuple[str, ...]
    vni: int | None = None


def wiring(network: NetworkModel) -> Wiring:
    """As on a host that has tunnels. Raises DataPlaneError for addresses that can't be read."""
    try:
        subnets = [(s.dhcp_ip, clean_network(s.cidr)) for s in network.subnets if s.dhcp_ip]
        addresses = [f"{clean_ip(ip)}/{cidr.prefixlen}" for ip, cidr in subnets]
        if any(cidr.version == 4 for _ip, cidr in subnets):
            addresses.append(f"{METADATA_ADDRESS}/32")
        mac = clean_mac(network.dhcp_mac) if network.dhcp_mac else None
    except ValueError as why:
        raise DataPlaneError(f"network {network.id}: {why}") from None
    return Wiring(network.id, network.mtu, mac, tuple(dict.fromkeys(addresses)), network.segmentation_id)


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


class Links:
    """One instance's devices. `tunnel_ip` "" means no tunnels."""

    def __init__(self, instance: str, tunnel_ip: str = "", vxlan_port: int = 4789) -> None:
        self.alias = f"kilonova/{instance}/network/"
        self.instance, self.tunnel_ip, self.vxlan_port = instance, tunnel_ip, vxlan_port

    def ours(self, links: dict[str, Link]) -> dict[str, str]:
        """Bridge name → network id."""
        return {
            name: link.alias.removeprefix(self.alias)
            for name, link in links.items()
            if link.alias.startswith(self.alias) and name == bridge_name(link.alias.removeprefix(self.alias))
        }

    def networks(self, links: dict[str, Link]) -> set[str]:
        """Ids of the networks that any of our devices belongs to."""
        return {link.alias.removeprefix(self.alias) for link in links.values() if link.alias.startswith(self.alias)}

    def tunnels(self, links: dict[str, Link]) -> dict[str, Link]:
        """Our tunnel devices by name; one that was left half made has no alias."""
        prefix = vxlan_prefix(self.instance)
        return {
            name: link
            for name, link in links.items()
            if name.startswith(prefix) and (not link.alias or link.alias.startswith(self.alias))
        }

    def sweep(self) -> None:
        """Delete tunnel devices that were left half made."""
        with route() as ip:
            for tunnel in self.tunnels(read(ip)).values():
                if not tunnel.alias:
                    _delete(ip, tunnel.index)

    def survey(self) -> tuple[dict[str, Link], dict[str, str]]:
        """All links, and our bridges."""
        with route() as ip:
            links = read(ip)
        return links, self.ours(links)

    def ensure(self, wanted: Wiring) -> int:
        """Make a network's bridge, namespace and wire as they must be; the bridge's index."""
        try:
            with route() as ip:
                links = read(ip)
                bridge = self._bridge(ip, links, wanted)
                self._tunnel(ip, links, wanted, bridge)
                if wanted.addresses:
                    self._wire(ip, links, wanted, bridge)
                else:
                    self._unwire(ip, links, wanted.id)
                return bridge
        except NetlinkError as why:
            raise DataPlaneError(f"network {wanted.id}: {os.strerror(why.code)} from the kernel ({why})") from None

    def _bridge(self, ip: IPRoute, links: dict[str, Link], wanted: Wiring) -> int:
        name = bridge_name(wanted.id)
        there = links.get(name)
        if there is not None and there.alias and there.alias != self.alias + wanted.id:
            raise DataPlaneError(f"bridge {name} belongs to another: {there.alias}")
        if there is None:
            ip.link("add", ifname=name, kind="bridge", br_stp_state=0, br_mcast_snooping=0)
            quiet_ipv6(name)
        index = int(there.index if there is not None else ip.link_lookup(ifname=name)[0])
        if there is None or not there.up or there.mtu != wanted.mtu or not there.alias:
            ip.link("set", index=index, ifalias=self.alias + wanted.id, mtu=wanted.mtu, state="up")
        return index

    def _tunnel(self, ip: IPRoute, links: dict[str, Link], wanted: Wiring, bridge: int) -> None:
        """The network's tunnel device on its bridge, without peers yet; none on a host that has no tunnels."""
        alias, name = self.alias + wanted.id, ""
        if self.tunnel_ip and wanted.vni is not None:
            name = vxlan_link(self.instance, wanted.vni)
        for other in self.tunnels(links).values():
            if other.alias == alias and (other.name != name or not self._speaks(ip, other.index)):
                _delete(ip, links.pop(other.name).index)
        if not name:
            return
        there = links.get(name)
        if there is not None and there.alias not in ("", alias):
            raise DataPlaneError(f"tunnel {name} belongs to another: {there.alias}")
        if there is None:
            self._add_tunnel(ip, name, wanted)
        index = int(there.index if there is not None else ip.link_lookup(ifname=name)[0])
        if there is None or (there.master, there.up, there.mtu, there.alias) != (bridge, True, wanted.mtu, alias):
            ip.link("set", index=index, ifalias=alias, master=bridge, mtu=wanted.mtu, state="up")

    def _add_tunnel(self, ip: IPRoute, name: str, wanted: Wiring) -> None:
        words = {"vxlan_id": wanted.vni, "vxlan_local": self.tunnel_ip, "vxlan_port": self.vxlan_port}
        try:
            ip.link("add", ifname=name, kind="vxlan", vxlan_learning=True, **words)
        except NetlinkError as why:
            advice = {
                errno.EEXIST: f"another device has segmentation id {wanted.vni} on port {self.vxlan_port}: clouds that "
                "share a host need a dataplane.vxlan_port each",
                errno.EOPNOTSUPP: "the kernel has no VXLAN: load it with `modprobe vxlan`",
            }
            reason = advice.get(why.code) or os.strerror(why.code)
            raise DataPlaneError(f"network {wanted.id}: tunnel {name}: {reason}") from None
        quiet_ipv6(name)

    def _speaks(self, ip: IPRoute, index: int) -> bool:
        """Whether a tunnel device has this host's address and port."""
        data = ip.get_links(index)[0].get_nested("IFLA_LINKINFO", "IFLA_INFO_DATA")
        found = (data.get_attr("IFLA_VXLAN_LOCAL"), data.get_attr("IFLA_VXLAN_PORT"))
        return bool(found == (self.tunnel_ip, self.vxlan_port))

    def _wire(self, ip: IPRoute, links: dict[str, Link], wanted: Wiring, bridge: int) -> None:
        namespace, outer, inner = dhcp_namespace(wanted.id), dhcp_link(wanted.id), inner_link(wanted.id)
        netns.create(namespace)
        if outer in links and not netns.run_inside(namespace, lambda: _has(inner)):
            ip.link("del", index=links.pop(outer).index)  # its other end went away with an older namespace
        if outer not in links:
            fd = os.open(f"{netns.RUN_DIR}/{namespace}", os.O_RDONLY)
            try:
                ip.link("add", ifname=outer, kind="veth", peer={"ifname": inner, "net_ns_fd": fd})
            finally:
                os.close(fd)
            quiet_ipv6(outer)
        index = ip.link_lookup(ifname=outer)[0]
        ip.link("set", index=index, ifalias=self.alias + wanted.id, master=bridge, mtu=wanted.mtu, state="up")
        netns.run_inside(namespace, lambda: _inner(inner, wanted))

    def _unwire(self, ip: IPRoute, links: dict[str, Link], network_id: str) -> None:
        outer = links.get(dhcp_link(network_id))
        if outer is not None:
            _delete(ip, outer.index)
        netns.remove(dhcp_namespace(network_id))

    def remove(self, network_id: str) -> None:
        """Take a network's bridge, wire, namespace and tunnel away; nothing happens when they are not there."""
        with route() as ip:
            links = read(ip)
            self._unwire(ip, links, network_id)
            for tunnel in self.tunnels(links).values():
                if tunnel.alias == self.alias + network_id:
                    _delete(ip, tunnel.index)
            bridge = links.get(bridge_name(network_id))
            if bridge is not None and bridge.alias == self.alias + network_id:
                _delete(ip, bridge.index)

    def remove_tap(self, name: str) -> None:
        """Delete a left-over tap, unless it is on a bridge that is not ours."""
        with route() as ip:
            links = read(ip)
            ours = {links[bridge].index for bridge in self.ours(links)}
            tap = links.get(name)
            if tap is not None and (tap.master is None or tap.master in ours):
                _delete(ip, tap.index)


def _delete(ip: IPRoute, index: int) -> None:
    try:
        ip.link("del", index=index)
    except NetlinkError as why:
        if why.code != errno.ENODEV:
            raise


def _has(name: str) -> bool:
    with route() as ip:
        return bool(ip.link_lookup(ifname=name))


def _inner(name: str, wanted: Wiring) -> None:
    """The namespace's side: addresses exactly as wanted."""
    with route() as ip:
        ip.link("set", index=1, state="up")
        index = ip.link_lookup(ifname=name)[0]
        if wanted.mac and ip.get_links(index)[0].get("address") != wanted.mac:
            ip.link("set", index=index, state="down")
            ip.link("set", index=index, address=wanted.mac)
        _write(f"/proc/sys/net/ipv6/conf/{name}/accept_dad", "0")
        _write(f"/proc/sys/net/ipv6/conf/{name}/accept_ra", "0")
        ip.link("set", index=index, mtu=wanted.mtu, state="up")
        there = {f"{a.get('address')}/{a['prefixlen']}" for a in ip.get_addr(index=index) if a["scope"] != 253}
        for address in there - set(wanted.addresses):
            ip.addr("del", index=index, **_words(address))
        for address in wanted.addresses:
            if address not in there:
                ip.addr("add", index=index, **_words(address))
    _finish_checksums(name)


def _words(address: str) -> dict[str, str | int]:
    ip, _, length = address.partition("/")
    return {"address": ip, "prefixlen": int(length)}


def _finish_checksums(name: str) -> None:
    """Transmit checksum offload off: DHCP clients on raw sockets refuse packets whose checksum is not yet made."""
    value = bytearray(struct.pack("II", ETHTOOL_STXCSUM, 0))
    buffer = (ctypes.c_char * len(value)).from_buffer(value)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        fcntl.ioctl(sock, SIOCETHTOOL, struct.pack("16sP", name.encode(), ctypes.addressof(buffer)))


def quiet_ipv6(name: str) -> None:
    """No IPv6 of the host's own on a device that only carries guests' frames."""
    _write(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6", "1")


def _write(path: str, text: str) -> None:
    with contextlib.suppress(OSError), open(path, "w") as file:
        file.write(text)

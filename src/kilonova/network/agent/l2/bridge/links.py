"""Bridges, wires and namespaces by netlink. Blocking: the driver calls it in a thread.

Every bridge and every wire carries an alias (`kilonova/INSTANCE/network/ID`), so that ours are known from others'."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Collection, Mapping

import msgspec
from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from kilonova.network.agent.dataplane import DataPlaneError, Leftover
from kilonova.network.agent.model import NetworkModel, bridge_name, dhcp_namespace
from kilonova.network.agent.system import netns
from kilonova.network.agent.system.names import (
    METADATA_ADDRESS,
    clean_ip,
    clean_mac,
    clean_network,
    dhcp_link,
    inner_link,
    network_alias,
    outward_link,
    physical_link,
)
from kilonova.network.agent.system.netlink import (
    Link,
    address_words,
    addresses,
    delete,
    quiet_ipv6,
    read,
    route,
    write_setting,
)

SIOCETHTOOL, ETHTOOL_STXCSUM = 0x8946, 0x17


class Wiring(msgspec.Struct, frozen=True):
    """What a network needs on the host: its bridge, with `addresses` a namespace wired to it, with `outside` (a bridge of the
    host) a wire to that."""

    id: str
    mtu: int
    mac: str | None
    addresses: tuple[str, ...]
    outside: str = ""


def wiring(network: NetworkModel, mappings: Mapping[str, str]) -> Wiring:
    """`mappings` are the host's bridges by physical network. Raises DataPlaneError for addresses that can't be read and for a
    physical network that is not on this host."""
    physical = network.physical_network
    if physical and physical not in mappings:
        raise DataPlaneError(
            f"network {network.id}: physical network {physical!r} is not in dataplane.bridge_mappings of this host"
        )
    try:
        subnets = [(s.dhcp_ip, clean_network(s.cidr)) for s in network.subnets if s.dhcp_ip]
        addresses = [f"{clean_ip(ip)}/{cidr.prefixlen}" for ip, cidr in subnets]
        if any(cidr.version == 4 for _ip, cidr in subnets):
            addresses.append(f"{METADATA_ADDRESS}/32")
        mac = clean_mac(network.dhcp_mac) if network.dhcp_mac else None
    except ValueError as why:
        raise DataPlaneError(f"network {network.id}: {why}") from None
    outside = mappings[physical] if physical else ""
    return Wiring(network.id, network.mtu, mac, tuple(dict.fromkeys(addresses)), outside)


class Links:
    """One instance's devices."""

    def __init__(self, instance: str) -> None:
        self.alias = network_alias(instance)

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
                if wanted.addresses:
                    self._wire(ip, links, wanted, bridge)
                else:
                    self._unwire(ip, links, wanted.id)
                if wanted.outside:
                    self._join_outside(ip, links, wanted, bridge)
                else:
                    self._leave_outside(ip, links, wanted.id)
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

    def join(self, network_id: str, device: str, mtu: int) -> None:
        """Put a device on a network's bridge, up; nothing happens when it is so."""
        try:
            with route() as ip:
                links = read(ip)
                bridge, link = links[bridge_name(network_id)].index, links[device]
                if (link.master, link.up, link.mtu) != (bridge, True, mtu):
                    ip.link("set", index=link.index, master=bridge, mtu=mtu, state="up")
        except KeyError as name:
            raise DataPlaneError(f"network {network_id}: there is no device {name}") from None
        except NetlinkError as why:
            raise DataPlaneError(f"network {network_id}: {os.strerror(why.code)} from the kernel ({why})") from None

    def _wire(self, ip: IPRoute, links: dict[str, Link], wanted: Wiring, bridge: int) -> None:
        namespace, outer, inner = dhcp_namespace(wanted.id), dhcp_link(wanted.id), inner_link(wanted.id)
        netns.create(namespace)
        if outer in links and not netns.run_inside(namespace, lambda: _has(inner)):
            ip.link("del", index=links.pop(outer).index)  # its other end was deleted with an older namespace
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

    def _join_outside(self, ip: IPRoute, links: dict[str, Link], wanted: Wiring, bridge: int) -> None:
        """A wire from the network's bridge to the host's own, which keeps its MTU: what is larger than the network's stops at the
        wire."""
        there = links.get(wanted.outside)
        if there is None or not os.path.isdir(f"/sys/class/net/{wanted.outside}/bridge"):
            raise DataPlaneError(
                f"network {wanted.id}: dataplane.bridge_mappings names {wanted.outside}: there is no such bridge"
            )
        near, far = physical_link(wanted.id), outward_link(wanted.id)
        if near not in links:
            ip.link("add", ifname=near, kind="veth", peer={"ifname": far})
        for name, master, mtu in ((near, bridge, wanted.mtu), (far, there.index, there.mtu)):
            quiet_ipv6(name)
            (index,) = ip.link_lookup(ifname=name)
            ip.link("set", index=index, ifalias=self.alias + wanted.id, master=master, mtu=mtu, state="up")

    def _leave_outside(self, ip: IPRoute, links: dict[str, Link], network_id: str) -> None:
        near = links.get(physical_link(network_id))
        if near is not None:
            delete(ip, near.index)

    def _unwire(self, ip: IPRoute, links: dict[str, Link], network_id: str) -> None:
        outer = links.get(dhcp_link(network_id))
        if outer is not None:
            delete(ip, outer.index)
        netns.remove(dhcp_namespace(network_id))

    def addresses(self, network_id: str) -> set[str]:
        """Those in the network's namespace."""
        namespace, inner = dhcp_namespace(network_id), inner_link(network_id)
        return netns.run_inside(namespace, lambda: _held(inner)) if netns.exists(namespace) else set()

    def leftovers(self, known: Collection[str]) -> list[Leftover]:
        """Bridges, taps on them, wires and namespaces; those without an alias are ours where their network is `known`."""
        found, ours = self.survey()
        networks = self.networks(found) | set(known)
        masters = {found[name].index for name in ours}
        taps = [link.name for link in found.values() if link.master in masters and link.name.startswith("tap")]
        lost = [(wire, n) for n in networks - set(ours.values()) for wire in (dhcp_link(n), physical_link(n))]
        wires = {wire: n for wire, n in lost if wire in found}
        namespaces = set(netns.listed())
        return [
            *(Leftover(kind="bridge", name=name, owner=owner) for name, owner in (ours | wires).items()),
            *(Leftover(kind="tap", name=name, owner=name[3:]) for name in taps),
            *(
                Leftover(kind="namespace", name=dhcp_namespace(n), owner=n)
                for n in networks
                if dhcp_namespace(n) in namespaces
            ),
        ]

    def remove(self, network_id: str) -> None:
        """Remove a network's bridge, wire and namespace; nothing happens when they do not exist."""
        with route() as ip:
            links = read(ip)
            self._unwire(ip, links, network_id)
            self._leave_outside(ip, links, network_id)
            bridge = links.get(bridge_name(network_id))
            if bridge is not None and bridge.alias == self.alias + network_id:
                delete(ip, bridge.index)

    def remove_tap(self, name: str) -> None:
        """Delete a left-over tap, unless it is on a bridge that is not ours."""
        with route() as ip:
            links = read(ip)
            ours = {links[bridge].index for bridge in self.ours(links)}
            tap = links.get(name)
            if tap is not None and (tap.master is None or tap.master in ours):
                delete(ip, tap.index)


def _has(name: str) -> bool:
    with route() as ip:
        return bool(ip.link_lookup(ifname=name))


def _held(name: str) -> set[str]:
    with route() as ip:
        return {one for index in ip.link_lookup(ifname=name) for one in addresses(ip, index)}


def _inner(name: str, wanted: Wiring) -> None:
    """The namespace's side: addresses exactly as wanted."""
    with route() as ip:
        ip.link("set", index=1, state="up")
        index = ip.link_lookup(ifname=name)[0]
        if wanted.mac and ip.get_links(index)[0].get("address") != wanted.mac:
            ip.link("set", index=index, state="down")
            ip.link("set", index=index, address=wanted.mac)
        write_setting(f"/proc/sys/net/ipv6/conf/{name}/accept_dad", "0")
        write_setting(f"/proc/sys/net/ipv6/conf/{name}/accept_ra", "0")
        ip.link("set", index=index, mtu=wanted.mtu, state="up")
        there = addresses(ip, index)
        for address in there - set(wanted.addresses):
            ip.addr("del", index=index, **address_words(address))
        for address in wanted.addresses:
            if address not in there:
                ip.addr("add", index=index, **address_words(address))
    _finish_checksums(name)


def _finish_checksums(name: str) -> None:
    """Transmit checksum offload off: DHCP clients on raw sockets refuse packets whose checksum is not yet made."""
    value = bytearray(struct.pack("II", ETHTOOL_STXCSUM, 0))
    buffer = (ctypes.c_char * len(value)).from_buffer(value)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        fcntl.ioctl(sock, SIOCETHTOOL, struct.pack("16sP", name.encode(), ctypes.addressof(buffer)))

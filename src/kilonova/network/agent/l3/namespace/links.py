"""A router's namespace, devices, addresses and routes by netlink. Blocking.

The end on a bridge is called as a guest's tap is: filters know it by its port, and it is reported up as any other. It has the
alias `kilonova/INSTANCE/router/ID`."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from kilonova.core.addresses import parse_address, parse_interface, parse_network
from kilonova.network.agent.dataplane import DataPlaneError, Leftover
from kilonova.network.agent.l3.namespace.announce import announce
from kilonova.network.agent.l3.namespace.plan import Device, Plan, Route, gateway_name, interface_name
from kilonova.network.agent.model import router_namespace, tap_name
from kilonova.network.agent.system import netns
from kilonova.network.agent.system.names import check_uuid, router_alias
from kilonova.network.agent.system.netlink import Link, address_words, delete, quiet_ipv6, read, route, write_setting
from kilonova.network.agent.system.netlink import addresses as held

T = TypeVar("T")
OURS = 4  # RTPROT_STATIC: the routes that are made and removed here
MAIN = 254  # the routing table
ONLINK = 4  # RTNH_F_ONLINK: the next hop need not be within an address' prefix
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
FORWARDING = ("ipv4/ip_forward", "ipv6/conf/all/forwarding", "ipv6/conf/default/forwarding")
SETTINGS = {
    "ipv4/conf/{}/send_redirects": "0",
    "ipv4/conf/{}/accept_redirects": "0",
    "ipv4/conf/{}/rp_filter": "0",
    "ipv4/conf/{}/arp_ignore": "1",  # an address is answered for where it is, not on every network
    "ipv4/conf/{}/arp_announce": "2",
    "ipv6/conf/{}/accept_ra": "0",
    "ipv6/conf/{}/accept_redirects": "0",
    "ipv6/conf/{}/accept_dad": "0",
}


class RouterLinks:
    """Those of one instance."""

    def __init__(self, instance: str) -> None:
        self.alias = router_alias(instance)

    def survey(self) -> dict[str, str]:
        """Our devices on bridges, and the router that each belongs to."""
        with route() as ip:
            return {link.name: self._owner(link) for link in self._ours(read(ip))}

    def _ours(self, links: dict[str, Link]) -> list[Link]:
        return [link for link in links.values() if link.alias.startswith(self.alias)]

    def _owner(self, link: Link) -> str:
        return link.alias.removeprefix(self.alias)

    def create(self, router_id: str) -> None:
        """The namespace, in which nothing is forwarded yet where it is new."""
        netns.create(router_namespace(router_id))
        _inside(router_id, _settle)

    def connect(self, plan: Plan) -> dict[str, list[str]]:
        """The router's devices, addresses and routes, exactly as planned; the devices are on no bridge yet where they are new.
        Device → addresses that it had not before. Raises DataPlaneError."""
        try:
            with route() as ip:
                links = read(ip)
                wanted = {device.tap for device in plan.devices}
                for link in self._ours(links):
                    if self._owner(link) == plan.id and link.name not in wanted:
                        delete(ip, links.pop(link.name).index)
                for device in plan.devices:
                    self._plug(ip, links, plan.id, device)
            return _inside(plan.id, lambda: _configure(plan.devices))
        except NetlinkError as why:
            raise DataPlaneError(f"router {plan.id}: {os.strerror(why.code)} from the kernel ({why})") from None

    def _plug(self, ip: IPRoute, links: dict[str, Link], router_id: str, device: Device) -> None:
        there = links.get(device.tap)
        if there is not None and there.alias and not there.alias.startswith(self.alias):
            raise DataPlaneError(f"router {router_id}: device {device.tap} belongs to another")
        ours = (
            there is not None and self._owner(there) == router_id
        )  # else it is another router's, or was left half made
        if there is not None and not (ours and _inside(router_id, lambda: _has(device.name))):
            delete(ip, there.index)
            there = None
        if there is None:
            fd = os.open(f"{netns.RUN_DIR}/{router_namespace(router_id)}", os.O_RDONLY)
            try:
                ip.link("add", ifname=device.tap, kind="veth", peer={"ifname": device.name, "net_ns_fd": fd})
            finally:
                os.close(fd)
            quiet_ipv6(device.tap)
            ip.link("set", index=ip.link_lookup(ifname=device.tap)[0], ifalias=self.alias + router_id)

    def lead(self, plan: Plan) -> list[str]:
        """The routes, by differences; why some could not be made."""
        return _inside(plan.id, lambda: list(_routes(plan.routes)))

    def forward(self, router_id: str, *, on: bool) -> None:
        """Begin or stop forwarding; nothing happens where there is no such router."""
        if netns.exists(router_namespace(router_id)):
            _inside(router_id, lambda: _set(FORWARDING, "1" if on else "0"))

    def announce(self, router_id: str, addresses: dict[str, list[str]], devices: Iterable[Device]) -> None:
        """Announce to the neighbours where addresses are now (device → addresses)."""
        macs = {device.name: device.mac for device in devices}

        def announce_all() -> None:
            for name, found in addresses.items():
                announce(name, macs[name], [str(parse_interface(address).ip) for address in found])

        _inside(router_id, announce_all)

    def remove(self, router_id: str) -> None:
        """Nothing happens when it is not there."""
        with route() as ip:
            for link in self._ours(read(ip)):
                if self._owner(link) == router_id:
                    delete(ip, link.index)
        netns.remove(router_namespace(router_id))

    def contents(self, router_id: str) -> tuple[dict[str, list[str]], list[Route]]:
        """Inside: device → addresses, and the routes that are ours."""
        return _inside(router_id, _contents)

    def leftovers(self, known: Iterable[str]) -> list[Leftover]:
        """Namespaces of the routers that are `known` or have devices; devices that are on no bridge."""
        with route() as ip:
            links = self._ours(read(ip))
        routers = {self._owner(link) for link in links} | set(known)
        spaces = set(netns.listed())
        loose = [link.name for link in links if link.master is None]
        return [
            *(
                Leftover(kind="router", name=router_namespace(r), owner=r)
                for r in sorted(routers)
                if router_namespace(r) in spaces
            ),
            *(Leftover(kind="tap", name=name, owner=name.removeprefix(tap_name(""))) for name in loose),
        ]


def _inside(router_id: str, work: Callable[[], T]) -> T:
    return netns.run_inside(router_namespace(check_uuid("router", router_id)), work)


def _settle() -> None:
    for path, value in SETTINGS.items():
        _set((path.format(scope) for scope in ("all", "default")), value)
    with route() as ip:
        ip.link("set", index=1, state="up")


def _set(paths: Iterable[str], value: str) -> None:
    for path in paths:
        where = f"/proc/sys/net/{path}"
        if Path(where).exists() and Path(where).read_text().strip() != value:
            write_setting(where, value)


def _has(name: str) -> bool:
    with route() as ip:
        return bool(ip.link_lookup(ifname=name))


def _configure(devices: Iterable[Device]) -> dict[str, list[str]]:
    """Inside: MAC, MTU and addresses exactly as wanted; the addresses that are new, by device."""
    fresh = {}
    with route() as ip:
        for device in devices:
            (index,) = ip.link_lookup(ifname=device.name)
            link = ip.get_links(index)[0]
            if link.get("address") != device.mac:
                ip.link("set", index=index, state="down")
                ip.link("set", index=index, address=device.mac)
            if not link["flags"] & 1 or link.get("mtu") != device.mtu or link.get("address") != device.mac:
                ip.link("set", index=index, mtu=device.mtu, state="up")
            there = held(ip, index)
            for address in there - set(device.addresses):
                ip.addr("del", index=index, **address_words(address))
            fresh[device.name] = [address for address in device.addresses if address not in there]
            for address in fresh[device.name]:
                ip.addr("add", index=index, **address_words(address))
    return {name: found for name, found in fresh.items() if found}


def _contents() -> tuple[dict[str, list[str]], list[Route]]:
    with route() as ip:
        names = {link.index: link.name for link in read(ip).values()}
        found = {
            name: sorted(held(ip, index))
            for index, name in names.items()
            if name.startswith((interface_name(""), gateway_name("")))
        }
        return found, [one for version in FAMILIES for one in _present(ip, version, names)]


def _routes(wanted: Iterable[Route]) -> Iterator[str]:
    """Inside: the routes that are ours, exactly as wanted; what was refused and why."""
    with route() as ip:
        names = {link.index: link.name for link in read(ip).values()}
        indexes = {name: index for index, name in names.items()}
        there = {found for version in FAMILIES for found in _present(ip, version, names)}
        for old in there - set(wanted):
            if not any(new.destination == old.destination for new in wanted):
                ip.route("del", **_route(old, indexes))
        for new in wanted:
            if new not in there:
                try:
                    ip.route("replace", **_route(new, indexes))
                except NetlinkError as why:
                    yield f"route to {new.destination} by way of {new.next_hop}: {os.strerror(why.code)}"


def _present(ip: IPRoute, version: int, names: dict[int, str]) -> Iterator[Route]:
    for found in ip.get_routes(family=FAMILIES[version], table=MAIN):
        if found["proto"] == OURS:
            prefix = found.get("dst") or ("0.0.0.0" if version == 4 else "::")  # noqa: S104 - no address to listen at
            hop = str(parse_address(found.get("gateway")))
            yield Route(str(parse_network(f"{prefix}/{found['dst_len']}")), hop, names.get(found.get("oif"), ""))


def _route(one: Route, indexes: dict[str, int]) -> dict[str, Any]:
    family = FAMILIES[parse_network(one.destination).version]
    words = {"dst": one.destination, "gateway": one.next_hop, "oif": indexes[one.device], "flags": ONLINK}
    return words | {"family": family, "proto": OURS, "table": MAIN}

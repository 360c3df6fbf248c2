"""RouterModel → what its namespace must have, purely: devices, addresses, routes, rules.

What cannot be read of a floating IP, a forwarding or a route is left out and named in `problems`; a router whose own ports cannot
be read is not planned at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from kilonova.core.addresses import IPInterface, IPNetwork, parse_address, parse_interface
from kilonova.network.agent.l3.namespace import rules
from kilonova.network.agent.model import GatewayModel, NetworkModel, RouterModel, RouterPortModel, tap_name
from kilonova.network.agent.system.names import check_uuid, clean_ip, clean_mac, clean_network

DEFAULT = {4: "0.0.0.0/0", 6: "::/0"}


class Device(msgspec.Struct, frozen=True):
    """A port of the router: `name` in its namespace, `tap` on the network's bridge. `addresses` have prefix lengths."""

    port_id: str
    network_id: str
    name: str
    tap: str
    mac: str
    mtu: int
    addresses: tuple[str, ...]


class Route(msgspec.Struct, frozen=True):
    destination: str
    next_hop: str
    device: str


class Plan(msgspec.Struct, frozen=True):
    """`nat` is what `iptables-restore` reads, whole."""

    id: str
    devices: tuple[Device, ...]
    routes: tuple[Route, ...]
    nat: str
    problems: tuple[str, ...] = ()


def interface_name(port_id: str) -> str:
    """In the namespace, as upstream names them (15 characters at most): of a port on a project's network."""
    return "qr-" + port_id[:11]


def gateway_name(port_id: str) -> str:
    """… and of the port on the external network."""
    return "qg-" + port_id[:11]


def plan(router: RouterModel, networks: Mapping[str, NetworkModel]) -> Plan:
    """`networks` by id: those that have a segment on the host. Raises ValueError for a port that can't be read or whose network
    is not there."""
    floating, problems = rules.readable(router)
    interfaces = [_device(port, interface_name(port.port_id), networks) for port in router.interfaces]
    gateway = None
    if router.gateway is not None:
        gateway = _device(router.gateway, gateway_name(router.gateway.port_id), networks)
        held = tuple(f"{f.address}/32" for f in floating)
        gateway = msgspec.structs.replace(gateway, addresses=tuple(dict.fromkeys((*gateway.addresses, *held))))
    devices = (*interfaces, *([gateway] if gateway is not None else []))
    found, wrong = _routes(router, devices, gateway)
    untranslated, unreadable = _untranslated(router.gateway)
    nat = rules.restore_text(
        gateway.name if gateway is not None else "", _source(router.gateway), floating,
        snat=_translates(router.gateway), untranslated=untranslated,
    )  # fmt: skip
    return Plan(router.id, devices, found, nat, (*problems, *wrong, *unreadable))


def _device(port: RouterPortModel, name: str, networks: Mapping[str, NetworkModel]) -> Device:
    check_uuid("port", port.port_id)
    if port.network_id not in networks:
        raise ValueError(f"port {port.port_id}: network {port.network_id} is not on this host")
    return Device(
        port.port_id,
        port.network_id,
        name,
        tap_name(port.port_id),
        clean_mac(port.mac_address),
        networks[port.network_id].mtu,
        tuple(dict.fromkeys(str(parse_interface(address)) for address in port.addresses)),
    )


def _source(gateway: GatewayModel | None) -> str:
    """The gateway's first IPv4 address; "" where there is none."""
    found = [parse_interface(address) for address in gateway.addresses] if gateway is not None else []
    return next((str(address.ip) for address in found if address.version == 4), "")


def _translates(gateway: GatewayModel | None) -> bool:
    return gateway is not None and gateway.enable_snat


def _untranslated(gateway: GatewayModel | None) -> tuple[list[str], list[str]]:
    """The prefixes of its address scope, and what is wrong with others."""
    found: list[str] = []
    problems: list[str] = []
    for text in gateway.same_scope if gateway is not None else ():
        try:
            prefix = clean_network(text)
        except ValueError as why:
            problems.append(f"prefix {text!r} of the address scope left out: {why}")
            continue
        if prefix.version == 4:
            found.append(str(prefix))
    return found, problems


def _routes(
    router: RouterModel, devices: Iterable[Device], gateway: Device | None
) -> tuple[tuple[Route, ...], list[str]]:
    """The default routes, and the extra ones, which come before them."""
    found: dict[str, Route] = {}
    problems: list[str] = []
    if router.gateway is not None and gateway is not None:
        for text in router.gateway.next_hops:
            hop = clean_ip(text)
            destination = DEFAULT[6 if ":" in hop else 4]
            found[destination] = Route(destination, hop, gateway.name)
    near = [(parse_interface(a), device.name) for device in devices for a in device.addresses]
    for destination, hop in router.routes:
        try:
            route = _extra(clean_network(destination), clean_ip(hop), near)
            found[route.destination] = route
        except ValueError as why:
            problems.append(f"route to {destination!r} by way of {hop!r} left out: {why}")
    return tuple(found.values()), problems


def _extra(destination: IPNetwork, hop: str, near: list[tuple[IPInterface, str]]) -> Route:
    if any(own.network == destination for own, _name in near):
        raise ValueError("the router is on that network itself")
    at = parse_address(hop)
    if any(own.ip == at for own, _name in near):
        raise ValueError("the next hop is the router itself")
    for own, name in near:
        if own.version == at.version == destination.version and at in own.network:
            return Route(str(destination), hop, name)
    raise ValueError("the next hop is on none of its networks")

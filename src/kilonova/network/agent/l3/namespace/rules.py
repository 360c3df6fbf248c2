"""What a router translates: floating IPs, port forwardings, leaving with the router's own address. Pure.

The namespace is the router's alone, so its tables are written whole, in the words of `iptables-save`: what is there can be
compared with what should be. Lines are made of checked values and checked once more."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from kilonova.core.addresses import parse_address
from kilonova.network.agent.model import PortForwardingModel, RouterModel
from kilonova.network.agent.system.names import METADATA_ADDRESS, ROUTER_METADATA_PORT, clean_line

PROTOCOLS = ("tcp", "udp", "sctp", "dccp")
FROM_OUTSIDE = "0x1/0x1"  # the packet mark, inside the namespace, of what the gateway's device got


class Forwarding(msgspec.Struct, frozen=True):
    """`target` is what iptables calls it: `10.0.0.5:80` or, of a range, `10.0.0.5:80-90/8080` (8080 is the first outer port)."""

    protocol: str
    first: int
    last: int
    inside: str
    target: str


class Floating(msgspec.Struct, frozen=True):
    """`fixed` is "" where only `forwardings` lead in."""

    address: str
    fixed: str
    forwardings: tuple[Forwarding, ...] = ()


def readable(router: RouterModel) -> tuple[tuple[Floating, ...], list[str]]:
    """The floating IPs and forwardings that can be made, and what is wrong with the others."""
    found: list[Floating] = []
    problems: list[str] = []
    if router.floating_ips and router.gateway is None:
        return (), ["its floating IPs are left out: it has no gateway"]
    for floating in router.floating_ips:
        forwardings: list[Forwarding] = []
        for one in floating.port_forwardings:
            try:
                forwardings.append(_forwarding(one))
            except ValueError as why:
                problems.append(f"port forwarding {one.id!r} left out: {why}")
        try:
            fixed = _v4(floating.fixed_ip_address) if floating.fixed_ip_address else ""
            found.append(Floating(_v4(floating.floating_ip_address), fixed, tuple(forwardings)))
        except ValueError as why:
            problems.append(f"floating IP {floating.id!r} left out: {why}")
    return tuple(found), problems


def _v4(text: str) -> str:
    address = parse_address(text)
    if not isinstance(address, ipaddress.IPv4Address):
        raise ValueError(f"{address} is no IPv4 address")
    return str(address)


def _forwarding(one: PortForwardingModel) -> Forwarding:
    (first, last), (inner_first, inner_last) = one.external_ports, one.internal_ports
    inside = _v4(one.internal_ip_address)
    if one.protocol not in PROTOCOLS:
        raise ValueError(f"unknown protocol {one.protocol!r}")
    if not (1 <= first <= last <= 65535 and 1 <= inner_first <= inner_last <= 65535):
        raise ValueError("ports are from 1 to 65535")
    if inner_first == inner_last:
        return Forwarding(one.protocol, first, last, inside, f"{inside}:{inner_first}")
    if inner_last - inner_first != last - first:
        raise ValueError("the ranges have different lengths")
    shift = "" if inner_first == first else f"/{first}"
    return Forwarding(one.protocol, first, last, inside, f"{inside}:{inner_first}-{inner_last}{shift}")


def restore_text(
    gateway: str, source: str, floating: Iterable[Floating], *, snat: bool, untranslated: Sequence[str] = ()
) -> str:
    """What `iptables-restore` reads. `gateway` is the device on the external network ("": there is none), `source` its IPv4
    address ("": it has none); with `snat` guests without a floating IP leave with it, but for those in the prefixes
    `untranslated`, which are known outside."""
    floating = tuple(floating)
    tables = {
        "mangle": ("PREROUTING", [f"-A PREROUTING -i {gateway} -j MARK --set-xmark {FROM_OUTSIDE}"] if gateway else []),
        "nat": ("PREROUTING OUTPUT POSTROUTING", list(_nat(gateway, source, floating, untranslated, snat=snat))),
        "filter": ("INPUT FORWARD", list(_filter(gateway if source and snat else "", untranslated))),
    }
    lines = []
    for table, (chains, found) in tables.items():
        lines += [
            f"*{table}",
            *(f":{chain} ACCEPT [0:0]" for chain in chains.split()),
            *map(clean_line, found),
            "COMMIT",
        ]
    return "\n".join([*lines, ""])


def _nat(
    gateway: str, source: str, floating: tuple[Floating, ...], untranslated: Sequence[str], *, snat: bool
) -> Iterator[str]:
    yield (
        f"-A PREROUTING -d {METADATA_ADDRESS}/32 -i qr-+ -p tcp -m tcp --dport 80 "
        f"-j REDIRECT --to-ports {ROUTER_METADATA_PORT}"
    )
    if not gateway:
        return
    for one in floating:
        yield from (f"-A {chain} {words}" for words in _inward(one) for chain in ("PREROUTING", "OUTPUT"))
    yield f"-A POSTROUTING ! -o {gateway} -m conntrack ! --ctstate DNAT -j ACCEPT"
    for one in floating:
        if one.fixed:
            yield f"-A POSTROUTING -s {one.fixed}/32 -j SNAT --to-source {one.address}"
    if source and snat:
        yield from (f"-A POSTROUTING -s {prefix} -o {gateway} -j ACCEPT" for prefix in untranslated)
        yield f"-A POSTROUTING -o {gateway} -j SNAT --to-source {source}"
    if source:  # from one of its guests to another's floating IP: answers must come back through here
        yield f"-A POSTROUTING -m mark ! --mark {FROM_OUTSIDE} -m conntrack --ctstate DNAT -j SNAT --to-source {source}"


def _inward(one: Floating) -> Iterator[str]:
    for f in one.forwardings:
        ports = str(f.first) if f.first == f.last else f"{f.first}:{f.last}"
        match = (
            f"-p {f.protocol} -m {'multiport --dports' if f.protocol in ('sctp', 'dccp') else f'{f.protocol} --dport'}"
        )
        yield f"-d {one.address}/32 {match} {ports} -j DNAT --to-destination {f.target}"
    if one.fixed:
        yield f"-d {one.address}/32 -j DNAT --to-destination {one.fixed}"


def _filter(translating: str, untranslated: Sequence[str]) -> Iterator[str]:
    """Metadata is reached by its own address alone. Where inner addresses are translated (`translating` is the gateway's device)
    they are not seen outside, and are no way in: nothing leaves that belongs to no connection, nor comes in untranslated."""
    yield (
        f"-A INPUT -p tcp -m tcp --dport {ROUTER_METADATA_PORT} -m conntrack ! --ctorigdst {METADATA_ADDRESS} -j DROP"
    )
    if translating:
        yield f"-A FORWARD -o {translating} -m conntrack --ctstate INVALID -j DROP"
        yield from (f"-A FORWARD -d {prefix} -i {translating} -j ACCEPT" for prefix in untranslated)
        yield f"-A FORWARD -i {translating} -m conntrack --ctstate NEW -m conntrack ! --ctstate DNAT -j DROP"

"""Anti-spoofing at layer 2: one nft table in the bridge family, replaced as a whole. Pure.

It runs before the bridge hands packets to iptables, so what is forged here never reaches connection tracking."""

from __future__ import annotations

import ipaddress

import msgspec

from kilonova.network.agent.bridge.names import clean_ip, clean_mac, clean_network, link_local, memo
from kilonova.network.agent.model import HostModel, PortModel, tap_name

DROPS = (
    "ether type != { ip, ip6, arp } drop",
    "udp sport 67 udp dport 68 drop",
    "udp sport 547 udp dport 546 drop",
    "icmpv6 type { nd-router-advert, nd-redirect } drop",
)


@memo
def unusable(port: PortModel) -> str:
    """Why the port's own addresses can't be used, "" when they can."""
    try:
        _sources(port)
    except ValueError as why:
        return str(why)
    return ""


def _sources(port: PortModel) -> dict[str, tuple[list[str], list[str]]]:
    """MAC → the IPv4 and the IPv6 prefixes it may send from."""
    mac = clean_mac(port.mac_address)
    pairs = [(mac, clean_ip(ip.ip_address)) for ip in port.fixed_ips]
    pairs += [(clean_mac(pair.mac_address or mac), pair.ip_address) for pair in port.allowed_address_pairs]
    found: dict[str, tuple[list[str], list[str]]] = {mac: ([], [])}
    for source, prefix in pairs:
        network = clean_network(prefix)
        found.setdefault(source, ([], []))[0 if network.version == 4 else 1].append(str(network))
    for source, (_v4, v6) in found.items():
        v6.append(f"{link_local(source)}/128")
    return {source: (_collapse(v4), _collapse(v6)) for source, (v4, v6) in found.items()}


def _collapse(prefixes: list[str]) -> list[str]:
    """Without overlaps, which nft's sets refuse."""
    v4 = [ipaddress.IPv4Network(p) for p in prefixes if ":" not in p]
    v6 = [ipaddress.IPv6Network(p) for p in prefixes if ":" in p]
    return [str(n) for n in ipaddress.collapse_addresses(v4)] + [str(n) for n in ipaddress.collapse_addresses(v6)]


def _target(prefix: str) -> str:
    """A prefix as the 128-bit number or range that a raw payload is compared with."""
    network = ipaddress.IPv6Network(prefix)
    first, last = int(network.network_address), int(network.broadcast_address)
    return f"0x{first:032x}" if first == last else f"0x{first:032x}-0x{last:032x}"


@memo
def port_rules(port: PortModel) -> tuple[str, ...]:
    """The rules for frames that come from this port's tap."""
    if not port.admin_state_up or unusable(port):
        return ("drop",)
    sources = _sources(port)
    rules = [*DROPS, f"ether saddr != {{ {', '.join(sources)} }} drop"]
    for mac, (v4, v6) in sources.items():
        mine = f"ether saddr {mac}"
        if v4:
            rules.append(f"{mine} arp saddr ether {mac} arp saddr ip {{ {', '.join(v4)} }} accept")
            rules.append(f"{mine} ip saddr {{ {', '.join(v4)} }} accept")
        rules.append(f"{mine} arp operation request arp saddr ether {mac} arp saddr ip 0.0.0.0 accept")
        rules.append(f"{mine} ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept")
        targets = ", ".join(_target(p) for p in v6)
        rules.append(f"{mine} icmpv6 type nd-neighbor-advert @th,64,128 != {{ {targets} }} drop")
        rules.append(f"{mine} ip6 saddr {{ {', '.join(v6)} }} accept")
        rules.append(f"{mine} ip6 saddr :: icmpv6 type {{ nd-neighbor-solicit, 131, 132, 143 }} accept")
    return (*rules, "drop")


class L2(msgspec.Struct, frozen=True):
    """Compiled: the rules for each tap that has filters, and the taps that get nothing either."""

    taps: dict[str, tuple[str, ...]] = {}
    down: frozenset[str] = frozenset()


def compile_l2(state: HostModel) -> L2:
    ports = [p for n in state.networks for p in n.ports if p.local]
    return L2(
        {tap_name(p.id): port_rules(p) for p in ports if p.port_security_enabled or not p.admin_state_up},
        frozenset(tap_name(p.id) for p in ports if not p.admin_state_up),
    )


def chain(tap: str) -> str:
    return f"p-{tap.removeprefix('tap')}"


def removal(table: str) -> str:
    """A script after which the table is not there, whether it was or not."""
    return f"table bridge {table}\ndelete table bridge {table}\n"


def script(new: L2, table: str) -> str:
    """The script that replaces the table by what `new` says."""
    return (
        removal(table)
        + f"""\
table bridge {table} {{
 map ports {{
  type ifname : verdict
 }}
 set down {{
  type ifname
 }}
 chain from-guest {{
  type filter hook prerouting priority -300; policy accept;
  iifname vmap @ports
 }}
 chain to-guest {{
  type filter hook postrouting priority 0; policy accept;
  oifname @down drop
 }}
}}
"""
        + change(L2(), new, table)
    )


def change(old: L2, new: L2, table: str) -> str:
    """The script that leads from `old` to `new` in one transaction, "" when they are equal."""
    lines = []
    for tap, rules in new.taps.items():
        if old.taps.get(tap) != rules:
            name = f"{table} {chain(tap)}"
            lines += [f"add chain bridge {name}", f"flush chain bridge {name}"]
            lines += [f"add rule bridge {name} {rule}" for rule in rules]
    lines += _elements("add", table, [tap for tap in new.taps if tap not in old.taps])
    gone = [tap for tap in old.taps if tap not in new.taps]
    lines += _elements("delete", table, gone)
    lines += [f"delete chain bridge {table} {chain(tap)}" for tap in gone]
    for verb, taps in (("add", new.down - old.down), ("delete", old.down - new.down)):
        lines += [f'{verb} element bridge {table} down {{ "{tap}" }}' for tap in sorted(taps)]
    return "".join(f"{line}\n" for line in lines)


def _elements(verb: str, table: str, taps: list[str]) -> list[str]:
    items = ", ".join(f'"{tap}" : jump {chain(tap)}' for tap in taps)
    return [f"{verb} element bridge {table} ports {{ {items} }}"] if items else []

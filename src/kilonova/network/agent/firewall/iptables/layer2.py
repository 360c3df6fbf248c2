"""Anti-spoofing and QoS at layer 2: one nft table in the bridge family, replaced as a whole. Pure.

It runs before the bridge hands packets to iptables, so what is forged here never reaches connection tracking."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping

import msgspec

from kilonova.network.agent.firewall.iptables.qos import compile_qos
from kilonova.network.agent.model import HostModel, NetworkModel, PortModel, tap_name
from kilonova.network.agent.system.names import (
    METADATA_ADDRESS,
    clean_ip,
    clean_mac,
    clean_network,
    link_local,
    memo,
    physical_link,
    vxlan_link,
)

RARP = "0x8035"
"""By it a hypervisor says, after a live migration, where its guest's MAC address is now. Nothing answers it."""
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
    found = [clean_network(prefix) for prefix in prefixes]
    v4 = [network for network in found if isinstance(network, ipaddress.IPv4Network)]
    v6 = [network for network in found if isinstance(network, ipaddress.IPv6Network)]  # noqa: TID251 - parses nothing
    return [str(n) for n in ipaddress.collapse_addresses(v4)] + [str(n) for n in ipaddress.collapse_addresses(v6)]


def _target(prefix: str) -> str:
    """A prefix as the 128-bit number or range that a raw payload is compared with."""
    network = clean_network(prefix)
    first, last = int(network.network_address), int(network.broadcast_address)
    return f"0x{first:032x}" if first == last else f"0x{first:032x}-0x{last:032x}"


@memo
def port_rules(port: PortModel) -> tuple[str, ...]:
    """The rules for frames that come from this port's tap."""
    if not port.admin_state_up or unusable(port):
        return ("drop",)
    sources = _sources(port)
    announced = (f"ether type {RARP} ether saddr {mac} accept" for mac in sources)
    rules = [*announced, *DROPS, f"ether saddr != {{ {', '.join(sources)} }} drop"]
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


def tunnel_rules(network: NetworkModel) -> tuple[str, ...]:
    """What may not cross to other hosts, either way: each has a DHCP server and a metadata address of its own, of the same
    names as ours. Nothing may where these can't be read."""
    try:
        served = [clean_ip(s.dhcp_ip) for s in network.subnets if s.dhcp_ip]
        if not served or not network.dhcp_mac:
            return ()
        mac = clean_mac(network.dhcp_mac)
    except ValueError:
        return ("drop",)
    v4 = [ip for ip in served if ":" not in ip]
    v6 = [f"{ip}/128" for ip in (*served, link_local(mac)) if ":" in ip]
    rules = [f"ether saddr {mac} drop", f"ether daddr {mac} drop"]
    if v4:
        addresses = ", ".join(dict.fromkeys((*v4, METADATA_ADDRESS)))
        rules += ["udp sport 68 udp dport 67 drop", f"arp daddr ip {{ {addresses} }} drop"]
        rules += [f"arp saddr ip {{ {addresses} }} drop"]
    if len(v6) > 1:
        rules += ["udp sport 546 udp dport 547 drop"]
    targets = ", ".join(_target(ip) for ip in dict.fromkeys(v6))
    return (*rules, f"icmpv6 type nd-neighbor-solicit @th,64,128 {{ {targets} }} drop")


def way_out(network: NetworkModel, prefix: str) -> str:
    """The device by which a network's frames leave the host; "" where they do not."""
    if network.segmentation_id is not None:
        return vxlan_link(prefix, network.segmentation_id)
    return physical_link(network.id) if network.physical_network else ""


class L2(msgspec.Struct, frozen=True):
    """Compiled: the rules for each tap that has filters, the taps that get nothing either, and for each device that leads to
    other hosts (a tunnel, or the wire to a physical network) the rules for both ways. `sends` and `gets` are QoS policies' rules
    for each tap: for packets from the guest, and to it."""

    taps: dict[str, tuple[str, ...]] = {}
    down: frozenset[str] = frozenset()
    tunnels: dict[str, tuple[str, ...]] = {}
    sends: dict[str, tuple[str, ...]] = {}
    gets: dict[str, tuple[str, ...]] = {}

    def _maps(self) -> dict[str, tuple[str, dict[str, tuple[str, ...]]]]:
        """Map → (what the names of its chains begin with, device → rules)."""
        return {
            "ports": ("p-", self.taps), "tunnels": ("t-", self.tunnels), "sends": ("e-", self.sends), "gets": ("i-", self.gets),
        }  # fmt: skip

    def chains(self) -> dict[str, tuple[str, ...]]:
        return {
            first + device.removeprefix("tap"): rules
            for first, devices in self._maps().values()
            for device, rules in devices.items()
        }

    def elements(self) -> dict[str, dict[str, str]]:
        """Map → device → chain."""
        return {
            name: {device: first + device.removeprefix("tap") for device in devices}
            for name, (first, devices) in self._maps().items()
        }


def compile_l2(state: HostModel, prefix: str) -> L2:
    ports = [p for n in state.networks for p in n.ports if p.local]
    return L2(
        {tap_name(p.id): port_rules(p) for p in ports if p.port_security_enabled or not p.admin_state_up},
        frozenset(tap_name(p.id) for p in ports if not p.admin_state_up),
        {device: tunnel_rules(n) for n in state.networks if (device := way_out(n, prefix))},
        *compile_qos(state),
    )


def closed(wanted: L2, refused: Collection[tuple[str, str]]) -> L2:
    """Without the chains in which one of the refused (chain, rule) is: they drop everything. A limit or mark that
    is refused is left out: that stops no traffic."""

    def rules(chain: str, found: tuple[str, ...]) -> tuple[str, ...]:
        return ("drop",) if any((chain, rule) in refused for rule in found) else found

    taps = {tap: rules(f"p-{tap.removeprefix('tap')}", found) for tap, found in wanted.taps.items()}
    tunnels = {device: rules(f"t-{device}", found) for device, found in wanted.tunnels.items()}

    def kept(first: str, held: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        return {
            tap: tuple(rule for rule in found if (first + tap.removeprefix("tap"), rule) not in refused)
            for tap, found in held.items()
        }

    return L2(taps, wanted.down, tunnels, kept("e-", wanted.sends), kept("i-", wanted.gets))


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
 map tunnels {{
  type ifname : verdict
 }}
 map sends {{
  type ifname : verdict
 }}
 map gets {{
  type ifname : verdict
 }}
 set down {{
  type ifname
 }}
 chain from-guest {{
  type filter hook prerouting priority -300; policy accept;
  iifname vmap @ports
  iifname vmap @tunnels
 }}
 chain to-guest {{
  type filter hook postrouting priority 0; policy accept;
  oifname @down drop
  oifname vmap @tunnels
 }}
 chain qos-sends {{
  type filter hook prerouting priority -299; policy accept;
  iifname vmap @sends
 }}
 chain qos-gets {{
  type filter hook postrouting priority 1; policy accept;
  oifname vmap @gets
 }}
}}
"""
        + change(L2(), new, table)
    )


def change(old: L2, new: L2, table: str) -> str:
    """The script that leads from `old` to `new` in one transaction, "" when they are equal."""
    lines = []
    before, after = old.chains(), new.chains()
    for name, rules in after.items():
        if before.get(name) != rules:
            lines += [f"add chain bridge {table} {name}", f"flush chain bridge {table} {name}"]
            lines += [f"add rule bridge {table} {name} {rule}" for rule in rules]
    had, has = old.elements(), new.elements()
    for name in has:
        lines += _elements("add", f"{table} {name}", {k: v for k, v in has[name].items() if k not in had[name]})
        lines += _elements("delete", f"{table} {name}", {k: v for k, v in had[name].items() if k not in has[name]})
    lines += [f"delete chain bridge {table} {name}" for name in before if name not in after]
    for verb, taps in (("add", new.down - old.down), ("delete", old.down - new.down)):
        lines += [f'{verb} element bridge {table} down {{ "{tap}" }}' for tap in sorted(taps)]
    return "".join(f"{line}\n" for line in lines)


def _elements(verb: str, name: str, chains: dict[str, str]) -> list[str]:
    items = ", ".join(f'"{device}" : jump {chain}' for device, chain in chains.items())
    return [f"{verb} element bridge {name} {{ {items} }}"] if items else []

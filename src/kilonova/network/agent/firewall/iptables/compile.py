"""HostModel → filters, purely: chains for iptables and ip6tables, and what one nft
table does at layer 2.

docs/explanation/network.md draws the chains. A rule that can't be expressed is left out (it admits nothing) and named in
`problems`; a port whose addresses can't be read gets chains that drop everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from kilonova.network.agent.dataplane import Fault
from kilonova.network.agent.firewall.iptables import layer2
from kilonova.network.agent.firewall.iptables.rules import match, version_of
from kilonova.network.agent.model import (
    HostModel,
    NetworkModel,
    PortModel,
    RuleModel,
    SecurityGroupModel,
    bridge_name,
    tap_name,
)
from kilonova.network.agent.system.names import clean_ip, clean_mac, clean_network, hex_id, link_local, memo

Chains = dict[str, tuple[str, ...]]  # chain → rules without "-A chain"
Tables = dict[str, Chains]  # raw, filter

# Neighbour discovery and multicast listeners: without them IPv6 does not work at all. Advertisements of routers and
# forged neighbours from guests are dropped at layer 2.
ND_FROM_GUEST = (131, 132, 133, 135, 136, 143)
ND_TO_GUEST = (130, 131, 132, 134, 135, 136)


class Filters(msgspec.Struct, frozen=True):
    """Compiled filters of a host; `l2` None: no table at all."""

    tables: dict[int, Tables]  # 4, 6
    l2: layer2.L2 | None
    problems: tuple[Fault, ...]


class Names(msgspec.Struct, frozen=True):
    """Of chains, with the bit that marks what an egress rule allows."""

    prefix: str
    mark: int

    def chain(self, kind: str, key: str = "") -> str:
        return f"{self.prefix}-{kind}-{key}" if key else f"{self.prefix}-{kind}"

    @property
    def bit(self) -> str:
        return f"0x{self.mark:x}/0x{self.mark:x}"


class PortPart(msgspec.Struct, frozen=True):
    """What a local port has in one family: its chains, and a rule in each of the chains that lead to them."""

    chains: tuple[tuple[str, tuple[str, ...]], ...]
    sent: str
    received: str


class Compiler:
    """One compilation; `zones` gives each network its conntrack zone."""

    def __init__(self, state: HostModel, zones: Mapping[str, int], names: Names) -> None:
        self.state, self.zones, self.names = state, zones, names
        self.chain = names.chain
        self.groups = {g.id: g for g in state.security_groups}
        self.problems: dict[Fault, None] = {}

    def compile(self) -> Filters:
        if not self.state.networks:
            return Filters({4: {}, 6: {}}, None, ())
        tables = self.tables()
        return Filters(tables, layer2.compile_l2(self.state, self.names.prefix), tuple(self.problems))

    def problem(self, kind: str, id: str, reason: str) -> None:
        self.problems[Fault(kind=kind, id=id, reason=reason, lasting=True)] = None

    def tables(self) -> dict[int, Tables]:
        """Both families, each port looked at once."""
        raw = tuple(f"-i {bridge_name(n.id)} -j CT --zone {self.zones[n.id]}" for n in self.state.networks)
        ports: dict[int, Chains] = {4: {}, 6: {}}
        sent: dict[int, list[str]] = {4: [], 6: []}
        received: dict[int, list[str]] = {4: [], 6: []}
        used: dict[str, None] = {}
        for network in self.state.networks:
            servers = {version: dhcp_servers(network, version) for version in ports}
            for port in network.ports:
                if port.local:
                    groups = self.port_groups(port)
                    used.update(dict.fromkeys(groups))
                    for version, chains in ports.items():
                        part = compile_port(port, groups, servers[version], version, self.names, self.tracked(groups))
                        chains.update(part.chains)
                        sent[version].append(part.sent)
                        received[version].append(part.received)
        return {
            version: {
                "raw": {self.chain("raw"): raw},
                "filter": self.filter_table(version, ports[version], sent[version], received[version], used),
            }
            for version in ports
        }

    def filter_table(
        self, version: int, ports: Chains, sent: list[str], received: list[str], used: Iterable[str]
    ) -> Chains:
        chains: Chains = {
            self.chain("forward"): self.forward(),
            self.chain("input"): (f"-m physdev --physdev-in tap+ -j {self.chain('from')}",),
            self.chain("from"): (*sent, *self.unknown("-i")),
            self.chain("to"): (*received, *self.unknown("-o")),
            self.chain("allow"): (f"-j MARK --set-xmark {self.names.bit}",),
            **ports,
        }
        for group_id in used:
            self.add_group(chains, self.groups[group_id], version)
        return chains

    def forward(self) -> tuple[str, ...]:
        """Source's egress first, which returns what it allows; then the target's ingress; the rest of a bridge's
        traffic (uplinks, namespaces) is no business of the host's own rules."""
        return (
            f"-m physdev --physdev-in tap+ -j {self.chain('from')}",
            f"-m physdev --physdev-out tap+ --physdev-is-bridged -j {self.chain('to')}",
            *(f"-i {bridge_name(n.id)} -m physdev --physdev-is-bridged -j ACCEPT" for n in self.state.networks),
        )

    def unknown(self, side: str) -> Iterable[str]:
        """Taps that are no port's may send and receive nothing on our bridges."""
        return (f"{side} {bridge_name(n.id)} -j DROP" for n in self.state.networks)

    def port_groups(self, port: PortModel) -> tuple[str, ...]:
        """Those of its groups that are known; names what is wrong with the port."""
        if not filtered(port):
            return ()
        if problem := layer2.unusable(port):
            self.problem("port", port.id, f"{problem}; everything is dropped")
        if all(map(self.groups.__contains__, port.security_groups)):
            return port.security_groups
        for group_id in port.security_groups:
            if group_id not in self.groups:
                self.problem("security group", group_id, f"not in the state; port {port.id} is in it")
        return tuple(g for g in port.security_groups if g in self.groups)

    def tracked(self, groups: tuple[str, ...]) -> bool:
        """Whether answers pass by the connection that they belong to."""
        return not any(rule.stateless for group in groups for rule in self.groups[group].rules)

    def add_group(self, chains: Chains, group: SecurityGroupModel, version: int) -> None:
        """The group's two chains, shared by its ports, and those of the members its rules refer to."""
        ingress: list[str] = []
        egress: list[str] = []
        for rule in group.rules:
            try:
                if version_of(rule) != version:
                    continue
                words = match(rule)
                target = self.target(chains, rule, version)
            except ValueError as why:
                self.problem("security group", group.id, f"rule {rule.id}: {why}; the rule admits nothing")
                continue
            (ingress if rule.direction == "ingress" else egress).append(f"{words} {target}".strip())
        chains[self.chain("gi", hex_id(group.id))] = tuple(dict.fromkeys(ingress))
        chains[self.chain("go", hex_id(group.id))] = tuple(dict.fromkeys(egress))

    def target(self, chains: Chains, rule: RuleModel, version: int) -> str:
        ingress = rule.direction == "ingress"
        allow = "-j ACCEPT" if ingress else f"-g {self.chain('allow')}"
        if not rule.remote_group_id:
            return allow
        if rule.remote_group_id not in self.groups:
            raise ValueError(f"remote group {rule.remote_group_id} is not in the state")
        name = self.chain("ms" if ingress else "md", hex_id(rule.remote_group_id))
        if name not in chains:
            members = self.members(rule.remote_group_id, version)
            chains[name] = tuple(_member_rule("-s" if ingress else "-d", member, allow) for member in members)
        return f"-j {name}"

    def members(self, group_id: str, version: int) -> list[str]:
        found: dict[str, None] = {}
        for text in self.groups[group_id].members:
            try:
                if (member := _member(text))[1] == version:
                    found[member[0]] = None
            except ValueError:
                self.problem("security group", group_id, f"member {text!r} is no address")
        return list(found)


@memo
def _member(text: str) -> tuple[str, int]:
    """An address or prefix as iptables prints it, and its version; raises ValueError."""
    network = clean_network(text)
    return str(network), network.version


@memo
def _member_rule(side: str, member: str, verdict: str) -> str:
    return f"{side} {member} {verdict}"


def filtered(port: PortModel) -> bool:
    return port.port_security_enabled or not port.admin_state_up


@memo
def compile_port(
    port: PortModel, groups: tuple[str, ...], dhcp: tuple[str, ...], version: int, names: Names, tracked: bool
) -> PortPart:
    """`groups` are those of its groups that have chains, `dhcp` the addresses that DHCP answers come from."""
    key, tap = port.id[:11], tap_name(port.id)
    sent, received = f"-m physdev --physdev-in {tap}", f"-m physdev --physdev-out {tap} --physdev-is-bridged"
    if not filtered(port):
        return PortPart((), f"{sent} -j RETURN", f"{received} -j ACCEPT")
    outward, inward = names.chain("o", key), names.chain("i", key)
    usable = port.admin_state_up and not layer2.unusable(port)
    chains = (
        (outward, from_port(groups, version, names, tracked=tracked) if usable else ("-j DROP",)),
        (inward, to_port(groups, dhcp, version, names, tracked=tracked) if usable else ("-j DROP",)),
    )
    return PortPart(chains, f"{sent} -g {outward}", f"{received} -g {inward}")


def from_port(groups: tuple[str, ...], version: int, names: Names, *, tracked: bool) -> tuple[str, ...]:
    return (
        f"-j MARK --set-xmark 0x0/0x{names.mark:x}",
        *essentials(version, ND_FROM_GUEST, "RETURN"),
        *by_connection("RETURN", tracked=tracked),
        f"-p udp -m udp --sport {68 if version == 4 else 546} --dport {67 if version == 4 else 547} -j RETURN",
        *(
            rule
            for group in groups
            for rule in (f"-j {names.chain('go', hex_id(group))}", f"-m mark --mark {names.bit} -j RETURN")
        ),
        "-j DROP",
    )


def to_port(
    groups: tuple[str, ...], dhcp: tuple[str, ...], version: int, names: Names, *, tracked: bool
) -> tuple[str, ...]:
    ports = (67, 68) if version == 4 else (547, 546)
    return (
        *essentials(version, ND_TO_GUEST, "ACCEPT"),
        *by_connection("ACCEPT", tracked=tracked),
        *(f"-s {source} -p udp -m udp --sport {ports[0]} --dport {ports[1]} -j ACCEPT" for source in dhcp),
        *(f"-j {names.chain('gi', hex_id(group))}" for group in groups),
        "-j DROP",
    )


def by_connection(verdict: str, *, tracked: bool) -> list[str]:
    if not tracked:
        return []
    return ["-m conntrack --ctstate INVALID -j DROP", f"-m conntrack --ctstate RELATED,ESTABLISHED -j {verdict}"]


def essentials(version: int, kinds: tuple[int, ...], verdict: str) -> list[str]:
    if version == 4:
        return []
    return [
        f"{'-s fe80::/10 ' if kind == 134 else ''}-p ipv6-icmp -m icmp6 --icmpv6-type {kind} -j {verdict}"
        for kind in kinds
    ]


def dhcp_servers(network: NetworkModel, version: int) -> tuple[str, ...]:
    """Addresses that DHCP answers may come from, with prefix length."""
    try:
        if version == 4:
            found = [clean_ip(s.dhcp_ip) for s in network.subnets if s.dhcp_ip and s.ip_version == 4 and s.enable_dhcp]
            return tuple(f"{ip}/32" for ip in dict.fromkeys(found))
        return (f"{link_local(clean_mac(network.dhcp_mac))}/128",) if network.dhcp_mac else ()
    except ValueError:
        return ()


def compile_filters(state: HostModel, *, zones: Mapping[str, int], prefix: str = "kn", mark: int = 0x10000) -> Filters:
    """All filters of a host; the ids in `state` are uuids (see `names.readable`)."""
    return Compiler(state, zones, Names(prefix, mark)).compile()

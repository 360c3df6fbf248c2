"""HostModel → filters, purely: chains for iptables and ip6tables, and what one nft
table does at layer 2.

docs/explanation/network.md draws the chains. A rule that can't be expressed is left out (it admits nothing) and named in
`problems`; a port whose addresses can't be read gets chains that drop everything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

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
from kilonova.network.agent.system.names import clean_ip, clean_mac, clean_network, hex_id, link_local

Chains = dict[str, tuple[str, ...]]  # chain → rules without "-A chain"
Tables = dict[str, Chains]  # raw, filter
BUILTIN = {"raw": {"PREROUTING": "raw"}, "filter": {"FORWARD": "forward", "INPUT": "input"}}

# Neighbour discovery and multicast listeners: without them IPv6 does not work at all. Advertisements of routers and
# forged neighbours from guests are dropped at layer 2.
ND_FROM_GUEST = (131, 132, 133, 135, 136, 143)
ND_TO_GUEST = (130, 131, 132, 134, 135, 136)


class Filters(msgspec.Struct, frozen=True):
    """Compiled filters of a host; `l2` None: no table at all."""

    tables: dict[int, Tables]  # 4, 6
    l2: layer2.L2 | None
    problems: tuple[Fault, ...]


class Compiler:
    """One compilation; `zones` gives each network its conntrack zone."""

    def __init__(self, state: HostModel, zones: Mapping[str, int], prefix: str, mark: int) -> None:
        self.state, self.zones, self.prefix = state, zones, prefix
        self.bit = f"0x{mark:x}/0x{mark:x}"
        self.clear = f"-j MARK --set-xmark 0x0/0x{mark:x}"
        self.groups = {g.id: g for g in state.security_groups}
        self.problems: dict[Fault, None] = {}

    def compile(self) -> Filters:
        if not self.state.networks:
            return Filters({4: {}, 6: {}}, None, ())
        tables = {version: self.tables(version) for version in (4, 6)}
        return Filters(tables, layer2.compile_l2(self.state, self.prefix), tuple(self.problems))

    def problem(self, kind: str, id: str, reason: str) -> None:
        self.problems[Fault(kind=kind, id=id, reason=reason, lasting=True)] = None

    def chain(self, kind: str, key: str = "") -> str:
        return f"{self.prefix}-{kind}-{key}" if key else f"{self.prefix}-{kind}"

    def tables(self, version: int) -> Tables:
        raw = tuple(f"-i {bridge_name(n.id)} -j CT --zone {self.zones[n.id]}" for n in self.state.networks)
        chains: Chains = {
            self.chain("forward"): self.forward(),
            self.chain("input"): (f"-m physdev --physdev-in tap+ -j {self.chain('from')}",),
            self.chain("from"): self.dispatch("in"),
            self.chain("to"): self.dispatch("out"),
            self.chain("allow"): (f"-j MARK --set-xmark {self.bit}",),
        }
        used: dict[str, None] = {}
        for network in self.state.networks:
            for port in network.ports:
                if port.local and (port.port_security_enabled or not port.admin_state_up):
                    used.update(dict.fromkeys(self.port_groups(port)))
                    key = port.id[:11]
                    chains[self.chain("o", key)] = self.from_port(port, version)
                    chains[self.chain("i", key)] = self.to_port(network, port, version)
        for group_id in used:
            self.add_group(chains, self.groups[group_id], version)
        return {"raw": {self.chain("raw"): raw}, "filter": chains}

    def forward(self) -> tuple[str, ...]:
        """Source's egress first, which returns what it allows; then the target's ingress; the rest of a bridge's
        traffic (uplinks, namespaces) is no business of the host's own rules."""
        return (
            f"-m physdev --physdev-in tap+ -j {self.chain('from')}",
            f"-m physdev --physdev-out tap+ --physdev-is-bridged -j {self.chain('to')}",
            *(f"-i {bridge_name(n.id)} -m physdev --physdev-is-bridged -j ACCEPT" for n in self.state.networks),
        )

    def dispatch(self, way: str) -> tuple[str, ...]:
        """A goto for each port with filters; unknown taps of our bridges may send nothing."""
        kind, open_verdict, side = ("o", "RETURN", "-i") if way == "in" else ("i", "ACCEPT", "-o")
        suffix = "" if way == "in" else " --physdev-is-bridged"
        rules = []
        for port in self.local_ports():
            secured = port.port_security_enabled or not port.admin_state_up
            verdict = f"-g {self.chain(kind, port.id[:11])}" if secured else f"-j {open_verdict}"
            rules.append(f"-m physdev --physdev-{way} {tap_name(port.id)}{suffix} {verdict}")
        return (*rules, *(f"{side} {bridge_name(n.id)} -j DROP" for n in self.state.networks))

    def local_ports(self) -> Iterable[PortModel]:
        return (p for n in self.state.networks for p in n.ports if p.local)

    def port_groups(self, port: PortModel) -> list[str]:
        for group_id in port.security_groups:
            if group_id not in self.groups:
                self.problem("security group", group_id, f"not in the state; port {port.id} is in it")
        return [g for g in port.security_groups if g in self.groups]

    def usable(self, port: PortModel) -> bool:
        """Whether traffic may be let through at all."""
        problem = layer2.unusable(port)
        if problem:
            self.problem("port", port.id, f"{problem}; everything is dropped")
        return port.admin_state_up and not problem

    def from_port(self, port: PortModel, version: int) -> tuple[str, ...]:
        if not self.usable(port):
            return ("-j DROP",)
        return (
            self.clear,
            *essentials(version, ND_FROM_GUEST, "RETURN"),
            "-m conntrack --ctstate INVALID -j DROP",
            "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN",
            f"-p udp -m udp --sport {68 if version == 4 else 546} --dport {67 if version == 4 else 547} -j RETURN",
            *(
                rule
                for group in self.port_groups(port)
                for rule in (f"-j {self.chain('go', hex_id(group))}", f"-m mark --mark {self.bit} -j RETURN")
            ),
            "-j DROP",
        )

    def to_port(self, network: NetworkModel, port: PortModel, version: int) -> tuple[str, ...]:
        if not self.usable(port):
            return ("-j DROP",)
        ports = (67, 68) if version == 4 else (547, 546)
        return (
            *essentials(version, ND_TO_GUEST, "ACCEPT"),
            "-m conntrack --ctstate INVALID -j DROP",
            "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            *(
                f"-s {source} -p udp -m udp --sport {ports[0]} --dport {ports[1]} -j ACCEPT"
                for source in dhcp_servers(network, version)
            ),
            *(f"-j {self.chain('gi', hex_id(group))}" for group in self.port_groups(port)),
            "-j DROP",
        )

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
            chains[name] = tuple(f"{'-s' if ingress else '-d'} {member} {allow}" for member in members)
        return f"-j {name}"

    def members(self, group_id: str, version: int) -> list[str]:
        found = []
        for text in self.groups[group_id].members:
            try:
                found.append(clean_network(text))
            except ValueError:
                self.problem("security group", group_id, f"member {text!r} is no address")
        return [str(m) for m in dict.fromkeys(found) if m.version == version]


def essentials(version: int, kinds: tuple[int, ...], verdict: str) -> list[str]:
    if version == 4:
        return []
    return [
        f"{'-s fe80::/10 ' if kind == 134 else ''}-p ipv6-icmp -m icmp6 --icmpv6-type {kind} -j {verdict}"
        for kind in kinds
    ]


def dhcp_servers(network: NetworkModel, version: int) -> list[str]:
    """Addresses that DHCP answers may come from, with prefix length."""
    try:
        if version == 4:
            found = [clean_ip(s.dhcp_ip) for s in network.subnets if s.dhcp_ip and s.ip_version == 4 and s.enable_dhcp]
            return [f"{ip}/32" for ip in dict.fromkeys(found)]
        return [f"{link_local(clean_mac(network.dhcp_mac))}/128"] if network.dhcp_mac else []
    except ValueError:
        return []


def closed(prefix: str, tables: Tables, refused: Collection[tuple[str, str]]) -> Tables:
    """Without the refused (chain, rule): a port's chain that had one drops everything, a group's admits what its other rules
    admit."""
    if not refused:
        return tables
    ports = (f"{prefix}-i-", f"{prefix}-o-")
    chains = {}
    for chain, rules in tables.get("filter", {}).items():
        kept = tuple(rule for rule in rules if (chain, rule) not in refused)
        chains[chain] = ("-j DROP",) if len(kept) < len(rules) and chain.startswith(ports) else kept
    return tables | {"filter": chains}


def compile_filters(state: HostModel, *, zones: Mapping[str, int], prefix: str = "kn", mark: int = 0x10000) -> Filters:
    """All filters of a host; the ids in `state` are uuids (see `names.readable`)."""
    return Compiler(state, zones, prefix, mark).compile()


def restore_text(prefix: str, new: Tables, old: Mapping[str, Mapping[str, tuple[str, ...] | None]]) -> str:
    """What `iptables-restore --noflush` reads to get from `old` to `new` in one step, "" when they are equal.

    A chain in `old` whose rules are unknown (None) is written again; with `old` empty the text is complete. The jumps
    from the built-in chains are set when `old` lacks the chain they lead to."""
    return "".join(_table(prefix, table, new.get(table, {}), old.get(table, {})) for table in BUILTIN)


def _table(prefix: str, table: str, new: Chains, old: Mapping[str, tuple[str, ...] | None]) -> str:
    changed = [c for c in new if old.get(c) is None or old[c] != new[c]]
    gone = [c for c in old if c not in new]
    if not changed and not gone:
        return ""
    lines = [f"*{table}", *(f":{chain} - [0:0]" for chain in (*changed, *gone))]
    for builtin, kind in BUILTIN[table].items():
        hook = f"{prefix}-{kind}"
        if hook in gone:
            lines.append(f"-D {builtin} -j {hook}")
        elif hook in new and hook not in old:
            lines.append(f"-I {builtin} 1 -j {hook}")
    lines += [f"-A {chain} {rule}" for chain in changed for rule in new[chain]]
    return "\n".join([*lines, *(f"-X {chain}" for chain in gone), "COMMIT", ""])

"""Which connections a change of filters cuts. `iptables` only judges new ones: the old must be cut. Pure, but
for `cut`."""

from __future__ import annotations

import contextlib
import operator
import re
import zlib
from collections.abc import Iterable, Mapping

import msgspec

from kilonova.network.agent.firewall.iptables.rules import match, protocol_number, version_of
from kilonova.network.agent.model import HostModel, PortModel, RuleModel, SecurityGroupModel
from kilonova.network.agent.system.commands import run
from kilonova.network.agent.system.names import clean_ip, clean_network, memo

ENTRY = re.compile(r"^.*?src=(\S+) dst=(\S+)", re.M)  # the first direction of each connection


class Cut(msgspec.Struct, frozen=True):
    """Connections of an address in a zone: begun from it (egress) or to it (ingress), of one protocol or with one peer
    where these are given. Without an address: all of the zone."""

    zone: int
    ip: str = ""
    direction: str = ""
    protocol: int | None = None
    peer: str | None = None

    def argv(self, version: int) -> list[str]:
        words = ["-D", "-f", f"ipv{version}", "-w", str(self.zone)]
        if self.ip:
            own, other = ("-d", "-s") if self.direction == "ingress" else ("-s", "-d")
            words += [own, self.ip, *([other, self.peer] if self.peer else [])]
        return words + (["-p", str(self.protocol)] if self.protocol else [])

    def hits(self, entries: Entries) -> bool:
        """Whether a connection of these is meant; the protocol, and a peer that is a prefix, are left to the tool."""
        if not self.ip:
            return bool(entries.pairs)
        inbound = self.direction == "ingress"
        if self.peer and "/" not in self.peer:
            return ((self.peer, self.ip) if inbound else (self.ip, self.peer)) in entries.pairs
        return self.ip in (entries.targets if inbound else entries.sources)


class Entries(msgspec.Struct, frozen=True):
    """Connections of a zone: (source, destination), and each of these alone."""

    pairs: frozenset[tuple[str, str]]
    sources: frozenset[str]
    targets: frozenset[str]


def entries(listed: str) -> Entries:
    """Of what `conntrack -L` prints."""
    pairs = frozenset(ENTRY.findall(listed))
    return Entries(pairs, frozenset(source for source, _ in pairs), frozenset(target for _, target in pairs))


class Allowed(msgspec.Struct, frozen=True):
    """What a group allows: `rules` are (direction, version, text, protocol), `peers` members of remote groups. One for all ports
    of the group, as it may name thousands of members."""

    rules: frozenset[tuple[str, int, str, int | None]] = frozenset()
    peers: frozenset[tuple[str, str]] = frozenset()


class Permits(msgspec.Struct, frozen=True):
    """What one port may do: what its groups allow. A port without filters has `groups` None."""

    zone: int
    ips: frozenset[str]
    groups: tuple[Allowed, ...] | None


def assign_zones(networks: Iterable[str], known: dict[str, int]) -> dict[str, int]:
    """A zone (1 to 65535) for each network, kept while it is known, made of its id otherwise, never shared."""
    zones = {n: known[n] for n in networks if n in known}
    taken = set(zones.values())
    for network in networks:
        if network not in zones:
            zone = zlib.crc32(network.encode()) % 65535 + 1
            while zone in taken:
                zone = zone % 65535 + 1
            zones[network] = zone
            taken.add(zone)
    return zones


Named = tuple[tuple[str, tuple[str, ...]], ...]  # the groups that rules refer to: (direction, members)


class Permissions:
    """What ports may do, state after state: a group that did not change stays the same object."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[RuleModel, ...], Named, Allowed]] = {}

    def of(self, state: HostModel, zones: dict[str, int]) -> dict[str, Permits]:
        """Port id → what its filters allow."""
        members = {g.id: g.members for g in state.security_groups}
        self._known = {g.id: self._allowed(g, members) for g in state.security_groups}
        allowed = {group: known[2] for group, known in self._known.items()}
        return {
            port.id: Permits(zones[network.id], _ips(port), _groups(port, allowed))
            for network in state.networks
            for port in network.ports
            if port.local
        }

    def _allowed(
        self, group: SecurityGroupModel, members: Mapping[str, tuple[str, ...]]
    ) -> tuple[tuple[RuleModel, ...], Named, Allowed]:
        named = tuple((r.direction, members[g]) for r in group.rules if (g := r.remote_group_id) and g in members)
        known = self._known.get(group.id)
        if known is not None and known[:2] == (group.rules, named):
            return known
        peers = frozenset((way, member) for way, found in named for member in found)
        return group.rules, named, Allowed(frozenset(map(_rule, group.rules)), peers)


def _groups(port: PortModel, allowed: Mapping[str, Allowed]) -> tuple[Allowed, ...] | None:
    if not port.admin_state_up:
        return ()
    return tuple(allowed[g] for g in port.security_groups if g in allowed) if port.port_security_enabled else None


@memo
def _ips(port: PortModel) -> frozenset[str]:
    found = set()
    for fixed in port.fixed_ips:
        with contextlib.suppress(ValueError):
            found.add(clean_ip(fixed.ip_address))
    return frozenset(found)


@memo
def _rule(rule: RuleModel) -> tuple[str, int, str, int | None]:
    try:
        version = version_of(rule)
        number = protocol_number(rule.protocol, version) if rule.protocol not in (None, "", "any") else None
        return rule.direction, version, f"{match(rule)} {rule.remote_group_id or ''}", number
    except ValueError:
        return rule.direction, 0, rule.id, None


def cuts(old: dict[str, Permits], new: dict[str, Permits]) -> list[Cut]:
    """The connections that `old` allowed and `new` may not."""
    kept_zones = {p.zone for p in new.values()}
    found: dict[Cut, None] = {Cut(p.zone): None for p in old.values() if p.zone not in kept_zones}
    lost = _Lost()
    for port_id, before in old.items():
        after = new.get(port_id)
        if before.zone not in kept_zones or _same(before, after):
            continue
        kept = after.ips if after is not None and after.zone == before.zone else frozenset()
        for ip in sorted(before.ips - kept):
            found.update(dict.fromkeys(Cut(before.zone, ip, way) for way in ("ingress", "egress")))
        if after is None or after.groups is None:
            continue
        gone = lost(before.groups, after.groups) if before.groups is not None else None
        if gone != Allowed():
            for ip in sorted(before.ips & kept):
                found.update(dict.fromkeys(_port_cuts(ip, before.zone, gone)))
    return list(found)


def _same(before: Permits, after: Permits | None) -> bool:
    """Without a look into groups: what did not change is the same object."""
    if after is None or (before.zone, before.ips) != (after.zone, after.ips):
        return False
    if before.groups is None or after.groups is None:
        return before.groups is after.groups
    return len(before.groups) == len(after.groups) and all(map(operator.is_, before.groups, after.groups))


class _Lost:
    """What ports lose from one set of groups to another: found once for all that change in the same way."""

    def __init__(self) -> None:
        self._known: dict[tuple[tuple[int, ...], tuple[int, ...]], Allowed] = {}

    def __call__(self, before: tuple[Allowed, ...], after: tuple[Allowed, ...]) -> Allowed:
        key = tuple(map(id, before)), tuple(map(id, after))
        if key not in self._known:
            self._known[key] = Allowed(
                frozenset().union(*(g.rules for g in before)).difference(*(g.rules for g in after)),
                frozenset().union(*(g.peers for g in before)).difference(*(g.peers for g in after)),
            )
        return self._known[key]


def _peer(member: str) -> str:
    """As conntrack takes it: an address, or a prefix."""
    return str(clean_network(member)) if "/" in member else clean_ip(member)


def _port_cuts(ip: str, zone: int, gone: Allowed | None) -> Iterable[Cut]:
    """For an address that lost this; None: all but what its filters name."""
    if gone is None:
        yield Cut(zone, ip, "ingress")
        yield Cut(zone, ip, "egress")
        return
    for direction, version, _text, protocol in sorted(gone.rules, key=str):
        if version == (6 if ":" in ip else 4):
            yield Cut(zone, ip, direction, protocol)
    for direction, member in sorted(gone.peers):
        with contextlib.suppress(ValueError):  # no rule was written for what is no address
            if (":" in member) == (":" in ip):
                yield Cut(zone, ip, direction, peer=_peer(member))


async def cut(found: list[Cut], timeout: float) -> None:
    """Delete the entries. What connections there are is asked first, once for a zone: most cuts hit nothing."""
    for zone in sorted({c.zone for c in found}):
        for version in (4, 6):
            meant = [c for c in found if c.zone == zone and (not c.ip or (":" in c.ip) == (version == 6))]
            if meant:
                listed = await run(
                    "conntrack", "-L", "-f", f"ipv{version}", "-w", str(zone), timeout=timeout, ok=(0, 1)
                )
                there = entries(listed)
                for one in (c for c in meant if c.hits(there)):
                    await run("conntrack", *one.argv(version), timeout=timeout, ok=(0, 1))  # 1: there were none

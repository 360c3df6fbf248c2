"""Which connections a change of filters cuts. `iptables` only judges new ones: the old must be cut. Pure, but
for `cut`."""

from __future__ import annotations

import contextlib
import re
import zlib
from collections.abc import Iterable

import msgspec

from kilonova.network.agent.firewall.iptables.rules import match, protocol_number, version_of
from kilonova.network.agent.model import HostModel, PortModel, RuleModel
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

    def hits(self, entries: set[tuple[str, str]]) -> bool:
        """Whether one of the (source, destination) is meant; the protocol is left to the tool."""
        way = 1 if self.direction == "ingress" else 0
        return bool(entries) if not self.ip else any(e[way] == self.ip for e in entries)


class Permits(msgspec.Struct, frozen=True):
    """What one port may do: `rules` are (direction, version, text, protocol), `peers` members of remote groups. A port
    without filters has `rules` None."""

    zone: int
    ips: frozenset[str]
    rules: frozenset[tuple[str, int, str, int | None]] | None
    peers: frozenset[tuple[str, str]] = frozenset()


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


def permits(state: HostModel, zones: dict[str, int]) -> dict[str, Permits]:
    """Port id → what its filters allow."""
    groups = {g.id: g for g in state.security_groups}
    found = {}
    for network in state.networks:
        for port in (p for p in network.ports if p.local):
            ips = frozenset(_ips(port))
            if not port.port_security_enabled:
                found[port.id] = Permits(zones[network.id], ips, None if port.admin_state_up else frozenset())
                continue
            rules = (
                [r for g in port.security_groups if g in groups for r in groups[g].rules] if port.admin_state_up else []
            )
            peers = frozenset(
                (r.direction, member)
                for r in rules
                if r.remote_group_id in groups
                for member in groups[r.remote_group_id].members
            )
            found[port.id] = Permits(zones[network.id], ips, frozenset(_rule(r) for r in rules), peers)
    return found


def _ips(port: PortModel) -> Iterable[str]:
    for fixed in port.fixed_ips:
        try:
            yield clean_ip(fixed.ip_address)
        except ValueError:
            continue


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
    for port_id, before in old.items():
        after = new.get(port_id)
        if before.zone not in kept_zones:
            continue
        kept = after.ips if after is not None and after.zone == before.zone else frozenset()
        for ip in sorted(before.ips - kept):
            found.update(dict.fromkeys(Cut(before.zone, ip, way) for way in ("ingress", "egress")))
        for ip in sorted(before.ips & kept):
            assert after is not None  # noqa: S101 -- kept is empty then
            found.update(dict.fromkeys(_port_cuts(ip, before, after)))
    return list(found)


def _peer(member: str) -> str:
    """As conntrack takes it: an address, or a prefix."""
    return str(clean_network(member)) if "/" in member else clean_ip(member)


def _port_cuts(ip: str, before: Permits, after: Permits) -> Iterable[Cut]:
    if after.rules is None:
        return
    if before.rules is None:
        yield Cut(before.zone, ip, "ingress")
        yield Cut(before.zone, ip, "egress")
        return
    for direction, version, _text, protocol in sorted(before.rules - after.rules, key=str):
        if version == (6 if ":" in ip else 4):
            yield Cut(before.zone, ip, direction, protocol)
    for direction, member in sorted(before.peers - after.peers):
        with contextlib.suppress(ValueError):  # no rule was written for what is no address
            if (":" in member) == (":" in ip):
                yield Cut(before.zone, ip, direction, peer=_peer(member))


async def cut(found: list[Cut], timeout: float) -> None:
    """Delete the entries. What connections there are is asked first, once for a zone: most cuts hit nothing."""
    for zone in sorted({c.zone for c in found}):
        for version in (4, 6):
            meant = [c for c in found if c.zone == zone and (not c.ip or (":" in c.ip) == (version == 6))]
            if meant:
                listed = await run(
                    "conntrack", "-L", "-f", f"ipv{version}", "-w", str(zone), timeout=timeout, ok=(0, 1)
                )
                entries = set(ENTRY.findall(listed))
                for one in (c for c in meant if c.hits(entries)):
                    await run("conntrack", *one.argv(version), timeout=timeout, ok=(0, 1))  # 1: there were none

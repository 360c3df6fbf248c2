"""A host's state as its agent keeps it: whole at first, then brought up to date by what changed.

The network service counts the changes of each host. An agent says how far it has come and which networks and groups it holds, and
gets what changed since then as it is *now*, not what was done: an answer may be asked for again, and what it was too early for is
in the next one. Where the service no longer knows the changes since then, the answer is the whole state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from kilonova.network.agent.model import HostModel, NetworkModel, PortModel, RuleModel, SecurityGroupModel

T = TypeVar("T")
FED = (
    "networks",
    "security_groups",
)  # sections that come in pieces; the others are sent whole when they may have changed
Addresses = dict[str, tuple[str, ...]]


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """How far an agent has come, and whose ids it holds: `groups` with their rules, `members` with their members. The default: it
    has nothing."""

    feed: str = ""
    revision: int = 0
    networks: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    members: tuple[str, ...] = ()


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """A port that changed, on any host: all its groups and addresses, none of them when it is gone."""

    port_id: str
    groups: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


class HostChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What leads from `since` to `revision` of a feed; `whole`: from nothing.

    `networks` have only ports that tunnels lead to, `ports` are this host's, `gone` the ids of those it has no longer. `rules`
    are by group, `members` all addresses of a group by port. `address_groups` are groups with members alone. `others` has the
    other sections; None: they are as they were."""

    feed: str
    revision: int
    since: int = 0
    whole: bool = False
    networks: tuple[NetworkModel, ...] = ()
    ports: tuple[PortModel, ...] = ()
    gone: tuple[str, ...] = ()
    rules: dict[str, tuple[RuleModel, ...]] = {}
    members: dict[str, Addresses] = {}
    memberships: tuple[Membership, ...] = ()
    address_groups: tuple[SecurityGroupModel, ...] = ()
    others: HostModel | None = None


class Feed:
    """What an agent holds. Objects that did not change stay the same objects in each next model."""

    def __init__(self) -> None:
        self._clear()
        self._doubted = False

    def doubt(self) -> None:
        """Ask for the whole state next time; what is held stays until then."""
        self._doubted = True

    def _clear(self) -> None:
        self.feed, self.revision = "", 0
        self._networks: dict[str, NetworkModel] = {}
        self._ports: defaultdict[str, dict[str, PortModel]] = defaultdict(dict)  # by network
        self._rules: dict[str, tuple[RuleModel, ...]] = {}
        self._members: dict[str, Addresses] = {}  # by group
        self._address_groups: dict[str, SecurityGroupModel] = {}
        self._others = HostModel()
        self._shown_networks: dict[str, NetworkModel] = {}
        self._shown_groups: dict[str, SecurityGroupModel] = {}

    def held(self) -> Held:
        if self._doubted:
            return Held()
        return Held(
            feed=self.feed,
            revision=self.revision,
            networks=tuple(self._networks),
            groups=tuple(self._rules),
            members=(*self._members, *self._address_groups),
        )

    def take(self, changes: HostChanges) -> HostModel:
        """The host's state with these changes. An answer to an older question than the last one changes nothing."""
        if changes.whole:
            self._clear()
            self._doubted = False
        elif (changes.feed, changes.since) != (self.feed, self.revision):
            return self.model()
        self.feed, self.revision = changes.feed, changes.revision
        self._take_ports(changes)
        self._take_groups(changes)
        self._drop_unused()
        if changes.others is not None:
            self._others = changes.others
        return self.model()

    def _take_ports(self, changes: HostChanges) -> None:
        for network in changes.networks:
            self._networks[network.id] = network
            self._shown_networks.pop(network.id, None)
        for port in changes.ports:
            self._ports[port.network_id][port.id] = port
            self._shown_networks.pop(port.network_id, None)
        for port_id in changes.gone:
            for network_id, ports in self._ports.items():
                if ports.pop(port_id, None) is not None:
                    self._shown_networks.pop(network_id, None)

    def _take_groups(self, changes: HostChanges) -> None:
        changed = {*changes.rules, *changes.members}
        self._rules |= changes.rules
        self._members |= changes.members
        self._address_groups |= {group.id: group for group in changes.address_groups}
        for member in changes.memberships:
            for group_id, addresses in self._members.items():
                now = member.addresses if group_id in member.groups else ()
                if addresses.get(member.port_id, ()) != now:
                    changed.add(group_id)
                    addresses.pop(member.port_id, None)
                    if now:
                        addresses[member.port_id] = now
        for group_id in changed:
            self._shown_groups.pop(group_id, None)

    def _drop_unused(self) -> None:
        """What no port here needs: changes of it do not come any more."""
        for network_id in [n for n in self._networks if not self._ports.get(n)]:
            self._networks.pop(network_id)
            self._shown_networks.pop(network_id, None)
        for network_id in [n for n in self._ports if n not in self._networks]:
            del self._ports[network_id]
        groups = {group for ports in self._ports.values() for port in ports.values() for group in port.security_groups}
        lost = _keep(self._rules, groups)
        referred = {rule.remote_group_id for rules in self._rules.values() for rule in rules if rule.remote_group_id}
        lost |= _keep(self._members, referred)
        _keep(self._address_groups, referred)
        for group_id in lost:  # it may still have its members, or its rules
            self._shown_groups.pop(group_id, None)

    def model(self) -> HostModel:
        for network_id, network in self._networks.items():
            if network_id not in self._shown_networks:
                ports = sorted((*network.ports, *self._ports[network_id].values()), key=_id)
                self._shown_networks[network_id] = replace(network, ports=tuple(ports))
        for group_id in sorted({*self._rules, *self._members}):
            if group_id not in self._shown_groups:
                every = {one for found in self._members.get(group_id, {}).values() for one in found}
                self._shown_groups[group_id] = SecurityGroupModel(
                    id=group_id, rules=self._rules.get(group_id, ()), members=tuple(sorted(every))
                )
        groups = (self._shown_groups[group] for group in sorted(self._shown_groups))
        addresses = (self._address_groups[group] for group in sorted(self._address_groups))
        networks = (self._shown_networks[network] for network in sorted(self._networks))
        return replace(self._others, networks=tuple(networks), security_groups=(*groups, *addresses))


def _id(port: PortModel) -> str:
    return port.id


def _keep(found: dict[str, T], ids: Collection[str]) -> set[str]:
    """Leave these alone in it; what was dropped."""
    dropped = {one for one in found if one not in ids}
    for one in dropped:
        del found[one]
    return dropped


def parted(network: NetworkModel) -> tuple[NetworkModel, Iterable[PortModel]]:
    """A network with those ports alone that tunnels lead to, and this host's."""
    tunnelled = network.segmentation_id is not None
    away = tuple(port for port in network.ports if tunnelled and not port.local and port.tunnel_ip)
    return replace(network, ports=away), (port for port in network.ports if port.local)

"""What has changed of a host's state since its agent asked last, compiled from the database as it is now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

import msgspec

from kilonova.core.db import Connection
from kilonova.network import device_owners
from kilonova.network.agent.feed import FED, Addresses, Held, HostChanges, Membership, parted
from kilonova.network.agent.interface import AGENT_TYPE
from kilonova.network.agent.model import HostModel, NetworkModel, PortModel, RuleModel, SecurityGroupModel
from kilonova.network.hosts import model
from kilonova.network.hosts.model import HostLogic
from kilonova.network.hosts.news import News, joined
from kilonova.network.store import feeds
from kilonova.network.store import hosts as store
from kilonova.network.store import ports as port_store
from kilonova.network.store.address_groups import ADDRESS_GROUPS
from kilonova.network.store.feeds import ChangeRow
from kilonova.network.store.ports import PORTS


async def changes(logic: HostLogic, host: str, sections: Collection[str], held: Held) -> HostChanges:
    """What leads from what an agent holds to the present. Read after the revision is known: what changes meanwhile may be in it
    already, and comes again with the next revision."""
    async with logic.deps.database.reading() as connection:
        known = await feeds.since(connection, AGENT_TYPE, host, held.revision)
        news = _news(known, held)
        if news is None:
            found = await _whole(logic, connection, host, sections)
        else:
            found = await _Changed(logic, connection, host, held, news).compiled(sections)
    feed, latest = (known[0].feed, known[0].latest) if known else ("", 0)
    return msgspec.structs.replace(found, feed=feed, revision=latest, since=held.revision)


def _news(known: Sequence[ChangeRow], held: Held) -> News | None:
    """None: not all of it is known, or the agent holds nothing to which something could be added."""
    if not known or known[0].feed != held.feed or known[0].latest < held.revision or not held.networks:
        return None
    noted = [row.news for row in known if row.news is not None]
    if len(noted) != known[0].latest - held.revision:
        return None
    return joined(msgspec.json.decode(text, type=News) for text in noted)


async def _whole(logic: HostLogic, connection: Connection, host: str, sections: Collection[str]) -> HostChanges:
    found = await logic.found(connection, host)
    networks = await logic.networks(connection, found)
    used = sorted({group for groups in found.groups.values() for group in groups})
    groups = await _groups(connection, used, ())
    return _parted(networks, groups, others=await _others(logic, connection, found, sections), whole=True)


async def _others(logic: HostLogic, connection: Connection, found: model.Found, sections: Collection[str]) -> HostModel:
    """The sections that do not come in pieces."""
    asked = [name for name in model.SECTIONS if name in sections and name not in FED]
    return HostModel(**{name: await model.SECTIONS[name](logic, connection, found) for name in asked})


class _Groups(msgspec.Struct):
    rules: dict[str, tuple[RuleModel, ...]]
    members: dict[str, Addresses]
    address_groups: tuple[SecurityGroupModel, ...]


async def _groups(
    connection: Connection, wanted: Sequence[str], held_members: Collection[str], also: Collection[str] = ()
) -> _Groups:
    """The rules of groups, with what they refer to as far as it is not held; `also` may be ids of address groups."""
    if not wanted and not also:
        return _Groups({}, {}, ())
    rows = await store.rules_of(connection, wanted) if wanted else []
    rules = {group: tuple(model.rule(row) for row in rows if row.security_group_id == group) for group in wanted}
    named = {row.remote_address_group_id for row in rows if row.remote_address_group_id} - set(held_members) | set(also)
    referred = {rule.remote_group_id for found in rules.values() for rule in found if rule.remote_group_id}
    new = referred - set(held_members)
    lists = await ADDRESS_GROUPS.by_ids(connection, named) if named else {}
    members: dict[str, Addresses] = {group: {} for group in sorted(new - named)}
    if members:
        found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for row in await store.members(connection, list(members)):
            found[row.security_group_id, row.port_id].append(row.ip_address)
        for (group, port), addresses in found.items():
            members[group][port] = tuple(addresses)
    return _Groups(rules, members, tuple(model.address_group(lists[one]) for one in sorted(lists)))


def _parted(
    networks: Sequence[NetworkModel], groups: _Groups, *, ports: Sequence[PortModel] = (), gone: Sequence[str] = (),
    memberships: Sequence[Membership] = (), others: HostModel | None = None, whole: bool = False,
) -> HostChanges:  # fmt: skip
    heads, local = [], list(ports)
    for network in networks:
        head, here = parted(network)
        heads.append(head)
        local += here
    return HostChanges(
        feed="", revision=0, whole=whole, networks=tuple(heads), ports=tuple(local), gone=tuple(gone), rules=groups.rules,
        members=groups.members, memberships=tuple(memberships), address_groups=groups.address_groups, others=others,
    )  # fmt: skip


class _Changed:
    """What is new for an agent that holds something."""

    def __init__(self, logic: HostLogic, connection: Connection, host: str, held: Held, news: News) -> None:
        self.logic, self.connection, self.host, self.held, self.news = logic, connection, host, held, news

    async def compiled(self, sections: Collection[str]) -> HostChanges:
        ports, gone, memberships = await self._ports()
        lacking = {port.network_id for port in ports} - set(self.held.networks)
        renewed = sorted(lacking | (set(self.news.networks) & set(self.held.networks)))
        networks = await self.logic.some_networks(self.connection, self.host, renewed) if renewed else ()
        here = (*ports, *(port for network in networks for port in network.ports if port.local))
        needed = {group for port in here for group in port.security_groups} - set(self.held.groups)
        needed |= set(self.news.groups) & set(self.held.groups)
        lists = set(self.news.groups) & set(self.held.members)
        groups = await _groups(self.connection, sorted(needed), self.held.members, lists)
        others = None
        if self.news.others or any(port.qos_policy_id for port in here):
            found = await self.logic.found(self.connection, self.host)
            others = await _others(self.logic, self.connection, found, sections)
        return _parted(networks, groups, ports=ports, gone=gone, memberships=memberships, others=others)

    async def _ports(self) -> tuple[list[PortModel], list[str], list[Membership]]:
        """Those of this host, the ids of the others, and what all of them are members of."""
        ids = self.news.ports
        if not ids:
            return [], [], []
        rows = await PORTS.by_ids(self.connection, ids)
        addresses = await port_store.addresses_of(self.connection, list(rows)) if rows else {}
        groups = await port_store.groups_of(self.connection, list(rows)) if rows else {}
        memberships = [
            Membership(
                port_id=one,
                groups=tuple(groups.get(one, ())),
                addresses=tuple(a.ip_address for a in addresses.get(one, ())),
            )
            for one in ids
        ]
        local = [
            row for row in rows.values() if port_store.is_on(row, self.host) and row.device_owner != device_owners.DHCP
        ]
        ports = [model.port(row, addresses.get(row.id, ()), groups.get(row.id, ()), here=True) for row in local]
        return ports, [one for one in ids if one not in {row.id for row in local}], memberships

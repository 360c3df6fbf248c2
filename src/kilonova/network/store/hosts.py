"""SQL of what one host must show: a fixed number of statements, whatever the number of ports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, or_, select

from kilonova.core.db import Connection, TypedRow, rows
from kilonova.core.db.prepared import prepared
from kilonova.network import device_owners
from kilonova.network.store.networks import NetworkRow
from kilonova.network.store.ports import PORTS, Allocation, PolicedPortRow
from kilonova.network.store.security_group_rules import RuleRow
from kilonova.network.store.subnets import SubnetRow
from kilonova.network.tables import (
    agents,
    ip_allocations,
    networks,
    port_groups,
    ports,
    router_ports,
    security_group_rules,
    security_groups,
    subnets,
)


class TunnelEnd(TypedRow):
    """An agent that tunnels end at."""

    host: str
    configurations: dict[str, Any]


class PortGroup(TypedRow):
    port_id: str
    security_group_id: str


class Member(TypedRow):
    """An address of a port in a group."""

    port_id: str
    security_group_id: str
    ip_address: str


class HostRuleRow(RuleRow):
    """`stateful` is the group's."""

    stateful: bool


class GuestPort(TypedRow):
    device_id: str
    project_id: str


def _here(host: Any) -> ColumnElement[bool]:
    """As `ports.is_on`."""
    return or_(ports.c.host_id == host, ports.c.coming_host_id == host)


def _network_ids(host: Any) -> Select[tuple[str]]:
    return select(ports.c.network_id).where(_here(host))


def _group_ids(host: Any) -> Select[tuple[str]]:
    return select(port_groups.c.security_group_id).join(ports, ports.c.id == port_groups.c.port_id).where(_here(host))


async def agents_beside(connection: Connection, host: str, agent_type: str) -> Sequence[TunnelEnd]:
    """The agents where there are ports of the tunnelled networks that this host has ports of."""
    return rows.every(await connection.execute(*_agents_beside(host, agent_type)), TunnelEnd)


@prepared
def _agents_beside(host: Any, agent_type: Any) -> Select[Any]:
    tunnelled = select(networks.c.id).where(
        networks.c.id.in_(_network_ids(host)), networks.c.segmentation_id.is_not(None)
    )
    beside = select(ports.c.host_id).where(ports.c.network_id.in_(tunnelled), ports.c.host_id != host)
    return select(agents.c.host, agents.c.configurations).where(
        agents.c.agent_type == agent_type, agents.c.host.in_(beside)
    )


async def routed_guest(connection: Connection, host: str, network_id: str, ip_address: str) -> GuestPort | None:
    """The bound port of a server that has an address on a network of which a router of this host has an interface."""
    found = await connection.execute(*_routed_guest(host, network_id, ip_address))
    return rows.first(found, GuestPort)


@prepared
def _routed_guest(host: Any, network_id: Any, ip_address: Any) -> Select[Any]:
    router, guest = ports.alias(), ports
    routed = (
        select(router.c.network_id)
        .join(router_ports, router_ports.c.port_id == router.c.id)
        .where(
            router.c.host_id == host, router.c.network_id == network_id, router_ports.c.owner == device_owners.INTERFACE
        )
    )
    return (
        select(guest.c.device_id, guest.c.project_id)
        .join(ip_allocations, ip_allocations.c.port_id == guest.c.id)
        .where(
            guest.c.network_id.in_(routed), ip_allocations.c.ip_address == ip_address, guest.c.host_id != "",
            guest.c.device_id != "", ~guest.c.device_owner.startswith(device_owners.SERVICES),
        )
        .limit(1)
    )  # fmt: skip


async def networks_on(connection: Connection, host: str) -> Sequence[NetworkRow]:
    return rows.every(await connection.execute(*_networks_on(host)), NetworkRow)


@prepared
def _networks_on(host: Any) -> Select[Any]:
    return select(networks).where(networks.c.id.in_(_network_ids(host))).order_by(networks.c.id)


async def subnets_on(connection: Connection, host: str) -> Sequence[SubnetRow]:
    return rows.every(await connection.execute(*_subnets_on(host)), SubnetRow)


@prepared
def _subnets_on(host: Any) -> Select[Any]:
    query = select(subnets).where(subnets.c.network_id.in_(_network_ids(host)))
    return query.order_by(subnets.c.born, subnets.c.id)


async def ports_on(connection: Connection, host: str) -> Sequence[PolicedPortRow]:
    """All ports of the networks that the host has ports of."""
    return rows.every(await connection.execute(*_ports_on(host)), PolicedPortRow)


@prepared
def _ports_on(host: Any) -> Select[Any]:
    return PORTS.rows.where(ports.c.network_id.in_(_network_ids(host))).order_by(ports.c.id)


async def addresses_on(connection: Connection, host: str) -> Sequence[Allocation]:
    """Those of these ports."""
    return rows.every(await connection.execute(*_addresses_on(host)), Allocation)


@prepared
def _addresses_on(host: Any) -> Select[Any]:
    return (
        select(ip_allocations.c.port_id, ip_allocations.c.subnet_id, ip_allocations.c.ip_address)
        .join(subnets, subnets.c.id == ip_allocations.c.subnet_id)
        .where(subnets.c.network_id.in_(_network_ids(host)))
        .order_by(ip_allocations.c.id)
    )


async def ports_in(connection: Connection, network_ids: Sequence[str]) -> Sequence[PolicedPortRow]:
    """All ports of these networks."""
    return rows.every(await connection.execute(*_ports_in(network_ids)), PolicedPortRow)


@prepared
def _ports_in(network_ids: Any) -> Select[Any]:
    return PORTS.rows.where(ports.c.network_id.in_(network_ids)).order_by(ports.c.id)


async def addresses_in(connection: Connection, network_ids: Sequence[str]) -> Sequence[Allocation]:
    """Those of these ports."""
    return rows.every(await connection.execute(*_addresses_in(network_ids)), Allocation)


@prepared
def _addresses_in(network_ids: Any) -> Select[Any]:
    return (
        select(ip_allocations.c.port_id, ip_allocations.c.subnet_id, ip_allocations.c.ip_address)
        .join(subnets, subnets.c.id == ip_allocations.c.subnet_id)
        .where(subnets.c.network_id.in_(network_ids))
        .order_by(ip_allocations.c.id)
    )


async def groups_on(connection: Connection, host: str) -> Sequence[PortGroup]:
    """Of the host's own ports."""
    return rows.every(await connection.execute(*_groups_on(host)), PortGroup)


@prepared
def _groups_on(host: Any) -> Select[Any]:
    return (
        select(port_groups.c.port_id, port_groups.c.security_group_id)
        .join(ports, ports.c.id == port_groups.c.port_id)
        .where(_here(host))
        .order_by(port_groups.c.security_group_id)
    )


async def rules_on(connection: Connection, host: str) -> Sequence[HostRuleRow]:
    return rows.every(await connection.execute(*_rules_on(host)), HostRuleRow)


@prepared
def _rules_on(host: Any) -> Select[Any]:
    query = _rules().where(security_group_rules.c.security_group_id.in_(_group_ids(host)))
    return query.order_by(security_group_rules.c.id)


def _rules() -> Select[Any]:
    return select(security_group_rules, security_groups.c.stateful).join(
        security_groups, security_groups.c.id == security_group_rules.c.security_group_id
    )


async def rules_of(connection: Connection, group_ids: Sequence[str]) -> Sequence[HostRuleRow]:
    return rows.every(await connection.execute(*_rules_of(group_ids)), HostRuleRow)


@prepared
def _rules_of(group_ids: Any) -> Select[Any]:
    query = _rules().where(security_group_rules.c.security_group_id.in_(group_ids))
    return query.order_by(security_group_rules.c.id)


async def members(connection: Connection, group_ids: Sequence[str]) -> Sequence[Member]:
    """All ports in these groups, on any host."""
    return rows.every(await connection.execute(*_members(group_ids)), Member)


@prepared
def _members(group_ids: Any) -> Select[Any]:
    return (
        select(port_groups.c.port_id, port_groups.c.security_group_id, ip_allocations.c.ip_address)
        .join(ip_allocations, ip_allocations.c.port_id == port_groups.c.port_id)
        .where(port_groups.c.security_group_id.in_(group_ids))
        .order_by(ip_allocations.c.subnet_id, ip_allocations.c.address)
    )

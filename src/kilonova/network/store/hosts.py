"""SQL of what one host must show: a fixed number of statements, whatever the number of ports."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, select

from kilonova.core.db import Connection, Row
from kilonova.network.tables import (
    agents,
    ip_allocations,
    networks,
    port_groups,
    ports,
    security_group_rules,
    subnets,
)


def _network_ids(host: str) -> Select[tuple[str]]:
    return select(ports.c.network_id).where(ports.c.host_id == host)


def _group_ids(host: str) -> Select[tuple[str]]:
    return (
        select(port_groups.c.security_group_id)
        .join(ports, ports.c.id == port_groups.c.port_id)
        .where(ports.c.host_id == host)
    )


async def agents_beside(connection: Connection, host: str, agent_type: str) -> Sequence[Row]:
    """(host, configurations) of the agents where there are ports of the tunnelled networks that this host has ports of."""
    tunnelled = select(networks.c.id).where(
        networks.c.id.in_(_network_ids(host)), networks.c.segmentation_id.is_not(None)
    )
    beside = select(ports.c.host_id).where(ports.c.network_id.in_(tunnelled), ports.c.host_id != host)
    query = select(agents.c.host, agents.c.configurations).where(
        agents.c.agent_type == agent_type, agents.c.host.in_(beside)
    )
    return (await connection.execute(query)).all()


async def networks_on(connection: Connection, host: str) -> Sequence[Row]:
    query = select(networks).where(networks.c.id.in_(_network_ids(host))).order_by(networks.c.id)
    return (await connection.execute(query)).all()


async def subnets_on(connection: Connection, host: str) -> Sequence[Row]:
    query = select(subnets).where(subnets.c.network_id.in_(_network_ids(host)))
    return (await connection.execute(query.order_by(subnets.c.born, subnets.c.id))).all()


async def ports_on(connection: Connection, host: str) -> Sequence[Row]:
    """All ports of the networks that the host has ports of."""
    query = select(ports).where(ports.c.network_id.in_(_network_ids(host))).order_by(ports.c.id)
    return (await connection.execute(query)).all()


async def addresses_on(connection: Connection, host: str) -> Sequence[Row]:
    """(port_id, subnet_id, ip_address) of these ports."""
    query = (
        select(ip_allocations.c.port_id, ip_allocations.c.subnet_id, ip_allocations.c.ip_address)
        .join(subnets, subnets.c.id == ip_allocations.c.subnet_id)
        .where(subnets.c.network_id.in_(_network_ids(host)))
        .order_by(ip_allocations.c.id)
    )
    return (await connection.execute(query)).all()


async def groups_on(connection: Connection, host: str) -> Sequence[Row]:
    """(port_id, security_group_id) of the host's own ports."""
    query = (
        select(port_groups.c.port_id, port_groups.c.security_group_id)
        .join(ports, ports.c.id == port_groups.c.port_id)
        .where(ports.c.host_id == host)
        .order_by(port_groups.c.security_group_id)
    )
    return (await connection.execute(query)).all()


async def rules_on(connection: Connection, host: str) -> Sequence[Row]:
    query = select(security_group_rules).where(security_group_rules.c.security_group_id.in_(_group_ids(host)))
    return (await connection.execute(query.order_by(security_group_rules.c.id))).all()


async def members(connection: Connection, group_ids: Sequence[str]) -> Sequence[Row]:
    """(security_group_id, ip_address) of all ports in these groups, on any host."""
    query = (
        select(port_groups.c.security_group_id, ip_allocations.c.ip_address)
        .join(ip_allocations, ip_allocations.c.port_id == port_groups.c.port_id)
        .where(port_groups.c.security_group_id.in_(group_ids))
        .order_by(ip_allocations.c.subnet_id, ip_allocations.c.address)
    )
    return (await connection.execute(query)).all()

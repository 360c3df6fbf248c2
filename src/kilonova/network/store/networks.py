"""SQL of networks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Select, delete, exists, func, select

from kilonova.core.db import Connection, rows
from kilonova.core.db.locks import locked
from kilonova.core.db.prepared import prepared
from kilonova.network import device_owners
from kilonova.network.store import rbac_policies as rbac_store
from kilonova.network.store.objects import Objects, StandardRow
from kilonova.network.store.tags import Condition
from kilonova.network.tables import networks, ports


class NetworkRow(StandardRow):
    admin_state_up: bool
    shared: bool
    external: bool
    shared_with: list[str]
    external_to: list[str]
    is_default: bool
    default_external: int | None
    mtu: int
    port_security_enabled: bool
    status: str
    network_type: str
    physical_network: str | None
    segmentation_id: int | None
    dns_domain: str
    availability_zone_hints: list[str]
    qos_policy_id: str | None


NETWORKS = Objects(networks, NetworkRow)


def seen_by(project_id: str | None) -> Condition:
    """A project sees its own networks, and those that are shared with it or external to it."""
    return rbac_store.visible(NETWORKS, "network", project_id)


async def default_external(connection: Connection) -> NetworkRow | None:
    """The default external network."""
    query = select(networks).where(networks.c.default_external == 1)
    return rows.first(await connection.execute(query), NetworkRow)


async def external_among(connection: Connection, network_ids: Iterable[str]) -> set[str]:
    """Those of these networks that are external."""
    return set((await connection.execute(*_external(list(network_ids)))).scalars())


@prepared
def _external(network_ids: Any) -> Select[Any]:
    return select(networks.c.id).where(networks.c.id.in_(network_ids), networks.c.external)


async def ports_in_use(connection: Connection, network_id: str) -> Sequence[str]:
    """Ids of ports that keep a network from being deleted; DHCP's own ports do not."""
    query = (
        select(ports.c.id).where(ports.c.network_id == network_id, ports.c.device_owner != device_owners.DHCP).limit(5)
    )
    return (await connection.execute(query)).scalars().all()


async def port_owners(connection: Connection, network_id: str) -> set[str]:
    """Projects that have ports on the network."""
    query = select(ports.c.project_id).where(ports.c.network_id == network_id, ~ports.c.device_owner.like("network:%"))
    return set((await connection.execute(query.distinct())).scalars())


async def delete_dhcp_ports(connection: Connection, network_id: str) -> None:
    """DHCP's own. One that was created since the check keeps the network: the database refuses to delete that."""
    await connection.execute(
        delete(ports).where(ports.c.network_id == network_id, ports.c.device_owner == device_owners.DHCP)
    )


async def hosts_of(connection: Connection, network_id: str) -> Sequence[str]:
    """Hosts that have ports of the network."""
    query = select(ports.c.host_id).where(ports.c.network_id == network_id, ports.c.host_id != "").distinct()
    return (await connection.execute(query)).scalars().all()


def _with_dhcp() -> Select[Any]:
    return select(ports.c.network_id).where(ports.c.device_owner == device_owners.DHCP)


async def with_dhcp_on(connection: Connection, host: str) -> Sequence[NetworkRow]:
    """Networks that the host serves DHCP for: it has ports of them."""
    here = select(ports.c.network_id).where(ports.c.host_id == host)
    query = select(networks).where(networks.c.id.in_(here), networks.c.id.in_(_with_dhcp())).order_by(networks.c.id)
    return rows.every(await connection.execute(query), NetworkRow)


async def dhcp_hosts_of(connection: Connection, network_id: str) -> Sequence[str]:
    """Hosts that serve DHCP for the network."""
    served = await connection.execute(_with_dhcp().where(ports.c.network_id == network_id).limit(1))
    return await hosts_of(connection, network_id) if served.first() is not None else []


async def lock(connection: Connection, network_ids: Iterable[str]) -> None:
    """Serializes the transactions that bind ports of a network; rows that only refer to it need not wait."""
    query = select(networks.c.id).where(networks.c.id.in_(sorted(network_ids))).order_by(networks.c.id)
    await connection.execute(locked(query))


async def share(connection: Connection, network_ids: Iterable[str]) -> None:
    """Until the transaction ends no other one changes these networks or makes subnets there; others that share them need not
    wait. SQLite has one writer anyway."""
    ids = sorted(network_ids)
    if ids and connection.dialect.name != "sqlite":
        await connection.execute(*_shared(ids))


@prepared
def _shared(network_ids: Any) -> Select[Any]:
    return (
        select(networks.c.id).where(networks.c.id.in_(network_ids)).order_by(networks.c.id).with_for_update(read=True)
    )


async def ports_by_host(connection: Connection, network_ids: Iterable[str]) -> dict[tuple[str, str], int]:
    """How many ports there are by (network, host)."""
    query = (
        select(ports.c.network_id, ports.c.host_id, func.count().label("ports"))
        .where(ports.c.network_id.in_(list(network_ids)), ports.c.host_id != "")
        .group_by(ports.c.network_id, ports.c.host_id)
    )
    return {(row.network_id, row.host_id): row.ports for row in (await connection.execute(query)).all()}


async def beside(connection: Connection, host: str) -> Sequence[str]:
    """The other hosts that have ports of the tunnelled networks of this one."""
    here = (
        select(ports.c.network_id)
        .join(networks, networks.c.id == ports.c.network_id)
        .where(ports.c.host_id == host, networks.c.segmentation_id.is_not(None))
    )
    query = select(ports.c.host_id).where(ports.c.network_id.in_(here), ports.c.host_id.not_in(["", host])).distinct()
    return (await connection.execute(query)).scalars().all()


async def segments_taken(connection: Connection, network_type: str, segmentation_ids: Iterable[int]) -> set[int]:
    query = select(networks.c.segmentation_id).where(
        networks.c.network_type == network_type, networks.c.segmentation_id.in_(list(segmentation_ids))
    )
    return set((await connection.execute(query)).scalars())


async def physical_taken(connection: Connection, names: Iterable[str]) -> set[str]:
    """Those of these physical networks that a network has."""
    query = select(networks.c.physical_network).where(networks.c.physical_network.in_(list(names)))
    return set((await connection.execute(query)).scalars())


async def free_segment(connection: Connection, network_type: str, first: int, last: int) -> int | None:
    """The smallest free id after a taken one from `first` on; None where there is none up to `last`."""
    after = networks.alias()
    query = select(func.min(networks.c.segmentation_id) + 1).where(
        networks.c.network_type == network_type,
        networks.c.segmentation_id.between(first, last - 1),
        ~exists().where(
            after.c.network_type == network_type, after.c.segmentation_id == networks.c.segmentation_id + 1
        ),
    )
    return (await connection.execute(query)).scalar()

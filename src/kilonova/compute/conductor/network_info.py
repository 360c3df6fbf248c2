"""What a server's row knows of its ports, made anew from the network service: when that reports a change, and whenever a host
is about to bring the guest up. There is no other way by which it changes after a launch."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.conductor.deps import Deps, logger
from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.models import Vif
from kilonova.compute.moves import TASKS as MOVE_TASKS
from kilonova.compute.port_ids import port_id_of
from kilonova.compute.states import Vm
from kilonova.compute.store import conductor_servers as store
from kilonova.compute.store import request_specs
from kilonova.compute.store.conductor_servers import SpecifiedRow
from kilonova.compute.store.records import vifs
from kilonova.compute.vifs import Network, in_parts, networks_of, vif_of
from kilonova.core import errors
from kilonova.core.batching import Batched, gather_all
from kilonova.core.clock import SYSTEM
from kilonova.core.context import RequestContext, service_context
from kilonova.core.db import Transaction, retried
from kilonova.network.client import FloatingIPRecord, NetworkClient, PortRecord, SecurityGroupRecord

Values = dict[str, Any]
TRIES = 5


class Changed(errors.ServiceUnavailable):
    template = "Server {server} changes faster than its ports can be read"


class NetworkInfo:
    """News of one moment are read together, and those that come while the ports are read are read after that: an event that came
    late or twice changes nothing, and none is answered by what was read before it."""

    def __init__(self, deps: Deps, network: NetworkClient) -> None:
        self.deps, self.network = deps, network
        self._refreshed = Batched(self._refresh)

    async def changed(self, server_ids: Sequence[str]) -> None:
        """Make the rows what the ports are now. Raises ServiceUnavailable while the network service or the database is
        unreachable: the rows keep what they have, and the bus does the message again."""
        await gather_all(self._refreshed(uuid) for uuid in server_ids)

    async def before_power_on(self, ctx: RequestContext, uuid: str) -> list[Vif] | None:
        """The server's interfaces as they are now; None while they can't be read: the row is refreshed as soon as they can."""
        try:
            return await self._refreshed(uuid)
        except errors.KilonovaError as error:
            logger.warning("ports not read: the guest starts with those of its row", server=uuid, why=error.message)
            async with self.deps.database.transaction() as tx:
                await tx.outbox(ConductorAPI).network_changed(ctx, [uuid])
            return None

    async def _refresh(self, asked: Sequence[str]) -> list[list[Vif] | BaseException]:
        """The interfaces of each, [] for servers that are gone."""
        found: dict[str, list[Vif] | BaseException] = {}
        left = set(asked)
        for _ in range(TRIES):
            async with self.deps.database.reading() as connection:
                rows = await store.get_many(connection, left)
            living = {uuid: row for uuid, row in rows.items() if not row.deleted}
            fresh = await self._read(living)
            written = await self._write(living, fresh)
            found |= {uuid: vifs(fresh[uuid]["network_info"]) for uuid in written}
            left = living.keys() - written
            if not left:
                break
        found |= {uuid: Changed(server=uuid) for uuid in left}
        return [found.get(uuid, []) for uuid in asked]

    async def _read(self, rows: Mapping[str, SpecifiedRow]) -> dict[str, Values]:
        """server → the columns as they should be."""
        if not rows:
            return {}
        ports = {port.id: port for port in await self.network.ports_of(rows)}
        for port in [port for port in ports.values() if _astray(rows[port.device_id], port)]:
            logger.warning("port bound to its server's host", port=port.id, server=port.device_id)
            ports[port.id] = await self.network.bind_port(
                port.id, rows[port.device_id].host or "", device_id=port.device_id, device_owner=port.device_owner
            )
        networks, groups, floating = await asyncio.gather(
            networks_of(self.network, {port.network_id for port in ports.values()}),
            in_parts(
                {group for port in ports.values() for group in port.security_groups},
                lambda part: self.network.security_groups(id=part),
            ),
            in_parts(ports, lambda part: self.network.floating_ips(port_id=part)),
        )
        named = {group.id: group for group in groups}
        return {uuid: _values(row, ports, networks, named, floating) for uuid, row in rows.items()}

    async def _write(self, rows: Mapping[str, SpecifiedRow], fresh: Mapping[str, Values]) -> set[str]:
        """Those that are now as they should be; not those that another process has changed since they were read."""
        news = {uuid for uuid, row in rows.items() if _held(row, fresh[uuid]) != fresh[uuid]}
        return rows.keys() - news | await self._swap({uuid: rows[uuid] for uuid in news}, fresh)

    @retried
    async def _swap(self, rows: Mapping[str, SpecifiedRow], fresh: Mapping[str, Values]) -> set[str]:
        if not rows:
            return set()
        async with self.deps.database.transaction() as tx:
            now = await store.get_many(tx.connection, rows, lock=True)
            same = {uuid for uuid, row in rows.items() if uuid in now and _seen(now[uuid]) == _seen(row)}
            await store.set_each(tx.connection, {uuid: fresh[uuid] for uuid in same})
            for uuid in sorted(same):
                await _tell_host(tx, rows[uuid], fresh[uuid])
        logger.info("network info changed", servers=sorted(same))
        return same


async def _tell_host(tx: Transaction, row: SpecifiedRow, fresh: Values) -> None:
    """The guest of a settled server loses the interfaces of ports that it has no more."""
    if row.host is None or row.vm_state == Vm.BUILDING or row.task_state is not None:
        return
    kept = {vif.port_id for vif in vifs(fresh["network_info"])}
    gone = {vif.port_id: vif.mac_address for vif in vifs(row.network_info) if vif.port_id not in kept}
    if gone:
        ctx = service_context("req-" + SYSTEM.uuid())
        await tx.outbox(ComputeAPI, host=row.host).drop_interfaces(ctx, row.uuid, gone)


def _astray(row: SpecifiedRow, port: PortRecord) -> bool:
    """Whether it is still bound to a host from which a move that was cut off should have taken the server. Any project may write
    a server's id on a port of its own: only those that the server has count."""
    settled = row.vm_state != Vm.BUILDING and row.host is not None and row.task_state not in MOVE_TASKS
    held = {vif.port_id for vif in vifs(row.network_info)}
    return settled and port.id in held and port.host_id not in ("", row.host)


def _seen(row: SpecifiedRow) -> tuple[Any, ...]:
    """What a decision rests on."""
    return row.vm_state, row.deleted, vifs(row.network_info), row.security_groups


def _held(row: SpecifiedRow, values: Values) -> Values:
    return {name: _plain(vifs(row.network_info)) if name == "network_info" else getattr(row, name) for name in values}


def _plain(interfaces: Sequence[Vif]) -> Any:
    return msgspec.to_builtins(interfaces)


def _values(
    row: SpecifiedRow,
    ports: Mapping[str, PortRecord],
    networks: Mapping[str, Network],
    groups: Mapping[str, SecurityGroupRecord],
    floating: Sequence[FloatingIPRecord],
) -> Values:
    """A server's interfaces in their order, without those whose port is gone or another's; the names of its security groups
    where ports have some."""
    kept = [
        vif_of(
            port,
            networks,
            tag=known.tag,
            created=known.created,
            active=known.active or port.status == "ACTIVE",
            floating=floating,
        )
        for known in _known(row)
        if (port := ports.get(known.port_id)) is not None and port.device_id == row.uuid and port.network_id in networks
    ]
    values: Values = {"network_info": _plain(kept)}
    ids = [group for vif in kept for group in ports[vif.port_id].security_groups]
    names = list(dict.fromkeys(groups[group].name for group in ids if group in groups))
    return values | {"security_groups": names} if names else values


def _known(row: SpecifiedRow) -> list[Vif]:
    """The interfaces that the server has: of its row, or, while it is built, of what was asked for."""
    if row.vm_state != Vm.BUILDING or row.spec is None:
        return vifs(row.network_info)
    return [
        Vif(port_id=port_id_of(row.uuid, n, want), network_id="", network_name="", mac_address="", tag=want.tag,
            created=want.port_id is None)
        for n, want in enumerate(request_specs.decode(row.spec).networks)
    ]  # fmt: skip

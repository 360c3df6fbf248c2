"""Rules of trunks: a server's one port carries other networks' ports, each by its VLAN tag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Transaction, retried
from kilonova.core.yielding import yielding
from kilonova.network.agent.interface import MAKES_TRUNKS
from kilonova.network.hosts import subports
from kilonova.network.projects import make_room
from kilonova.network.resources.base.columns import changes_of, owner, shown, standard
from kilonova.network.resources.base.facts import Guard, Seeing, owned_by
from kilonova.network.resources.base.logic import Logic
from kilonova.network.resources.base.visible import visible_port
from kilonova.network.resources.trunks import errors, plan
from kilonova.network.resources.trunks.schemas import SubPort, SubPortIn, Trunk, TrunkCreate, TrunkUpdate
from kilonova.network.store import tags as tag_store
from kilonova.network.store import trunks as store
from kilonova.network.store.networks import NETWORKS
from kilonova.network.store.ports import PORTS, PortRow
from kilonova.network.store.trunks import TRUNKS, TrunkRow


class TrunkLogic(Logic[TrunkRow, Trunk]):
    objects = TRUNKS
    missing = errors.TrunkNotFound

    async def views(self, connection: Connection, rows: Sequence[TrunkRow]) -> Sequence[Trunk]:
        ids = [row.id for row in rows]
        tags, below = await tag_store.tags_of(connection, ids), await store.subports_of(connection, ids)
        parents = await PORTS.by_ids(connection, [row.port_id for row in rows])
        return [_view(row, parents[row.port_id], below.get(row.id, []), tags.get(row.id, [])) for row in rows]

    @retried
    async def make(
        self, ctx: RequestContext, bodies: Sequence[TrunkCreate], guards: Sequence[Guard], seeing: Seeing
    ) -> Sequence[Trunk]:
        """All or none; `guards` holds one for each body. Raises NoHostMakesTrunks."""
        async for body, guard in yielding(zip(bodies, guards, strict=True)):
            guard(owned_by(owner(ctx, body)), None)
            plan.check_details(body.sub_ports or [])
        rows = [standard(self.deps, ctx, body) for body in bodies]
        async with self.deps.database.transaction() as tx:
            if not await store.made_on_a_host(tx.connection, MAKES_TRUNKS, self.deps.alive_since()):
                raise errors.NoHostMakesTrunks
            await make_room(self.deps, tx, [row["project_id"] for row in rows], {TRUNKS: 1})
            async for row, body in yielding(zip(rows, bodies, strict=True)):
                ports = await _ports(tx, [body.port_id, *_ids(body.sub_ports or [])], seeing)
                plan.check_parent(ports[body.port_id])
                await TRUNKS.add(
                    tx.connection, [row | {"admin_state_up": body.admin_state_up, "port_id": body.port_id}]
                )
                await store.set_parent(tx.connection, body.port_id, row["id"])
                await self._add(tx, ctx, row["id"], ports[body.port_id], body.sub_ports or [], ports)
            made = await TRUNKS.by_ids(tx.connection, [row["id"] for row in rows])
            return await self.views(tx.connection, [made[row["id"]] for row in rows])

    async def _add(
        self, tx: Transaction, ctx: RequestContext, trunk_id: str, parent: PortRow, asked: Sequence[SubPortIn],
        ports: Mapping[str, PortRow],
    ) -> None:  # fmt: skip
        networks = await NETWORKS.by_ids(tx.connection, {port.network_id for port in ports.values()})
        for one in asked:
            plan.check_subport(ports[one.port_id], trunk_id, parent, networks)
            await store.set_subport(tx.connection, one.port_id, trunk_id, one.segmentation_id or 0)
        new = [ports[one.port_id] for one in asked]
        await subports.bind(self.deps, tx, ctx, new, parent.host_id, parent.id)

    async def changes(self, tx: Transaction, row: TrunkRow, body: TrunkUpdate) -> dict[str, Any]:
        return changes_of(body)

    async def changed(self, tx: Transaction, ctx: RequestContext, row: TrunkRow, changes: Mapping[str, Any]) -> None:
        """Its subports carry nothing while it is administratively down."""
        if changes.get("admin_state_up", row.admin_state_up) != row.admin_state_up:
            below, parent = await self._below(tx, row)
            await subports.bind(self.deps, tx, ctx, below, parent.host_id, parent.id)

    async def removing(self, tx: Transaction, ctx: RequestContext, row: TrunkRow) -> None:
        """Its ports stay, bound to no host but the parent."""
        _check_enabled(row)
        below, parent = await self._below(tx, row)
        await store.set_parent(tx.connection, row.port_id, None)
        await self._free(tx, ctx, below, parent)

    async def _free(self, tx: Transaction, ctx: RequestContext, gone: Sequence[PortRow], parent: PortRow) -> None:
        await store.free_subports(tx.connection, [port.id for port in gone])
        await subports.bind(self.deps, tx, ctx, gone, "", parent.id)

    async def _below(self, tx: Transaction, row: TrunkRow) -> tuple[list[PortRow], PortRow]:
        """Its subports and its parent."""
        below = (await store.subports_of(tx.connection, [row.id])).get(row.id, [])
        return below, (await PORTS.by_ids(tx.connection, [row.port_id]))[row.port_id]

    async def subports(self, trunk_id: str, guard: Guard) -> Sequence[SubPort]:
        return (await self.get(trunk_id, guard)).sub_ports

    @retried
    async def add_subports(
        self, ctx: RequestContext, trunk_id: str, asked: Sequence[SubPortIn], guard: Guard, seeing: Seeing
    ) -> Trunk:
        async with self.deps.database.transaction() as tx:
            row = await self.guarded(tx.connection, trunk_id, guard, lock=True)
            plan.check_details(asked)
            _check_enabled(row)
            below, parent = await self._below(tx, row)
            ports = await _ports(tx, _ids(asked), seeing)
            taken = {port.vlan for port in below}
            for one in asked:
                if one.segmentation_id in taken and ports[one.port_id].subport_of is None:
                    raise errors.DuplicateSubPort(id=trunk_id, vlan=one.segmentation_id)
            await self._add(tx, ctx, trunk_id, parent, asked, {parent.id: parent, **ports})
            return await self._touched(tx, row)

    @retried
    async def remove_subports(
        self, ctx: RequestContext, trunk_id: str, asked: Sequence[SubPortIn], guard: Guard
    ) -> Trunk:
        async with self.deps.database.transaction() as tx:
            row = await self.guarded(tx.connection, trunk_id, guard, lock=True)
            _check_enabled(row)
            below, parent = await self._below(tx, row)
            held = {port.id: port for port in below}
            for port_id in _ids(asked):
                if port_id not in held:
                    raise errors.SubPortNotFound(id=trunk_id, port_id=port_id)
            await self._free(tx, ctx, [held[port_id] for port_id in dict.fromkeys(_ids(asked))], parent)
            return await self._touched(tx, row)

    async def _touched(self, tx: Transaction, row: TrunkRow) -> Trunk:
        await TRUNKS.change(tx.connection, row.id, {}, self.deps.now())
        return (await self.views(tx.connection, [await TRUNKS.get(tx.connection, row.id) or row]))[0]


def _ids(asked: Sequence[SubPortIn]) -> list[str]:
    return [one.port_id for one in asked]


async def _ports(tx: Transaction, ids: Sequence[str], seeing: Seeing) -> dict[str, PortRow]:
    """Locked, one after the other in the order of their ids. Raises PortNotFound."""
    return {id: await visible_port(tx.connection, id, seeing) for id in sorted(set(ids))}


def _check_enabled(row: TrunkRow) -> None:
    if not row.admin_state_up:
        raise errors.TrunkDisabled(id=row.id)


def _view(row: TrunkRow, parent: PortRow, below: Sequence[PortRow], tags: Sequence[str]) -> Trunk:
    up = parent.status == "ACTIVE" and row.admin_state_up
    status = ("ACTIVE" if all(port.status == "ACTIVE" for port in below) else "BUILD") if up else "DOWN"
    return Trunk(
        **shown(row, tags),
        admin_state_up=row.admin_state_up,
        port_id=row.port_id,
        status=status,
        sub_ports=[
            SubPort(port_id=port.id, segmentation_type=plan.VLAN, segmentation_id=port.vlan or 0) for port in below
        ],
    )

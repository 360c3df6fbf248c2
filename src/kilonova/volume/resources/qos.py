"""QoS specs: limits that volume types are associated with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from kilonova.core.db import Connection, Database, retried
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import View
from kilonova.volume import errors
from kilonova.volume.fields import Link, SpecKey, Value, truth_of
from kilonova.volume.list_query import ListQuery
from kilonova.volume.resources.base import OPERATOR, Deps, Resource, V, links
from kilonova.volume.resources.listing import Listing, next_page
from kilonova.volume.store import items
from kilonova.volume.store import qos as store
from kilonova.volume.store.qos import QOS, QosRow
from kilonova.volume.store.types import TYPES

Q = "volume_extension:qos_specs_manage"
RULES = {f"{Q}:{verb}": OPERATOR for verb in ("create", "get", "get_all", "update", "delete")}
CONSUMERS = ("front-end", "back-end", "both")
LIST = Listing(
    filters={"id": "id", "name": "name", "consumer": "consumer"},
    sort={name: name for name in ("id", "name", "consumer", "created_at")},
    like=(),
)


class QosCreate(View, kw_only=True):
    """`name`, `consumer` (front-end, back-end, both), and specs."""

    qos_specs: dict[SpecKey, Value]


class QosKeys(View, kw_only=True):
    keys: Annotated[list[SpecKey], Meta(min_length=1)]


class QosView(View, kw_only=True):
    id: str
    name: str
    consumer: str
    specs: dict[str, str]


class QosBody(View, kw_only=True):
    qos_specs: QosView
    links: list[Link]


class QosList(View, kw_only=True):
    qos_specs: list[QosView]
    qos_specs_links: list[Link] | UnsetType = UNSET


class Association(View, kw_only=True):
    association_type: str
    name: str
    id: str


class Associations(View, kw_only=True):
    qos_associations: list[Association]


class QosLogic:
    def __init__(self, deps: Deps) -> None:
        self.database: Database = deps.database
        self.clock, self.maximum = deps.clock, deps.options.limit_max

    async def find(self, connection: Connection, specs_id: str) -> QosRow:
        row = await QOS.get(connection, specs_id)
        if row is None:
            raise errors.QosNotFound(specs_id=specs_id)
        return row

    async def views(self, connection: Connection, rows: Sequence[QosRow]) -> list[QosView]:
        specs = await items.of(connection, store.SPECS, [row.id for row in rows])
        return [QosView(id=row.id, name=row.name, consumer=row.consumer, specs=specs[row.id]) for row in rows]

    async def show(self, specs_id: str) -> QosView:
        async with self.database.reading() as connection:
            return (await self.views(connection, [await self.find(connection, specs_id)]))[0]

    async def page(self, query: ListQuery) -> list[QosView]:
        async with self.database.reading() as connection:
            rows = await QOS.page(connection, query)
            if rows is None:
                raise errors.QosNotFound(specs_id=query.marker)
            return await self.views(connection, rows)

    @retried
    async def create(self, name: str, consumer: str, specs: dict[str, str]) -> str:
        specs_id = self.clock.uuid()
        async with self.database.transaction() as tx:
            if await QOS.find(tx.connection, name=name):
                raise errors.QosExists(name=name)
            now = self.clock.row_time()
            await QOS.add(tx.connection, id=specs_id, name=name, consumer=consumer, created_at=now)
            await items.put(tx.connection, store.SPECS, specs_id, specs)
        return specs_id

    @retried
    async def update(self, specs_id: str, consumer: str | None, specs: dict[str, str]) -> None:
        async with self.database.transaction() as tx:
            row = await self.find(tx.connection, specs_id)
            if consumer is not None:
                await QOS.change(tx.connection, row.id, {"consumer": consumer})
            await items.put(tx.connection, store.SPECS, row.id, specs)

    @retried
    async def remove_keys(self, specs_id: str, names: Sequence[str]) -> None:
        async with self.database.transaction() as tx:
            row = await self.find(tx.connection, specs_id)
            for name in names:
                if not await items.remove(tx.connection, store.SPECS, row.id, name):
                    raise errors.QosKeyNotFound(specs_id=specs_id, name=name)

    @retried
    async def delete(self, specs_id: str, *, force: bool) -> None:
        async with self.database.transaction() as tx:
            row = await self.find(tx.connection, specs_id)
            if not force and await store.types_of(tx.connection, row.id):
                raise errors.QosInUse(specs_id=specs_id)
            await store.remove(tx.connection, row.id)

    async def associations(self, specs_id: str) -> list[Association]:
        async with self.database.reading() as connection:
            row = await self.find(connection, specs_id)
            kinds = await store.types_of(connection, row.id)
        return [Association(association_type="volume_type", name=kind.name, id=kind.id) for kind in kinds]

    @retried
    async def associate(self, specs_id: str, type_id: str, *, leave: bool) -> None:
        async with self.database.transaction() as tx:
            row, kind = await self.find(tx.connection, specs_id), await TYPES.get(tx.connection, type_id)
            if kind is None:
                raise errors.TypeNotFound(type_id=type_id)
            if not leave and kind.qos_specs_id not in (None, row.id):
                raise errors.InvalidQos(
                    reason=f"Type {type_id} is already associated with qos specs {kind.qos_specs_id}."
                )
            if not leave or kind.qos_specs_id == row.id:
                await TYPES.change(tx.connection, kind.id, {"qos_specs_id": None if leave else row.id})

    @retried
    async def leave_all(self, specs_id: str) -> None:
        async with self.database.transaction() as tx:
            await store.leave(tx.connection, (await self.find(tx.connection, specs_id)).id)


class QosHandlers:
    def __init__(self, logic: QosLogic) -> None:
        self.logic = logic

    async def _body(self, call: Call, specs_id: str) -> Reply:
        return Reply(QosBody(qos_specs=await self.logic.show(specs_id), links=links(call, "qos-specs", specs_id)))

    async def list(self, call: Call) -> Reply:
        query = LIST.read(call, maximum=self.logic.maximum)
        view = QosList(qos_specs=await self.logic.page(query))
        view.qos_specs_links = next_page(call, query, "/qos-specs", view.qos_specs) or UNSET
        return Reply(view)

    async def show(self, call: Call, specs_id: str) -> Reply:
        return await self._body(call, specs_id)

    async def create(self, call: Call) -> Reply:
        given = dict((await call.decode(QosCreate)).qos_specs)
        name = given.pop("name", "").strip()
        if not name:
            raise errors.InvalidQos(reason="they need a name")
        return await self._body(call, await self.logic.create(name, _consumer(given) or "back-end", given))

    async def update(self, call: Call, specs_id: str) -> Reply:
        asked = await call.decode(QosCreate)
        given = dict(asked.qos_specs)
        await self.logic.update(specs_id, _consumer(given), given)
        return Reply(QosCreate(qos_specs=asked.qos_specs))

    async def delete(self, call: Call, specs_id: str) -> Reply:
        await self.logic.delete(specs_id, force=truth_of(call.query.get("force", "false"), "force"))
        return Reply()

    async def remove_keys(self, call: Call, specs_id: str) -> Reply:
        await self.logic.remove_keys(specs_id, (await call.decode(QosKeys)).keys)
        return Reply()

    async def associations(self, call: Call, specs_id: str) -> Reply:
        return Reply(Associations(qos_associations=await self.logic.associations(specs_id)))

    async def associate(self, call: Call, specs_id: str) -> Reply:
        await self.logic.associate(specs_id, _type(call), leave=False)
        return Reply()

    async def disassociate(self, call: Call, specs_id: str) -> Reply:
        await self.logic.associate(specs_id, _type(call), leave=True)
        return Reply()

    async def disassociate_all(self, call: Call, specs_id: str) -> Reply:
        await self.logic.leave_all(specs_id)
        return Reply()


def _consumer(given: dict[str, str]) -> str | None:
    """Taken out of what was given."""
    consumer = given.pop("consumer", None)
    if consumer is not None and consumer not in CONSUMERS:
        raise errors.InvalidQos(reason=f"Valid consumer of QoS specs are: {', '.join(CONSUMERS)}")
    return consumer


def _type(call: Call) -> str:
    type_id = call.query.get("vol_type_id")
    if not type_id:
        raise errors.InvalidQos(reason="Volume Type id must not be None.")
    return str(type_id)


def routes(deps: Deps) -> list[Route]:
    at = QosHandlers(QosLogic(deps))
    every, one = f"{V}/qos-specs", f"{V}/qos-specs/{{specs_id:str}}"
    rows: list[tuple[Any, ...]] = [
        ("GET", every, at.list, "get_all", 200, None, QosList, "List QoS specs."),
        ("POST", every, at.create, "create", 200, QosCreate, QosBody, "Create QoS specs: name, consumer, and pairs."),
        ("GET", one, at.show, "get", 200, None, QosBody, "Show QoS specs."),
        ("PUT", one, at.update, "update", 200, QosCreate, QosCreate, "Set pairs of QoS specs."),
        ("DELETE", one, at.delete, "delete", 202, None, None, "Delete QoS specs; with force=true also those of a type."),
        ("PUT", f"{one}/delete_keys", at.remove_keys, "update", 202, QosKeys, None, "Remove pairs of QoS specs."),
        ("GET", f"{one}/associations", at.associations, "get_all", 200, None, Associations, "List the types of QoS specs."),
        ("GET", f"{one}/associate", at.associate, "update", 202, None, None, "Give QoS specs to a type."),
        ("GET", f"{one}/disassociate", at.disassociate, "update", 202, None, None, "Take QoS specs from a type."),
        ("GET", f"{one}/disassociate_all", at.disassociate_all, "update", 202, None, None, "Take QoS specs from all types."),
    ]  # fmt: skip
    return [
        Route(method, path, handler, f"{Q}:{verb}", status, body=body, reply=reply, summary=summary)
        for method, path, handler, verb, status, body, reply, summary in rows
    ]


QOS_SPECS = Resource(routes, RULES)

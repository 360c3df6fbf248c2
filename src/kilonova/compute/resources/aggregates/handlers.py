"""Host aggregates over HTTP."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from kilonova.compute.errors import NotBuiltYet
from kilonova.compute.resources.aggregates import schemas as shapes
from kilonova.compute.resources.aggregates.logic import ZONE, AggregateLogic, Held
from kilonova.compute.resources.aggregates.policies import RULE
from kilonova.compute.times import shown_bare
from kilonova.core.web.call import Call, InvalidInput, Reply
from kilonova.core.web.wire import present


class Aggregates:
    def __init__(self, logic: AggregateLogic) -> None:
        self.logic = logic

    async def list(self, call: Call) -> Reply:
        return Reply(shapes.Aggregates(aggregates=[_view(held) for held in await self.logic.list()]))

    async def show(self, call: Call, aggregate_id: str) -> Reply:
        return Reply(shapes.AggregateBody(aggregate=_view(await self.logic.get(_number(aggregate_id)))))

    async def create(self, call: Call) -> Reply:
        asked = (await call.decode(shapes.AggregateCreate)).aggregate
        view = _view(await self.logic.create(asked.name, asked.availability_zone))
        view.hosts, view.metadata = UNSET, UNSET
        return Reply(shapes.AggregateBody(aggregate=view))

    async def update(self, call: Call, aggregate_id: str) -> Reply:
        asked = (await call.decode(shapes.AggregateUpdate)).aggregate
        zone = asked.availability_zone
        if isinstance(asked.name, UnsetType) and isinstance(zone, UnsetType):
            raise InvalidInput(reason="name or availability_zone is needed")
        metadata = {} if isinstance(zone, UnsetType) else {ZONE: zone}
        held = await self.logic.update(_number(aggregate_id), present(asked.name, None), metadata)
        return Reply(shapes.AggregateBody(aggregate=_view(held)))

    async def delete(self, call: Call, aggregate_id: str) -> Reply:
        await self.logic.delete(_number(aggregate_id))
        return Reply()

    async def action(self, call: Call, aggregate_id: str) -> Reply:
        body = await call.decode(shapes.AggregateAction)
        given = [name for name in body.__struct_fields__ if not isinstance(getattr(body, name), UnsetType)]
        if len(given) != 1:
            raise InvalidInput(reason="exactly one action is needed")
        call.authorize({}, f"{RULE}:{given[0]}")
        number = _number(aggregate_id)
        if not isinstance(body.add_host, UnsetType):
            held = await self.logic.add_host(number, body.add_host.host)
        elif not isinstance(body.remove_host, UnsetType):
            held = await self.logic.remove_host(number, body.remove_host.host)
        else:
            metadata = body.set_metadata.metadata if not isinstance(body.set_metadata, UnsetType) else {}
            held = await self.logic.update(number, None, metadata)
        return Reply(shapes.AggregateBody(aggregate=_view(held)))

    async def images(self, call: Call, aggregate_id: str) -> Reply:
        await self.logic.get(_number(aggregate_id))
        raise NotBuiltYet(what="Caching images ahead of launches")


def _number(text: str) -> int:
    if not (text.isdecimal() and text.isascii() and len(text) < 10):
        raise InvalidInput(reason=f"id {text!r} is not an integer")
    return int(text)


def _view(held: Held) -> shapes.Aggregate:
    row, hosts = held
    return shapes.Aggregate(
        id=row.id, uuid=row.uuid, name=row.name, availability_zone=row.metadata.get(ZONE),
        created_at=shown_bare(row.created_at), updated_at=shown_bare(row.updated_at), hosts=hosts, metadata=row.metadata,
    )  # fmt: skip

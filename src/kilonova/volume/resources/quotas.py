"""Quotas of projects, quota classes, and the limits that a project sees of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from kilonova.core.db import Database, retried
from kilonova.core.errors import BadRequest
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import View
from kilonova.volume.fields import truth_of
from kilonova.volume.quotas import Quotas
from kilonova.volume.resources.base import OPERATOR, READER, Deps, Resource, V
from kilonova.volume.store import quotas as store

Q, C = "volume_extension:quotas", "volume_extension:quota_classes"
RULES = {
    f"{Q}:show": READER, f"{Q}:update": OPERATOR, f"{Q}:delete": OPERATOR, f"{C}:get": OPERATOR, f"{C}:update": OPERATOR,
    "limits_extension:used_limits": READER,
}  # fmt: skip
Limit = Annotated[int, Meta(ge=-1, le=2147483647)]
IGNORED = ("tenant_id", "id", "skip_validation", "class_name")
ID = Annotated[str, Meta(min_length=1, max_length=64)]


class Use(View, kw_only=True):
    limit: int
    in_use: int
    reserved: int
    allocated: int


class QuotaBody(View, kw_only=True):
    quota_set: dict[str, int | str | Use]


class UpdateBody(View, kw_only=True):
    quota_set: dict[str, Any]


class ClassBody(View, kw_only=True):
    quota_class_set: dict[str, int | str]


class ClassUpdate(View, kw_only=True):
    quota_class_set: dict[str, Any]


class Limits(View, kw_only=True):
    rate: list[dict[str, Any]]
    absolute: dict[str, int]


class LimitsBody(View, kw_only=True):
    limits: Limits


class QuotaLogic:
    def __init__(self, deps: Deps) -> None:
        self.database: Database = deps.database
        self.quotas = Quotas(deps.options)

    async def limits(self, project_id: str) -> dict[str, int]:
        async with self.database.reading() as connection:
            return await self.quotas.limits(connection, project_id)

    async def defaults(self, name: str = "default") -> dict[str, int]:
        async with self.database.reading() as connection:
            return await self.quotas.class_limits(connection, name)

    async def uses(self, project_id: str) -> dict[str, Use]:
        async with self.database.reading() as connection:
            limits = await self.quotas.limits(connection, project_id)
            used = (await self.quotas.usage(connection, project_id)).used
        return {
            name: Use(limit=limit, in_use=used.get(name, 0), reserved=0, allocated=0) for name, limit in limits.items()
        }

    @retried
    async def set(self, owner: str, amounts: dict[str, Any]) -> None:
        amounts = {name: amount for name, amount in amounts.items() if name not in IGNORED}
        async with self.database.transaction() as tx:
            known = await self.quotas.class_limits(tx.connection)
            if strange := sorted(set(amounts) - set(known)):
                raise BadRequest(f"Bad key(s) in quota set: {', '.join(name[:60] for name in strange)}")
            await store.set_limits(tx.connection, owner, {name: _limit(name, value) for name, value in amounts.items()})

    @retried
    async def reset(self, project_id: str) -> None:
        async with self.database.transaction() as tx:
            await store.clear(tx.connection, f"project:{project_id}")


def _limit(name: str, value: Any) -> int:
    if isinstance(value, str) and len(value) < 12 and value.strip().lstrip("-").isdecimal():
        value = int(value)
    try:
        return msgspec.convert(value, Limit)
    except msgspec.ValidationError:
        raise BadRequest(
            f"Invalid input for field/attribute {name}: it must be a number from -1 to 2147483647"
        ) from None


class QuotaHandlers:
    def __init__(self, logic: QuotaLogic) -> None:
        self.logic = logic

    async def show(self, call: Call, project_id: str) -> Reply:
        call.authorize({"project_id": project_id})
        if truth_of(call.query.get("usage", "false"), "usage"):
            return Reply(_body(await self.logic.uses(project_id), project_id))
        return Reply(_body(await self.logic.limits(project_id), project_id))

    async def defaults(self, call: Call, project_id: str) -> Reply:
        call.authorize({"project_id": project_id})
        return Reply(_body(await self.logic.defaults(), project_id))

    async def update(self, call: Call, project_id: str) -> Reply:
        _check_id(project_id)
        asked = await call.decode(UpdateBody)
        await self.logic.set(f"project:{project_id}", asked.quota_set)
        return Reply(_body(await self.logic.limits(project_id)))

    async def delete(self, call: Call, project_id: str) -> Reply:
        await self.logic.reset(project_id)
        return Reply()

    async def show_class(self, call: Call, name: str) -> Reply:
        return Reply(ClassBody(quota_class_set={"id": name} | await self.logic.defaults(name)))

    async def update_class(self, call: Call, name: str) -> Reply:
        _check_id(name)
        asked = await call.decode(ClassUpdate)
        await self.logic.set(f"class:{name}", asked.quota_class_set)
        return Reply(ClassBody(quota_class_set={**await self.logic.defaults(name)}))

    async def limits(self, call: Call) -> Reply:
        """Of the caller's project, or of another one for operators (3.39)."""
        project = str(call.ctx.project_id)
        if call.ctx.is_admin and (asked := call.query.get("project_id") or call.query.get("tenant_id")):
            project = asked
        uses = await self.logic.uses(project)
        names = {"volumes": "Volumes", "snapshots": "Snapshots", "backups": "Backups"}
        sizes = {"gigabytes": ("maxTotalVolumeGigabytes", "totalGigabytesUsed"),
                 "backup_gigabytes": ("maxTotalBackupGigabytes", "totalBackupGigabytesUsed")}  # fmt: skip
        found = {f"maxTotal{word}": uses[name].limit for name, word in names.items()}
        found |= {f"total{word}Used": uses[name].in_use for name, word in names.items()}
        for name, (most, used) in sizes.items():
            found |= {most: uses[name].limit, used: uses[name].in_use}
        return Reply(LimitsBody(limits=Limits(rate=[], absolute=found)))


def _body(found: Mapping[str, int | Use], project_id: str | None = None) -> QuotaBody:
    own: dict[str, int | str | Use] = {} if project_id is None else {"id": project_id}
    return QuotaBody(quota_set=own | dict(found))


def _check_id(text: str) -> None:
    try:
        msgspec.convert(text, ID)
    except msgspec.ValidationError:
        raise BadRequest("The id has more than 64 characters.") from None


def routes(deps: Deps) -> list[Route]:
    at = QuotaHandlers(QuotaLogic(deps))
    one, kind = f"{V}/os-quota-sets/{{project_id:str}}", f"{V}/os-quota-class-sets/{{name:str}}"
    return [
        Route("GET", one, at.show, f"{Q}:show", reply=QuotaBody, summary="Show a project's limits, and what it uses."),
        Route("GET", f"{one}/defaults", at.defaults, f"{Q}:show", reply=QuotaBody, summary="Show the limits of any project."),
        Route("PUT", one, at.update, f"{Q}:update", body=UpdateBody, reply=QuotaBody, summary="Set a project's limits."),
        Route("DELETE", one, at.delete, f"{Q}:delete", summary="Give a project the limits of any other."),
        Route("GET", kind, at.show_class, f"{C}:get", reply=ClassBody, summary="Show the limits of a quota class."),
        Route("PUT", kind, at.update_class, f"{C}:update", body=ClassUpdate, reply=ClassBody, summary="Set limits of a class."),
        Route(
            "GET", f"{V}/limits", at.limits, "limits_extension:used_limits", reply=LimitsBody,
            summary="Show what the project may have, and has.",
        ),
    ]  # fmt: skip


QUOTAS = Resource(routes, RULES)

"""Quota sets, quota classes and limits over HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from msgspec import UNSET, UnsetType

from kilonova.compute.resources.quotas import schemas as shapes
from kilonova.compute.resources.quotas.logic import RESOURCES, QuotaSetLogic
from kilonova.compute.resources.quotas.policies import OTHER_PROJECT
from kilonova.compute.web.fields import truth
from kilonova.compute.web.query import InvalidQuery
from kilonova.core.web.call import Call, InvalidInput, Reply

USER = re.compile(r"[^\s/\x00-\x1f\x7f]{1,64}")
ABSOLUTE = {  # the name in /limits → the resource
    "maxTotalInstances": "instances", "maxTotalCores": "cores", "maxTotalRAMSize": "ram", "maxTotalKeypairs": "key_pairs",
    "maxServerMeta": "metadata_items", "maxServerGroups": "server_groups", "maxServerGroupMembers": "server_group_members",
    "maxPersonality": "injected_files", "maxPersonalitySize": "injected_file_content_bytes",
    "maxTotalFloatingIps": "floating_ips", "maxSecurityGroups": "security_groups",
    "maxSecurityGroupRules": "security_group_rules", "maxImageMeta": "metadata_items",
}  # fmt: skip
USED = {
    "totalInstancesUsed": "instances", "totalCoresUsed": "cores", "totalRAMUsed": "ram",
    "totalServerGroupsUsed": "server_groups", "totalFloatingIpsUsed": "floating_ips",
    "totalSecurityGroupsUsed": "security_groups",
}  # fmt: skip


class Quotas:
    def __init__(self, logic: QuotaSetLogic) -> None:
        self.logic = logic

    async def _check(self, call: Call, project_id: str) -> str | None:
        """That the caller may, and that there is such a project; the user that is meant, None for the whole project."""
        call.authorize({"project_id": project_id})
        await self.logic.check(call.ctx, project_id)
        return _user(call)

    async def show(self, call: Call, project_id: str) -> Reply:
        user_id = await self._check(call, project_id)
        return _set(await self.logic.limits(project_id, user_id), project_id)

    async def detail(self, call: Call, project_id: str) -> Reply:
        user_id = await self._check(call, project_id)
        held = await self.logic.with_usage(project_id, user_id)
        sets = {name: shapes.Usage(limit=limit, in_use=used) for name, (limit, used) in held.items()}
        none = shapes.Usage(limit=-1, in_use=0)
        return Reply(shapes.QuotaUsageBody(quota_set=shapes.QuotaUsage(id=project_id, **_shown(sets, none))))

    async def defaults(self, call: Call, project_id: str) -> Reply:
        await self._check(call, project_id)
        return _set(await self.logic.of_class("default"), project_id)

    async def update(self, call: Call, project_id: str) -> Reply:
        asked = (await call.decode(shapes.QuotaSetUpdate)).quota_set
        user_id = await self._check(call, project_id)
        limits = await self.logic.update(project_id, user_id, _limits(asked), force=truth(asked.force))
        return _set(limits)

    async def delete(self, call: Call, project_id: str) -> Reply:
        """Also of a project that is gone."""
        call.authorize({"project_id": project_id})
        await self.logic.reset(project_id, _user(call))
        return Reply()

    async def show_class(self, call: Call, name: str) -> Reply:
        return _class(await self.logic.of_class(name), name)

    async def update_class(self, call: Call, name: str) -> Reply:
        """What is not counted here is remembered all the same, as clients expect to read what they wrote."""
        limits = _limits((await call.decode(shapes.QuotaClassUpdate)).quota_class_set, shapes.SHOWN)
        return _class(await self.logic.set_class(name, limits))

    async def limits(self, call: Call) -> Reply:
        project_id = call.query.get("tenant_id")
        if project_id is None:
            project_id = call.ctx.project_id or ""
        else:
            call.authorize({"project_id": project_id}, OTHER_PROJECT)
        held = await self.logic.with_usage(project_id)
        known = _shown(held, (-1, 0))
        absolute = {name: known[resource][0] for name, resource in ABSOLUTE.items()}
        absolute |= {name: known[resource][1] for name, resource in USED.items()}
        return Reply(shapes.LimitsBody(limits=shapes.LimitsView(absolute=shapes.Absolute(**absolute))))


def _user(call: Call) -> str | None:
    """The user whose quota is meant; None for the project's."""
    user_id = call.query.get("user_id") or None
    if user_id is not None and not USER.fullmatch(user_id):
        raise InvalidQuery(name="user_id", value=user_id[:80])
    return user_id


def _shown(values: dict[str, Any], absent: Any) -> dict[str, Any]:
    """All that clients see, with `absent` for what is not counted here."""
    return {name: values.get(name, absent) for name in shapes.SHOWN}


def _set(values: dict[str, int], project_id: str | UnsetType = UNSET) -> Reply:
    return Reply(shapes.QuotaSetBody(quota_set=shapes.QuotaSet(id=project_id, **_shown(values, -1))))


def _class(values: dict[str, int], name: str | UnsetType = UNSET) -> Reply:
    return Reply(shapes.QuotaClassBody(quota_class_set=shapes.QuotaClass(id=name, **_shown(values, -1))))


def _limits(asked: shapes.Limits, names: Iterable[str] = RESOURCES) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in names:
        value = getattr(asked, name)
        if isinstance(value, UnsetType):
            continue
        if int(value) < -1 or int(value) > 2147483647:
            raise InvalidInput(reason=f"{name}: {value} is not a limit")
        found[name] = int(value)
    return found

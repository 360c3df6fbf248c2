"""Quota sets, quota classes and limits over HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from msgspec import UnsetType

from kilonova.compute.resources.quotas import schemas as shapes
from kilonova.compute.resources.quotas.logic import RESOURCES, QuotaSetLogic
from kilonova.compute.web.common import InvalidQuery, at_least
from kilonova.compute.web.fields import truth
from kilonova.core.web.call import Call, InvalidInput, Reply
from kilonova.core.web.wire import Version

USER = re.compile(r"[^\s/\x00-\x1f\x7f]{1,64}")
ABSOLUTE = {  # the name in /limits → the resource
    "maxTotalInstances": "instances", "maxTotalCores": "cores", "maxTotalRAMSize": "ram", "maxTotalKeypairs": "key_pairs",
    "maxServerMeta": "metadata_items", "maxServerGroups": "server_groups", "maxServerGroupMembers": "server_group_members",
    "maxPersonality": "injected_files", "maxPersonalitySize": "injected_file_content_bytes",
    "maxTotalFloatingIps": "floating_ips", "maxSecurityGroups": "security_groups",
    "maxSecurityGroupRules": "security_group_rules",
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
        return Reply({"quota_set": {"id": project_id} | _shown(call, await self.logic.limits(project_id, user_id), -1)})

    async def detail(self, call: Call, project_id: str) -> Reply:
        user_id = await self._check(call, project_id)
        held = await self.logic.with_usage(project_id, user_id)
        sets = {name: {"limit": limit, "in_use": used, "reserved": 0} for name, (limit, used) in held.items()}
        none = {"limit": -1, "in_use": 0, "reserved": 0}
        return Reply({"quota_set": {"id": project_id} | _shown(call, sets, none)})

    async def defaults(self, call: Call, project_id: str) -> Reply:
        await self._check(call, project_id)
        return Reply({"quota_set": {"id": project_id} | _shown(call, await self.logic.of_class("default"), -1)})

    async def update(self, call: Call, project_id: str) -> Reply:
        asked = (await call.decode(shapes.QuotaSetUpdate)).quota_set
        user_id = await self._check(call, project_id)
        limits = await self.logic.update(project_id, user_id, _limits(asked), force=truth(asked.force))
        return Reply({"quota_set": _shown(call, limits, -1)})

    async def delete(self, call: Call, project_id: str) -> Reply:
        """Also of a project that is gone."""
        call.authorize({"project_id": project_id})
        await self.logic.reset(project_id, _user(call))
        return Reply()

    async def show_class(self, call: Call, name: str) -> Reply:
        return Reply({"quota_class_set": {"id": name} | _class(call, await self.logic.of_class(name))})

    async def update_class(self, call: Call, name: str) -> Reply:
        """What is not counted here is remembered all the same, as clients expect to read what they wrote."""
        limits = _limits((await call.decode(shapes.QuotaClassUpdate)).quota_class_set, shapes.SHOWN)
        return Reply({"quota_class_set": _class(call, await self.logic.set_class(name, limits))})

    async def limits(self, call: Call) -> Reply:
        project_id = call.query.get("tenant_id")
        if project_id is None:
            project_id = call.ctx.project_id or ""
        else:
            call.authorize({"project_id": project_id}, "os_compute_api:limits:other_project")
        held = await self.logic.with_usage(project_id)
        known = _shown(call, held, (-1, 0))
        absolute = {name: known[resource][0] for name, resource in ABSOLUTE.items() if resource in known}
        absolute |= {name: known[resource][1] for name, resource in USED.items() if resource in known}
        if not at_least(call, "2.39"):
            absolute["maxImageMeta"] = absolute["maxServerMeta"]
        return Reply({"limits": {"rate": [], "absolute": absolute}})


def _user(call: Call) -> str | None:
    """The user whose quota is meant; None for the project's."""
    user_id = call.query.get("user_id") or None
    if user_id is not None and not USER.fullmatch(user_id):
        raise InvalidQuery(name="user_id", value=user_id[:80])
    return user_id


def _shown(call: Call, values: dict[str, Any], absent: Any) -> dict[str, Any]:
    """What clients of this version see, with `absent` for what is not counted here."""
    version = call.version or Version(2, 1)
    return {name: values.get(name, absent) for name, last in shapes.SHOWN.items() if version <= Version.parse(last)}


def _class(call: Call, values: dict[str, int]) -> dict[str, int]:
    shown: dict[str, int] = _shown(call, values, -1)
    hidden = () if at_least(call, "2.50") else ("server_groups", "server_group_members")
    return {name: value for name, value in shown.items() if name not in hidden}


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

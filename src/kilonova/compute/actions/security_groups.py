"""Give a server's ports a security group, or take it from them."""

from __future__ import annotations

from kilonova.compute.actions.base import Action, Api, R, Runs, Wanted
from kilonova.compute.resources.server_actions.schemas import GroupName
from kilonova.core.web.call import Reply


async def _add(api: Api, wanted: Wanted) -> Reply:
    await api.network.add_group(wanted.call.ctx, wanted.row.uuid, wanted.body.name)
    return Reply()


async def _remove(api: Api, wanted: Wanted) -> Reply:
    await api.network.remove_group(wanted.call.ctx, wanted.row.uuid, wanted.body.name)
    return Reply()


ACTIONS = tuple(
    Action(
        name=wire, wire=wire, rule=f"{R}:os-security-groups:{rule}", runs=Runs.API, handler=handler,
        body=GroupName, example={"name": "default"}, task_states=None,
    )
    for wire, rule, handler in (("addSecurityGroup", "add", _add), ("removeSecurityGroup", "remove", _remove))
)  # fmt: skip

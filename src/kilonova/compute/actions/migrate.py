"""Bring a server that is off, or switched off for it, to another host with its disks."""

from __future__ import annotations

from kilonova.compute.actions.base import Action, Api, R, Runs, Wanted
from kilonova.compute.resources.server_actions.schemas import Migrate
from kilonova.compute.states import Task, Vm
from kilonova.compute.steps import LEAVE, TAKE_OVER
from kilonova.core.web.call import Reply
from kilonova.core.web.wire import Version


async def _migrate(api: Api, wanted: Wanted) -> Reply:
    target = wanted.body.host if wanted.body is not None else None
    if target is not None:
        owner = {"project_id": wanted.row.project_id, "user_id": wanted.row.user_id}
        wanted.call.authorize(owner, f"{R}:os-migrate-server:migrate:host")
    await api.moves.migrate(wanted.call.ctx, wanted.row.uuid, target)
    return Reply()


ACTIONS = (
    Action(
        name="migrate", wire="migrate", rule=f"{R}:os-migrate-server:migrate", runs=Runs.MOVE, handler=_migrate,
        body=Migrate, example={"host": "host-2"}, optional_body=True, body_since=Version(2, 56),
        vm_states=frozenset([Vm.ACTIVE, Vm.STOPPED]), task=Task.RESIZE_PREP, steps=(*LEAVE, *TAKE_OVER),
    ),
)  # fmt: skip

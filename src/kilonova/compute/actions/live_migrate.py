"""Bring a server to another host while its guest runs."""

from __future__ import annotations

from msgspec import UnsetType

from kilonova.compute.actions.base import Action, Api, R, Runs, Wanted
from kilonova.compute.resources.server_actions import errors
from kilonova.compute.resources.server_actions.schemas import MigrateLive
from kilonova.compute.states import Task, Vm
from kilonova.compute.steps import LAND, RECEIVE, SEND
from kilonova.compute.web.fields import truth
from kilonova.core.web.call import InvalidInput, Reply
from kilonova.core.web.wire import Version, present

FINDS_OUT, FILTERS_TARGET, ANSWERS_AT_ONCE = Version(2, 25), Version(2, 30), Version(2, 34)
"""From here on the hosts find out whether disks are shared; a host that is named passes the filters; what speaks against it is
not awaited."""
NEWEST = Version(2, 104)


async def _migrate(api: Api, wanted: Wanted) -> Reply:
    asked, version = wanted.body, wanted.call.version or NEWEST
    auto = isinstance(asked.block_migration, str) and asked.block_migration.lower() == "auto"
    if version < FINDS_OUT and auto:
        raise InvalidInput(reason="block_migration: 'auto' is not a boolean")
    if version < FINDS_OUT and isinstance(asked.disk_over_commit, UnsetType):
        raise InvalidInput(reason="'disk_over_commit' is a required property")
    force = truth(present(asked.force, False))
    if force and asked.host is None:
        raise errors.ForceWithoutHost
    if asked.host is not None:
        owner = {"project_id": wanted.row.project_id, "user_id": wanted.row.user_id}
        wanted.call.authorize(owner, f"{R}:os-migrate-server:migrate_live:host")
        force = force or version < FILTERS_TARGET
    await api.live.migrate(
        wanted.call.ctx, wanted.row.uuid, target=asked.host, force=force,
        block=None if auto else truth(asked.block_migration), told=version < ANSWERS_AT_ONCE,
    )  # fmt: skip
    return Reply()


ACTIONS = (
    Action(
        name="live-migration", wire="os-migrateLive", rule=f"{R}:os-migrate-server:migrate_live", runs=Runs.MOVE,
        handler=_migrate, body=MigrateLive, example={"host": None, "block_migration": "auto"},
        vm_states=frozenset([Vm.ACTIVE, Vm.PAUSED]), task=Task.MIGRATING, steps=(*RECEIVE, *SEND, *LAND),
    ),
)  # fmt: skip

"""POST /volumes/{id}/action: the way from a body to the action it names. The table says what each takes and which rule guards
it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from kilonova.core.errors import BadRequest, NotFound
from kilonova.core.web.bodies import converted
from kilonova.core.web.call import Call, Reply
from kilonova.volume.fields import truth
from kilonova.volume.resources.base import at_least, owned
from kilonova.volume.resources.volume_actions import schemas as shapes
from kilonova.volume.resources.volume_actions.legacy import LegacyLogic
from kilonova.volume.resources.volume_actions.logic import ActionLogic
from kilonova.volume.resources.volume_actions.policies import ADMIN_ACTION, IMAGE, A
from kilonova.volume.resources.volume_actions.retyping import Retyping
from kilonova.volume.store.volumes import VolumeRow


class Wanted(msgspec.Struct, frozen=True):
    """An action on a volume that its caller may do."""

    call: Call
    row: VolumeRow
    body: Any

    @property
    def ctx(self) -> Any:
        return self.call.ctx


@dataclass(frozen=True)
class Api:
    actions: ActionLogic
    legacy: LegacyLogic
    retyping: Retyping


@dataclass(frozen=True)
class Action:
    rule: str
    body: type
    do: Callable[[Api, Wanted], Awaitable[Reply]]
    since: str = "3.0"


async def extend(api: Api, it: Wanted) -> Reply:
    if it.row.status == "in-use":
        if not at_least(it.call, "3.42"):
            raise BadRequest(
                f"Invalid volume: Volume {it.row.id} status must be available to extend, currently in-use."
            )
        it.call.authorize(owned(it.row), "volume:extend_attached_volume")
    await api.actions.extend(it.ctx, it.row.id, int(it.body.new_size))
    return Reply()


async def reset_status(api: Api, it: Wanted) -> Reply:
    if it.body.attach_status == "detached":
        await api.legacy.let_go(it.ctx, it.row)
    await api.actions.reset(it.ctx, it.row.id, it.body)
    return Reply()


async def force_delete(api: Api, it: Wanted) -> Reply:
    await api.actions.force_delete(it.ctx, it.row.id)
    return Reply()


async def set_bootable(api: Api, it: Wanted) -> Reply:
    await api.actions.set_bootable(it.row, truth(it.body.bootable))
    return Reply(status=200)


async def set_readonly(api: Api, it: Wanted) -> Reply:
    await api.actions.set_readonly(it.row, truth(it.body.readonly))
    return Reply()


async def set_image_metadata(api: Api, it: Wanted) -> Reply:
    return Reply(
        shapes.ImageMetadataView(metadata=await api.actions.set_image_facts(it.row, it.body.metadata)), status=200
    )


async def show_image_metadata(api: Api, it: Wanted) -> Reply:
    return Reply(shapes.ImageMetadataView(metadata=await api.actions.image_facts(it.row)), status=200)


async def unset_image_metadata(api: Api, it: Wanted) -> Reply:
    await api.actions.remove_image_fact(it.row, it.body.key)
    return Reply(status=200)


async def revert(api: Api, it: Wanted) -> Reply:
    await api.actions.revert(it.ctx, it.row.id, it.body.snapshot_id)
    return Reply()


async def upload(api: Api, it: Wanted) -> Reply:
    if it.body.visibility == "public":
        it.call.authorize(owned(it.row), f"{A}:upload_public")
    return Reply(shapes.UploadedBody(uploaded=await api.actions.upload(it.ctx, it.row, it.body)))


async def retype(api: Api, it: Wanted) -> Reply:
    await api.retyping.retype(it.ctx, it.row.id, it.body.new_type)
    return Reply()


async def reserve(api: Api, it: Wanted) -> Reply:
    await api.legacy.reserve(it.ctx, it.row)
    return Reply()


async def unreserve(api: Api, it: Wanted) -> Reply:
    await api.legacy.turn(it.ctx, it.row.id, ("attaching", "reserved"), None, "unreserve")
    return Reply()


async def begin_detaching(api: Api, it: Wanted) -> Reply:
    await api.legacy.turn(it.ctx, it.row.id, ("in-use",), "detaching", "begin detaching")
    return Reply()


async def roll_detaching(api: Api, it: Wanted) -> Reply:
    await api.legacy.turn(it.ctx, it.row.id, ("detaching",), "in-use", "roll back detaching")
    return Reply()


async def attach(api: Api, it: Wanted) -> Reply:
    await api.legacy.attach(it.ctx, it.row.id, it.body)
    return Reply()


async def detach(api: Api, it: Wanted) -> Reply:
    await api.legacy.detach(it.ctx, it.row, it.body.attachment_id)
    return Reply()


async def force_detach(api: Api, it: Wanted) -> Reply:
    await api.legacy.force_detach(it.ctx, it.row, it.body.attachment_id)
    return Reply()


async def initialize(api: Api, it: Wanted) -> Reply:
    info = await api.legacy.initialize(it.ctx, it.row, it.body.connector)
    return Reply(shapes.ConnectionView(connection_info=info), status=200)


async def terminate(api: Api, it: Wanted) -> Reply:
    await api.legacy.terminate(it.ctx, it.row, it.body.connector)
    return Reply()


ACTIONS: Mapping[str, Action] = {
    "os-extend": Action("volume:extend", shapes.Extend, extend),
    "os-reset_status": Action(f"{ADMIN_ACTION}:reset_status", shapes.ResetStatus, reset_status),
    "os-force_delete": Action(f"{ADMIN_ACTION}:force_delete", shapes.Nothing, force_delete),
    "os-force_detach": Action(f"{ADMIN_ACTION}:force_detach", shapes.ForceDetach, force_detach),
    "os-set_bootable": Action("volume:update", shapes.SetBootable, set_bootable),
    "os-update_readonly_flag": Action("volume:update_readonly_flag", shapes.Readonly, set_readonly),
    "os-set_image_metadata": Action(f"{IMAGE}:set", shapes.ImageMetadata, set_image_metadata),
    "os-show_image_metadata": Action(f"{IMAGE}:show", shapes.Nothing, show_image_metadata),
    "os-unset_image_metadata": Action(f"{IMAGE}:remove", shapes.ImageMetadataKey, unset_image_metadata),
    "os-volume_upload_image": Action(f"{A}:upload_image", shapes.Upload, upload),
    "revert": Action("volume:revert_to_snapshot", shapes.Revert, revert, since="3.40"),
    "os-retype": Action("volume:retype", shapes.Retype, retype),
    "os-reserve": Action(f"{A}:reserve", shapes.Nothing, reserve),
    "os-unreserve": Action(f"{A}:unreserve", shapes.Nothing, unreserve),
    "os-begin_detaching": Action(f"{A}:begin_detaching", shapes.Nothing, begin_detaching),
    "os-roll_detaching": Action(f"{A}:roll_detaching", shapes.Nothing, roll_detaching),
    "os-attach": Action(f"{A}:attach", shapes.Attach, attach),
    "os-detach": Action(f"{A}:detach", shapes.Detach, detach),
    "os-initialize_connection": Action(f"{A}:initialize_connection", shapes.Connection, initialize),
    "os-terminate_connection": Action(f"{A}:terminate_connection", shapes.Connection, terminate),
}


class VolumeActions:
    def __init__(self, api: Api) -> None:
        self.api = api

    async def act(self, call: Call, volume_id: str) -> Reply:
        body = await call.decode(dict[str, Any])
        name = next(iter(body)) if len(body) == 1 else ""
        action = ACTIONS.get(name)
        if action is None:
            raise BadRequest(f"There is no such action: {name[:60]}")
        if not at_least(call, action.since):
            raise NotFound
        row = await self.api.actions.volumes.get(call.ctx, volume_id)
        call.authorize(owned(row), action.rule)
        given = {} if body[name] is None and action.body in (shapes.Nothing, shapes.Detach) else body[name]
        return await action.do(self.api, Wanted(call, row, converted(call, given, action.body)))

"""Make an image of a server's disk, once or as one of a number of backups; what runs goes on running."""

from __future__ import annotations

from kilonova.compute.actions.base import Action, Api, R, Runs, Wanted
from kilonova.compute.resources.server_actions.schemas import CreateBackup, CreateImage, ImageMade
from kilonova.compute.states import Task, Vm
from kilonova.compute.steps import MAKE_IMAGE
from kilonova.core.web.call import Reply
from kilonova.core.web.wire import Version

IN_BODY = Version(2, 45)
"""From here on the image's id is in the body, until then in the header Location."""
BACKUPS_UNLIMITED = Version(2, 39)
"""From here on a backup may have more properties than a server metadata items."""
DISKS = frozenset([Vm.ACTIVE, Vm.STOPPED, Vm.PAUSED, Vm.SUSPENDED])
SHOWS: dict[str, Task] = {task: task for task in (Task.IMAGE_PENDING_UPLOAD, Task.IMAGE_UPLOADING)}


async def _create_image(api: Api, wanted: Wanted) -> Reply:
    asked, row = wanted.body, wanted.row
    if row.image_id is None:  # it boots from a volume
        owner = {"project_id": row.project_id, "user_id": row.user_id}
        wanted.call.authorize(owner, f"{R}:servers:create_image:allow_volume_backed")
    image_id = await api.snapshots.create(wanted.call.ctx, wanted.row, asked.name.strip(), asked.metadata)
    return _made(api, wanted, image_id)


async def _create_backup(api: Api, wanted: Wanted) -> Reply:
    asked, version = wanted.body, wanted.call.version
    image_id = await api.snapshots.back_up(
        wanted.call.ctx, wanted.row, asked.name.strip(), asked.metadata, backup_type=asked.backup_type,
        rotation=int(asked.rotation), limited=version is not None and version < BACKUPS_UNLIMITED,
    )  # fmt: skip
    return _made(api, wanted, image_id, shown=int(asked.rotation) > 0)


def _made(api: Api, wanted: Wanted, image_id: str, *, shown: bool = True) -> Reply:
    version = wanted.call.version
    if version is None or version >= IN_BODY:
        return Reply(ImageMade(image_id=image_id))
    return Reply(headers={"Location": f"{api.snapshots.image_url}/images/{image_id}"} if shown else {})


ACTIONS = (
    Action(
        name="createImage", wire="createImage", rule=f"{R}:servers:create_image", runs=Runs.HOST, handler=_create_image,
        body=CreateImage, reply=ImageMade, example={"name": "image", "metadata": {"made": "by hand"}},
        vm_states=DISKS, task=Task.IMAGE_SNAPSHOT_PENDING, shows=SHOWS | {Task.IMAGE_SNAPSHOT: Task.IMAGE_SNAPSHOT},
        locked=False, steps=MAKE_IMAGE, event="snapshot",
    ),
    Action(
        name="createBackup", wire="createBackup", rule=f"{R}:os-create-backup", runs=Runs.HOST, handler=_create_backup,
        body=CreateBackup, reply=ImageMade, example={"name": "backup", "backup_type": "daily", "rotation": 1},
        vm_states=DISKS, task=Task.IMAGE_BACKUP, shows=SHOWS, locked=False, steps=MAKE_IMAGE, event="snapshot",
    ),
)  # fmt: skip

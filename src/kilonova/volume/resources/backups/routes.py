"""Routes of backups."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

from kilonova.core.web.app import Route
from kilonova.core.web.wire import wrapped
from kilonova.volume.resources.backups import schemas as shapes
from kilonova.volume.resources.backups.handlers import ACTIONS, Backups
from kilonova.volume.resources.backups.logic import BackupLogic
from kilonova.volume.resources.backups.policies import RULES
from kilonova.volume.resources.base import Deps, Resource, V

EVERY, ONE = f"{V}/backups", f"{V}/backups/{{backup_id:str}}"
BODIES: Any = reduce(or_, [wrapped(name, shape | None) for name, (shape, _) in ACTIONS.items()])


def routes(deps: Deps) -> list[Route]:
    at = Backups(BackupLogic(deps))
    made = shapes.MadeBody
    return [
        Route("POST", EVERY, at.create, "backup:create", 202, body=shapes.BackupCreate, reply=made, summary="Back a volume up."),
        Route("GET", EVERY, at.list, "backup:get_all", reply=shapes.Backups, summary="List backups, in brief."),
        Route("GET", f"{EVERY}/detail", at.detail, "backup:get_all", reply=shapes.BackupsDetail, summary="List backups."),
        Route("GET", ONE, at.show, "backup:get", reply=shapes.BackupBody, summary="Show a backup."),
        Route(
            "PUT", ONE, at.update, "backup:update", since="3.9", body=shapes.BackupUpdate, reply=made,
            summary="Change a backup's texts.",
        ),
        Route("DELETE", ONE, at.delete, "backup:delete", 202, summary="Delete a backup."),
        Route(
            "POST", f"{ONE}/restore", at.restore, "backup:restore", 202, body=shapes.RestoreBody, reply=shapes.RestoredBody,
            summary="Make a volume of a backup.",
        ),
        Route(
            "POST", f"{ONE}/action", at.act, "backup:get", 202, body=BODIES,
            summary="Do an action on a backup: the body's one key names it.",
        ),
    ]  # fmt: skip


BACKUPS = Resource(routes, RULES)

"""Routes of volumes."""

from __future__ import annotations

from kilonova.core.web.app import Route
from kilonova.volume.resources.base import Deps, Resource, V
from kilonova.volume.resources.volumes import schemas as shapes
from kilonova.volume.resources.volumes.creation import Creation
from kilonova.volume.resources.volumes.handlers import Volumes
from kilonova.volume.resources.volumes.logic import VolumeLogic
from kilonova.volume.resources.volumes.policies import RULES

EVERY, ONE = f"{V}/volumes", f"{V}/volumes/{{volume_id:str}}"


def routes(deps: Deps) -> list[Route]:
    logic = VolumeLogic(deps)
    volumes = Volumes(logic, Creation(logic))
    body = shapes.VolumeBody
    return [
        Route("POST", EVERY, volumes.create, "volume:create", 202, body=shapes.VolumeCreate, reply=body,
            summary="Create a volume."),
        Route("GET", EVERY, volumes.list, "volume:get_all", reply=shapes.Volumes, summary="List volumes, in brief."),
        Route("GET", f"{EVERY}/detail", volumes.detail, "volume:get_all", reply=shapes.VolumesDetail, summary="List volumes."),
        Route(
            "GET", f"{EVERY}/summary", volumes.summary, "volume:get_all", since="3.12", reply=shapes.SummaryBody,
            summary="Show how many volumes there are, and their size.",
        ),
        Route("GET", ONE, volumes.show, "volume:get", reply=body, summary="Show a volume."),
        Route("PUT", ONE, volumes.update, "volume:update", body=shapes.VolumeUpdate, reply=body,
            summary="Change a volume's texts."),
        Route("DELETE", ONE, volumes.delete, "volume:delete", 202, summary="Delete a volume, perhaps with its snapshots."),
    ]  # fmt: skip


VOLUMES = Resource(routes, RULES)

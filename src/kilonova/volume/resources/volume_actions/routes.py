"""Routes of what is done with a volume. The table of actions says what a body may hold."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

from kilonova.core.web.app import Route
from kilonova.core.web.wire import wrapped
from kilonova.volume.resources.attachments.logic import AttachmentLogic
from kilonova.volume.resources.base import Deps, Resource
from kilonova.volume.resources.volume_actions import schemas as shapes
from kilonova.volume.resources.volume_actions.handlers import ACTIONS, Api, VolumeActions
from kilonova.volume.resources.volume_actions.legacy import LegacyLogic
from kilonova.volume.resources.volume_actions.logic import ActionLogic
from kilonova.volume.resources.volume_actions.policies import RULES
from kilonova.volume.resources.volume_actions.retyping import Retyping
from kilonova.volume.resources.volumes.logic import VolumeLogic
from kilonova.volume.resources.volumes.routes import ONE


def _body(shape: Any) -> Any:
    return shape | None if shape in (shapes.Nothing, shapes.Detach) else shape


BODIES: Any = reduce(or_, [wrapped(name, _body(action.body)) for name, action in ACTIONS.items()])
REPLIES = shapes.ImageMetadataView | shapes.ConnectionView | shapes.UploadedBody | None


def routes(deps: Deps) -> list[Route]:
    volumes = VolumeLogic(deps)
    actions = VolumeActions(Api(ActionLogic(volumes), LegacyLogic(AttachmentLogic(deps)), Retyping(volumes)))
    return [
        Route(
            "POST", f"{ONE}/action", actions.act, "volume:get", 202, body=BODIES, reply=REPLIES,
            summary="Do an action on a volume: the body's one key names it.",
        ),
    ]  # fmt: skip


VOLUME_ACTIONS = Resource(routes, RULES)

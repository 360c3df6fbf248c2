"""Images that are made of servers: what becomes of them when their action has ended, and when their server goes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from kilonova.compute.actions.base import Action
from kilonova.compute.conductor.deps import Deps, logger, on_behalf
from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.models import Fault, RequestSpec, Snapshot
from kilonova.compute.steps import UPLOAD
from kilonova.compute.store import conductor_servers as store
from kilonova.compute.store import request_specs
from kilonova.core import errors
from kilonova.core.context import RequestContext
from kilonova.core.db import Transaction
from kilonova.core.retry import Backoff, retry, unanswered
from kilonova.image.client import ImageClient

BACKOFF = Backoff(0.5, 30.0)
UNFINISHED = ("queued", "saving", "importing", "uploading")


def makes_image(action: Action | None) -> bool:
    return action is not None and UPLOAD in action.steps


class Images:
    """Acts on the component's own account."""

    def __init__(self, deps: Deps, client: ImageClient | None) -> None:
        self.deps, self.client = deps, client

    async def action_ended(
        self, tx: Transaction, uuid: str, request_id: str, fault: Fault | None
    ) -> Snapshot | None:  # fmt: skip
        """The action that made an image has ended: what it left unfinished goes, or older backups. What was made."""
        row = await store.get(tx.connection, uuid)
        if row is None or row.spec is None:
            return None
        spec = request_specs.decode(row.spec)
        made, spec.snapshot = spec.snapshot, None
        if made is None:
            return None
        conductor, ctx = tx.outbox(ConductorAPI), on_behalf(request_id, row.project_id, row.user_id)
        if made.shelves and fault is None:
            await self.is_back(tx, ctx, spec)  # an operator had set its state when it was shelved before
            spec.shelved_image = made.image
        await store.save_specs(tx.connection, {uuid: spec})
        if fault is not None:
            await conductor.remove_image(ctx, made.image, False)
        elif made.backup_type is not None:
            await conductor.rotate_backups(ctx, uuid, made.backup_type, made.rotation)
        return made

    async def is_back(self, tx: Transaction, ctx: RequestContext, spec: RequestSpec) -> None:
        """A server runs again: the image that had its disk while it was shelved goes. The caller writes the spec."""
        if spec.shelved_image is not None:
            await tx.outbox(ConductorAPI).remove_image(ctx, spec.shelved_image, True)
            spec.shelved_image = None

    async def server_gone(self, tx: Transaction, spec: RequestSpec, request_id: str) -> None:
        """A server is deleted: the image that was being made of it goes with it, and the one that has its disk."""
        conductor, ctx = tx.outbox(ConductorAPI), on_behalf(request_id, "", "")
        if spec.snapshot is not None:
            await conductor.remove_image(ctx, spec.snapshot.image, False)
        if spec.shelved_image is not None:
            await conductor.remove_image(ctx, spec.shelved_image, True)

    async def remove(self, image_id: str, *, finished: bool) -> None:
        """Delete an image; not `finished`: unless its data are complete."""
        client = self.client
        if client is None:
            return

        async def remove() -> None:
            if finished or (await client.get(None, image_id)).status in UNFINISHED:
                await client.delete(None, image_id)

        await self._until_done(remove, image=image_id)

    async def rotate(self, server_id: str, project_id: str, backup_type: str, rotation: int) -> None:
        """Delete all of the project's backups of this server and type but the newest."""
        client = self.client
        if client is None:
            return
        asked: dict[str, Any] = {
            "image_type": "backup", "instance_uuid": server_id, "backup_type": backup_type, "owner": project_id,
            "sort": "created_at:desc",
        }  # fmt: skip

        async def rotate() -> None:
            newest_first = [image for image in await client.list(None, **asked) if image.owner == project_id]
            for image in newest_first[rotation:]:
                await self.remove(image.id, finished=True)

        await self._until_done(rotate, server=server_id)

    async def _until_done(self, work: Callable[[], Awaitable[None]], **ids: str) -> None:
        """Retry while the image service is away. What it refuses stays, as a protected image."""
        try:
            await retry(work, BACKOFF, again=unanswered, clock=self.deps.clock, log=logger, work="remove images", **ids)
        except errors.NotFound:
            return
        except errors.KilonovaError as error:
            logger.warning("images stay", reason=error.message, **ids)

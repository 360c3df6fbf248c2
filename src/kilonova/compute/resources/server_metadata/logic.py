"""Rules of a server's metadata and tags."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from kilonova.compute import errors
from kilonova.compute.options import ComputeOptions
from kilonova.compute.resources.quotas.limits import limits_of
from kilonova.compute.resources.server_actions.logic import check_lock
from kilonova.compute.resources.servers.logic import owned
from kilonova.compute.states import Vm
from kilonova.compute.store import servers as store
from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.db import Database, retried

T = TypeVar("T")
CALM = (Vm.ACTIVE, Vm.PAUSED, Vm.SUSPENDED, Vm.STOPPED)
MAX_TAGS = 50


class ItemLogic:
    def __init__(self, database: Database, clock: Clock, options: ComputeOptions) -> None:
        self.database, self.clock, self.options = database, clock, options

    @retried
    async def edit_metadata(
        self, ctx: RequestContext, server_id: str, action: str, edit: Callable[[dict[str, str]], dict[str, str]]
    ) -> dict[str, str]:
        """`edit` makes the new items of the old ones; `action` names it where it is refused."""
        async with self.database.transaction() as tx:
            row = await owned(tx.connection, ctx, server_id, lock=True)
            check_lock(ctx, row)
            if row.vm_state not in CALM:
                raise errors.InvalidState(action=action, server_id=server_id, attribute="vm_state", state=row.vm_state)
            items = edit(dict(row.metadata))
            limits = await limits_of(tx.connection, self.options.quotas, row.project_id, ctx.user_id)
            limit = limits["metadata_items"]
            if 0 <= limit < len(items):
                raise errors.TooMany(reason=f"Maximum number of metadata items exceeds {limit}")
            await store.change(tx.connection, row.uuid, {"metadata": items}, self.clock.row_time())
            return items

    @retried
    async def edit_tags(
        self, ctx: RequestContext, server_id: str, action: str, edit: Callable[[list[str]], list[str]]
    ) -> tuple[list[str], list[str]]:
        """(tags before, tags after)."""
        async with self.database.transaction() as tx:
            row = await owned(tx.connection, ctx, server_id, lock=True)
            if row.vm_state not in CALM:
                raise errors.InvalidState(action=action, server_id=server_id, attribute="vm_state", state=row.vm_state)
            tags = edit(list(row.tags))
            if len(tags) > MAX_TAGS:
                raise errors.TooManyTags(limit=MAX_TAGS)
            if tags != row.tags:
                await store.change(tx.connection, row.uuid, {"tags": tags}, self.clock.row_time())
            return row.tags, tags

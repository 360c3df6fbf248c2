"""Shelved servers: removed from their hosts at once where the settings say so; and the image of one that is back goes."""

from __future__ import annotations

from kilonova.compute.conductor.deps import Deps, on_behalf
from kilonova.compute.conductor.images import Images
from kilonova.compute.conductor.own_actions import OFFLOAD, OwnActions
from kilonova.compute.store import conductor_servers as store
from kilonova.compute.store import request_specs
from kilonova.core.db import Transaction

SHELVE = "shelve"
BRING_BACK = ("unshelve", "start", "reboot_hard")
"""A guest runs from its disk again; all but the first after an operator has set the state of a shelved server."""


class Shelving:
    def __init__(self, deps: Deps, images: Images, own: OwnActions) -> None:
        self.deps, self.images, self.own = deps, images, own

    async def action_ended(self, tx: Transaction, uuid: str, request_id: str, action: str) -> None:
        """What follows from an action that ended well."""
        if action == SHELVE and self.deps.options.shelved_offload_time == 0:
            await self.own.begin(tx, uuid, OFFLOAD, request_id)
        elif action in BRING_BACK:
            await self._is_back(tx, uuid, request_id)

    async def _is_back(self, tx: Transaction, uuid: str, request_id: str) -> None:
        """On the host that it was never removed from."""
        row = await store.get(tx.connection, uuid)
        if row is None or row.spec is None:
            return
        spec = request_specs.decode(row.spec)
        if spec.shelved_image is not None:
            await self.images.is_back(tx, on_behalf(request_id, row.project_id, row.user_id), spec)
            await store.save_specs(tx.connection, {uuid: spec})

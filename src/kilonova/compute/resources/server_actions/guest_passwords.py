"""Setting a password in a guest: checked here, done by the server's host, written down when it ended."""

from __future__ import annotations

from typing import Any

from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.models import Image
from kilonova.compute.resources.server_actions import errors
from kilonova.compute.resources.server_actions.logic import ActionLogic, check_lock, check_state
from kilonova.compute.store import actions as action_store
from kilonova.compute.store import request_specs
from kilonova.compute.store.servers import ServerRow
from kilonova.core import errors as core_errors
from kilonova.core.bus import Bus
from kilonova.core.context import RequestContext
from kilonova.core.db import retried

CHANGE = "changePassword"


class PasswordLogic:
    def __init__(self, actions: ActionLogic, bus: Bus) -> None:
        self.actions, self.bus = actions, bus
        self.database, self.clock = actions.database, actions.clock

    async def set(self, ctx: RequestContext, row: ServerRow, password: str) -> None:
        """Raises ServerLocked, InvalidState, NotReady, HostUnreachable, NotSupported, and PasswordNotSet for a guest whose agent
        does not do it."""
        check_lock(ctx, row)
        check_state(row, self.actions.known(CHANGE))
        if row.host is None:
            raise errors.NotReady(server_id=row.uuid)
        async with self.database.reading() as connection:
            spec = await request_specs.get(connection, row.uuid)
        began, failed = self.clock.row_time(), "Error"
        agent = self.bus.client(ComputeAPI, host=row.host)
        try:
            await agent.set_password(ctx, row.uuid, _user(spec.image if spec is not None else None), password)
            failed = ""
        except core_errors.BusError:
            raise errors.HostUnreachable(server_id=row.uuid) from None
        finally:
            entry = {
                "server_uuid": row.uuid, "request_id": ctx.request_id, "action": CHANGE, "user_id": ctx.user_id,
                "project_id": ctx.project_id, "started_at": began, "finished_at": self.clock.row_time(),
                "message": failed or None,
            }  # fmt: skip
            await self._write_down(entry)

    @retried
    async def _write_down(self, entry: dict[str, Any]) -> None:
        async with self.database.transaction() as tx:
            await action_store.begin(tx.connection, [entry])


def _user(image: Image | None) -> str:
    """Whose password it is, by the image's word."""
    properties = image.properties if image is not None else {}
    usual = "Administrator" if properties.get("os_type") == "windows" else "root"
    return properties.get("os_admin_user") or usual

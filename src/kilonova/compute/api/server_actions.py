"""POST /servers/{id}/action: one table of actions, each with the rule that allows it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from msgspec import UnsetType

from kilonova.compute import errors
from kilonova.compute.api.common import at_least
from kilonova.compute.api.server_request import make_password
from kilonova.compute.logic.console import ConsoleLogic
from kilonova.compute.logic.evacuation import EvacuationLogic
from kilonova.compute.logic.server_actions import ActionLogic
from kilonova.compute.logic.server_network import ServerNetworkLogic
from kilonova.compute.logic.servers import ServerLogic
from kilonova.compute.schemas import actions as shapes
from kilonova.compute.schemas.common import truth
from kilonova.compute.states import Vm
from kilonova.core.db import Row
from kilonova.core.web.call import Call, InvalidInput, Reply
from kilonova.core.web.misfits import misfit
from kilonova.core.web.wire import Version, at_version, present

T = TypeVar("T")
R = "os_compute_api"
Handler = Callable[[Call, Row, Any], Awaitable[Reply]]
NOT_BUILT = {  # known to upstream, with the rule that would allow them
    "addFixedIp": f"{R}:servers:update", "removeFixedIp": f"{R}:servers:update",
    "addFloatingIp": f"{R}:servers:update", "removeFloatingIp": f"{R}:servers:update",
    "changePassword": f"{R}:os-admin-password", "confirmResize": f"{R}:servers:confirm_resize",
    "createBackup": f"{R}:os-create-backup", "createImage": f"{R}:servers:create_image",
    "injectNetworkInfo": f"{R}:os-admin-actions:reset_state",
    "migrate": f"{R}:os-migrate-server:migrate", "os-getRDPConsole": f"{R}:os-remote-consoles",
    "os-getSPICEConsole": f"{R}:os-remote-consoles", "os-getSerialConsole": f"{R}:os-remote-consoles",
    "os-getVNCConsole": f"{R}:os-remote-consoles", "os-migrateLive": f"{R}:os-migrate-server:migrate_live",
    "pause": f"{R}:os-pause-server:pause",
    "rebuild": f"{R}:servers:rebuild", "rescue": f"{R}:os-rescue", "resetNetwork": f"{R}:os-admin-actions:reset_state",
    "resize": f"{R}:servers:resize", "restore": f"{R}:os-deferred-delete:restore", "resume": f"{R}:os-suspend-server:resume",
    "revertResize": f"{R}:servers:revert_resize", "shelve": f"{R}:os-shelve:shelve",
    "shelveOffload": f"{R}:os-shelve:shelve_offload", "suspend": f"{R}:os-suspend-server:suspend",
    "trigger_crash_dump": f"{R}:servers:trigger_crash_dump", "unpause": f"{R}:os-pause-server:unpause",
    "unrescue": f"{R}:os-unrescue", "unshelve": f"{R}:os-shelve:unshelve",
}  # fmt: skip


class ServerActions:
    def __init__(
        self, servers: ServerLogic, actions: ActionLogic, network: ServerNetworkLogic, console: ConsoleLogic,
        evacuation: EvacuationLogic,
    ) -> None:  # fmt: skip
        self.servers, self.actions, self.network, self.console = servers, actions, network, console
        self.evacuation = evacuation
        self.table: dict[str, tuple[str, Handler]] = {
            "os-start": (f"{R}:servers:start", self._start),
            "os-stop": (f"{R}:servers:stop", self._stop),
            "reboot": (f"{R}:servers:reboot", self._reboot),
            "lock": (f"{R}:os-lock-server:lock", self._lock),
            "unlock": (f"{R}:os-lock-server:unlock", self._unlock),
            "forceDelete": (f"{R}:os-deferred-delete:force", self._force_delete),
            "os-resetState": (f"{R}:os-admin-actions:reset_state", self._reset_state),
            "evacuate": (f"{R}:os-evacuate", self._evacuate),
            "os-getConsoleOutput": (f"{R}:os-console-output", self._console_output),
            "addSecurityGroup": (f"{R}:os-security-groups:add", self._add_group),
            "removeSecurityGroup": (f"{R}:os-security-groups:remove", self._remove_group),
        }

    async def act(self, call: Call, server_id: str) -> Reply:
        body = await call.decode(dict[str, Any])
        if len(body) != 1:
            raise InvalidInput(reason="a body with exactly one action is needed")
        ((name, given),) = body.items()
        if name not in self.table and name not in NOT_BUILT:
            raise errors.NoSuchAction(action=name)
        row = await self.servers.get(call.ctx, server_id)
        target = {"project_id": row.project_id, "user_id": row.user_id}
        if name in NOT_BUILT:
            call.authorize(target, NOT_BUILT[name])
            raise errors.NotBuiltYet(what=f"The action {name}")
        rule, handler = self.table[name]
        call.authorize(target, rule)
        return await handler(call, row, given)

    async def remote_console(self, call: Call, server_id: str) -> Reply:
        row = await self.servers.get(call.ctx, server_id)
        call.authorize({"project_id": row.project_id, "user_id": row.user_id})
        raise errors.NotBuiltYet(what="A remote console")

    async def _start(self, call: Call, row: Row, _given: Any) -> Reply:
        await self.actions.power(call.ctx, row.uuid, "start")
        return Reply()

    async def _stop(self, call: Call, row: Row, _given: Any) -> Reply:
        await self.actions.power(call.ctx, row.uuid, "stop")
        return Reply()

    async def _reboot(self, call: Call, row: Row, given: Any) -> Reply:
        hard = _read(given, shapes.Reboot).type.upper() == "HARD"
        await self.actions.power(call.ctx, row.uuid, "reboot_hard" if hard else "reboot")
        return Reply()

    async def _lock(self, call: Call, row: Row, given: Any) -> Reply:
        reason = None
        if at_least(call, "2.73") and given is not None:
            reason = _read(given, shapes.Lock).locked_reason
        await self.actions.lock(call.ctx, row.uuid, reason, as_owner=row.project_id == call.ctx.project_id)
        return Reply()

    async def _unlock(self, call: Call, row: Row, _given: Any) -> Reply:
        if row.locked_by == "admin":
            call.authorize({"project_id": row.project_id}, f"{R}:os-lock-server:unlock:unlock_override")
        await self.actions.unlock(call.ctx, row.uuid)
        return Reply()

    async def _force_delete(self, call: Call, row: Row, _given: Any) -> Reply:
        await self.actions.delete(call.ctx, row.uuid)
        return Reply()

    async def _reset_state(self, call: Call, row: Row, given: Any) -> Reply:
        await self.actions.reset_state(call.ctx, row.uuid, Vm(_read(given, shapes.ResetState).state))
        return Reply()

    async def _evacuate(self, call: Call, row: Row, given: Any) -> Reply:
        asked = _read(given, shapes.Evacuate, call.version)
        told = not at_least(call, "2.14")  # how it is about the storage, and the password in the answer
        if told and isinstance(asked.shared, UnsetType):
            raise InvalidInput(reason="'onSharedStorage' is a required property")
        shared = truth(asked.shared) if told and not isinstance(asked.shared, UnsetType) else None
        target, force = present(asked.host, None), truth(False if isinstance(asked.force, UnsetType) else asked.force)
        password = present(asked.admin_pass, None)
        if force and target is None:
            raise errors.ForceWithoutHost
        if shared and password is not None:
            raise errors.PasswordOnSharedDisk
        if password is None and not shared:
            password = make_password(self.actions.clock, self.actions.options.password_length)
        await self.evacuation.evacuate(
            call.ctx, row.uuid, target=target, force=force, shared=shared, stopped=at_least(call, "2.95"),
            admin_pass=password,
        )  # fmt: skip
        return Reply({"adminPass": password} if told else None, status=200)

    async def _console_output(self, call: Call, row: Row, given: Any) -> Reply:
        length = _read(given or {}, shapes.ConsoleOutput).length
        text = await self.console.output(call.ctx, row.uuid, int(length) if length is not None else None)
        return Reply({"output": text}, status=200)

    async def _add_group(self, call: Call, row: Row, given: Any) -> Reply:
        await self.network.add_group(call.ctx, row.uuid, _read(given, shapes.GroupName).name)
        return Reply()

    async def _remove_group(self, call: Call, row: Row, given: Any) -> Reply:
        await self.network.remove_group(call.ctx, row.uuid, _read(given, shapes.GroupName).name)
        return Reply()


def _read(given: Any, kind: type[T], version: Version | None = None) -> T:
    """The body of an action, at a microversion where it has fields that not all know."""
    narrowed: Any = kind if version is None else at_version(kind, version)  # type: ignore[arg-type]
    try:
        made: T = msgspec.convert(given, narrowed)
    except msgspec.ValidationError as error:
        raise InvalidInput(reason=str(misfit(error, kind, version))) from None
    return made

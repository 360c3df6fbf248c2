"""POST /servers/{id}/action: the way from a body to the action it names."""

from __future__ import annotations

from typing import Any

import msgspec

from kilonova.compute.actions.base import Action, Api, Wanted
from kilonova.compute.actions.registry import ACTIONS
from kilonova.compute.resources.server_actions import errors
from kilonova.compute.resources.servers.logic import ServerLogic
from kilonova.core.errors import NotFound
from kilonova.core.web.call import Call, InvalidInput, Reply
from kilonova.core.web.validation_errors import violation_of


class ServerActions:
    def __init__(self, servers: ServerLogic, api: Api) -> None:
        self.servers, self.api = servers, api

    async def act(self, call: Call, server_id: str) -> Reply:
        """Do an action on a server: the body's one key names it."""
        body = await call.decode(dict[str, Any])
        if len(body) != 1:
            raise InvalidInput(reason="a body with exactly one action is needed")
        ((name, given),) = body.items()
        action = ACTIONS.by_wire(name)
        if action is None:
            raise errors.NoSuchAction(action=name)
        if not action.serves(call.version):
            raise NotFound
        row = await self.servers.get(call.ctx, server_id)
        call.authorize({"project_id": row.project_id, "user_id": row.user_id}, action.rule)
        wanted = Wanted(call=call, row=row, body=_read(call, action, given))
        if action.handler is not None:
            return await action.handler(self.api, wanted)
        chosen = action.variant(wanted.body) if action.variant is not None else action.name
        await self.api.actions.on_host(call.ctx, row.uuid, chosen)
        return Reply()


def _read(call: Call, action: Action, given: Any) -> Any:
    """What the action's shape makes of the body; None where it has none at this microversion. Raises InvalidInput."""
    version = call.version
    call.reads(action.body or Any)
    if action.body is None or (version is not None and action.body_since is not None and version < action.body_since):
        return None
    if given is None and action.optional_body:
        given = {}
    try:
        return msgspec.convert(given, call.shape(action.body))
    except msgspec.ValidationError as error:
        raise InvalidInput(reason=str(violation_of(error, action.body, version))) from None

"""The EC2 API: one path, the action named by a parameter."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.model import OperationNotFoundError

from kilonova.core.errors import BadRequest
from kilonova.core.service import Core
from kilonova.core.web.app import Route, build_app
from kilonova.core.web.call import Call, Reply
from kilonova.ec2 import errors
from kilonova.ec2.actions import ACTIONS
from kilonova.ec2.call import Cloud, Ec2Call
from kilonova.ec2.login import Login, signed_request
from kilonova.ec2.options import Ec2Options
from kilonova.ec2.protocol import model
from kilonova.ec2.protocol.answer import TYPE, error_xml, xml
from kilonova.ec2.protocol.request import parameters, read
from kilonova.ec2.tables import metadata

MIGRATIONS = Path(__file__).parent / "migrations"
PATHS = ("/", "/services/Cloud")  # the second is where the first EC2 API of OpenStack was
NEWEST = "2016-11-15"
MAX_BODY = 1 << 20
RULES: dict[str, str] = {}
"""None: see `Ec2Service.answer`."""


class Ec2Service:
    """Any number of processes may answer."""

    prefix = "/ec2"

    def __init__(self, core: Core, options: Ec2Options | None = None) -> None:
        self._core, self.database = core, core.database("ec2", metadata)
        self._options, self._cloud, self._login = options or Ec2Options(), Cloud.of(core, self.database), Login(core)
        said = "Take an action of EC2, by a signed request."
        self.routes = [
            route
            for path in PATHS
            for route in (
                Route("GET", path, self.answer, public=True, reply=bytes, summary=said),
                Route("POST", path, self.answer, public=True, body=bytes, reply=bytes, summary=said),
            )
        ]
        self.app = build_app(core.web("ec2", error_xml, core.policy("ec2", RULES)), self.routes)

    async def start(self) -> None:
        await self._core.settle(self.database, MIGRATIONS)

    async def stop(self) -> None:
        await self.database.close()

    async def answer(self, call: Call) -> Reply:
        """The signature is the permission: who may do what is the other services' policy, by the token that it stands for."""
        request_id = call.ctx.request_id
        url = urlsplit(str(call.request.url))
        posted = call.request.method == "POST"
        body = b"".join([piece async for piece in call.stream(MAX_BODY)]) if posted else b""
        query = call.request.scope.get("query_string", b"").decode("latin-1")
        params = parameters(body.decode(errors="replace") if posted else query)  # the query of a POST is not signed
        path = str(call.request.scope.get("kilonova_path", url.path))
        signed = signed_request(
            call.request.method, call.headers.get("host", ""), path, params, dict(call.headers), body
        )
        action = params.get("Action", "")
        ctx = await self._login.login(signed, action, request_id)
        operation = await _operation(action)
        given = read(operation, params)
        if given.pop("DryRun", False):
            raise errors.DryRunOperation
        result = await ACTIONS[action](Ec2Call(self._cloud, self._options, ctx, given))
        version = params.get("Version", NEWEST)
        return Reply(xml(operation, _version(version), request_id, result), content_type=TYPE)


async def _operation(action: str) -> Any:
    if not action:
        raise errors.MissingParameter(name="Action")
    try:
        operation = await asyncio.to_thread(model.operation, action)
    except OperationNotFoundError:
        raise errors.InvalidAction(action=action[:100]) from None
    if action not in ACTIONS:
        raise errors.UnsupportedOperation(what=action)
    return operation


def _version(given: str) -> str:
    """Any version of the API since the first is answered in the newest one's shapes, under the name that was asked for."""
    if len(given) != 10 or not given.replace("-", "").isdigit():
        raise BadRequest(f"Version {given[:20]} is not one of EC2's")
    return given

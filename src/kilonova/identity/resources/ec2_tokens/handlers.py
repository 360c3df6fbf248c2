"""Logins by signed requests over HTTP."""

from __future__ import annotations

from kilonova.core.web.call import Call, Reply
from kilonova.identity import errors
from kilonova.identity.resources.auth import views
from kilonova.identity.resources.auth.handlers import VARY, with_catalog
from kilonova.identity.resources.ec2_tokens import schemas as shapes
from kilonova.identity.resources.ec2_tokens.logic import Ec2TokenLogic
from kilonova.identity.tokens.lifecycle import Token


class Ec2Tokens:
    def __init__(self, logic: Ec2TokenLogic) -> None:
        self.logic = logic

    async def ec2(self, call: Call) -> Reply:
        body = await call.decode(shapes.Ec2Request)
        if body.signed is None:
            raise errors.NotAuthenticated
        return _reply(*await self.logic.ec2(body.signed, catalog=with_catalog(call)))

    async def s3(self, call: Call) -> Reply:
        body = await call.decode(shapes.S3Request)
        if body.signed is None:
            raise errors.NotAuthenticated
        return _reply(*await self.logic.s3(body.signed, catalog=with_catalog(call)))


def _reply(text: str, token: Token) -> Reply:
    return Reply(views.token_body(token), headers=VARY | {"X-Subject-Token": text})

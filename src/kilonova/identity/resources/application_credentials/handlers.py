"""Application credentials over HTTP."""

from __future__ import annotations

from kilonova.core.web.call import Call, Reply
from kilonova.identity import errors
from kilonova.identity.resources.application_credentials import schemas as shapes
from kilonova.identity.resources.application_credentials import views
from kilonova.identity.resources.application_credentials.logic import ApplicationCredentialLogic
from kilonova.identity.tokens.lifecycle import TokenLogic
from kilonova.identity.web.body import read
from kilonova.identity.web.query import given
from kilonova.identity.web.unrestricted import unrestricted
from kilonova.identity.web.views import list_links


class ApplicationCredentials:
    def __init__(self, credentials: ApplicationCredentialLogic, tokens: TokenLogic) -> None:
        self.credentials, self.tokens = credentials, tokens

    async def list(self, call: Call, user_id: str) -> Reply:
        found = await self.credentials.list(user_id, **given(name=call.query.get("name")))
        path = f"/v3/users/{user_id}/application_credentials"
        items = [views.application_credential(call, held) for held in found]
        return Reply(shapes.ApplicationCredentials(application_credentials=items, links=list_links(call, path)))

    async def show(self, call: Call, user_id: str, application_credential_id: str) -> Reply:
        held = await self.credentials.get(user_id, application_credential_id)
        return Reply(views.body(call, held))

    async def create(self, call: Call, user_id: str) -> Reply:
        token = await unrestricted(call, self.tokens)
        body, _ = await read(call, shapes.ApplicationCredentialCreateBody)
        sent = body.application_credential
        values = {"name": sent.name, "description": sent.description, "unrestricted": sent.unrestricted or False}
        wanted = [given(id=role.id, name=role.name) for role in sent.roles]
        if not all(wanted):
            raise errors.Missing(attribute="id or name", target="roles")
        held = await self.credentials.create(token, values, wanted, sent.expires_at, sent.secret)
        return Reply(views.body(call, held))

    async def delete(self, call: Call, user_id: str, application_credential_id: str) -> Reply:
        await unrestricted(call, self.tokens)
        await self.credentials.delete(user_id, application_credential_id)
        return Reply()

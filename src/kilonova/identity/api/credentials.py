"""Application credentials, EC2 credentials and others over HTTP."""

from __future__ import annotations

from typing import Any

import msgspec

from kilonova.core.web.call import Call, Reply
from kilonova.identity import errors
from kilonova.identity.api import links
from kilonova.identity.api.body import columns, read
from kilonova.identity.logic import moments
from kilonova.identity.logic.application_credentials import ApplicationCredentialLogic
from kilonova.identity.logic.application_credentials import Held as HeldApplicationCredential
from kilonova.identity.logic.base import given
from kilonova.identity.logic.credentials import CredentialLogic, Held
from kilonova.identity.logic.tokens import TokenLogic
from kilonova.identity.schemas import credentials as shapes


class ApplicationCredentials:
    def __init__(self, credentials: ApplicationCredentialLogic, tokens: TokenLogic) -> None:
        self.credentials, self.tokens = credentials, tokens

    async def list(self, call: Call, user_id: str) -> Reply:
        found = await self.credentials.list(user_id, **given(name=call.query.get("name")))
        path = f"/v3/users/{user_id}/application_credentials"
        items = [application_credential_view(call, held) for held in found]
        return Reply(links.listing(call, path, "application_credentials", items))

    async def show(self, call: Call, user_id: str, application_credential_id: str) -> Reply:
        held = await self.credentials.get(user_id, application_credential_id)
        return Reply({"application_credential": application_credential_view(call, held)})

    async def create(self, call: Call, user_id: str) -> Reply:
        await forbid_restricted(call, self.tokens)
        body, _ = await read(call, "application_credential", shapes.ApplicationCredentialCreate)
        values = {
            "name": body.name,
            "description": body.description,
            "unrestricted": body.unrestricted or False,
        }
        wanted = [given(id=role.id, name=role.name) for role in body.roles]
        if not all(wanted):
            raise errors.Missing(attribute="id or name", target="roles")
        held = await self.credentials.create(call.ctx, values, wanted, body.expires_at, body.secret)
        return Reply({"application_credential": application_credential_view(call, held)})

    async def delete(self, call: Call, user_id: str, application_credential_id: str) -> Reply:
        await forbid_restricted(call, self.tokens)
        await self.credentials.delete(user_id, application_credential_id)
        return Reply()


class Credentials:
    def __init__(self, credentials: CredentialLogic, tokens: TokenLogic) -> None:
        self.credentials, self.tokens = credentials, tokens

    async def list(self, call: Call) -> Reply:
        filters = given(user_id=call.query.get("user_id"), type=call.query.get("type"))
        rule = "identity:list_credentials"
        found = await self.credentials.list(**filters)
        items = [credential_view(call, held) for held in found if call.allowed(rule, _owner(held.row.user_id))]
        return Reply(links.listing(call, "/v3/credentials", "credentials", items))

    async def show(self, call: Call, credential_id: str) -> Reply:
        held = await self._get(call, credential_id, "identity:get_credential")
        return Reply({"credential": credential_view(call, held)})

    async def create(self, call: Call) -> Reply:
        await forbid_restricted(call, self.tokens)
        body, _ = await read(call, "credential", shapes.CredentialCreate)
        user_id = body.user_id or call.ctx.user_id or ""
        _demand(call, "identity:create_credential", user_id)
        held = await self.credentials.create(
            kind=body.type, blob=body.blob, user_id=user_id, project_id=body.project_id
        )
        return Reply({"credential": credential_view(call, held)})

    async def update(self, call: Call, credential_id: str) -> Reply:
        await forbid_restricted(call, self.tokens)
        await self._get(call, credential_id, "identity:update_credential")
        body, _ = await read(call, "credential", shapes.CredentialUpdate)
        blob = body.blob if isinstance(body.blob, str) else None
        held = await self.credentials.update(credential_id, columns(body, "blob"), blob)
        return Reply({"credential": credential_view(call, held)})

    async def delete(self, call: Call, credential_id: str) -> Reply:
        await forbid_restricted(call, self.tokens)
        await self._get(call, credential_id, "identity:delete_credential")
        await self.credentials.delete(credential_id)
        return Reply()

    async def _get(self, call: Call, credential_id: str, rule: str) -> Held:
        if not call.allowed(rule, _owner(call.ctx.user_id)):
            raise errors.NotAllowed(action=rule)
        held = await self.credentials.get(credential_id)
        _demand(call, rule, held.row.user_id)
        return held

    async def list_ec2(self, call: Call, user_id: str) -> Reply:
        found = await self.credentials.list_ec2(user_id)
        path = f"/v3/users/{user_id}/credentials/OS-EC2"
        return Reply(links.listing(call, path, "credentials", [ec2_view(call, held) for held in found]))

    async def show_ec2(self, call: Call, user_id: str, credential_id: str) -> Reply:
        return Reply({"credential": ec2_view(call, await self.credentials.get_ec2(user_id, credential_id))})

    async def create_ec2(self, call: Call, user_id: str) -> Reply:
        await forbid_restricted(call, self.tokens)
        body = await call.decode(shapes.Ec2Create)
        return Reply({"credential": ec2_view(call, await self.credentials.create_ec2(user_id, body.tenant_id))})

    async def delete_ec2(self, call: Call, user_id: str, credential_id: str) -> Reply:
        await forbid_restricted(call, self.tokens)
        held = await self.credentials.get_ec2(user_id, credential_id)
        await self.credentials.delete(held.row.id)
        return Reply()


async def forbid_restricted(call: Call, tokens: TokenLogic) -> None:
    """A program that acts with a restricted application credential must not make itself further ones."""
    token = await tokens.validate(call.ctx.token or "")
    if token.payload.credential_id is not None and not token.subject.credential_unrestricted:
        raise errors.NotAllowed(
            action="Using method 'application_credential' is not allowed for managing additional application credentials"
        )


def _owner(user_id: str | None) -> dict[str, Any]:
    return {"user_id": user_id, "target.credential.user_id": user_id}


def _demand(call: Call, rule: str, user_id: str) -> None:
    if not call.allowed(rule, _owner(user_id)):
        raise errors.NotAllowed(action=rule)


def application_credential_view(call: Call, held: HeldApplicationCredential) -> dict[str, Any]:
    row = held.row
    view = {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "user_id": row.user_id,
        "project_id": row.project_id,
        "system": None,
        "expires_at": moments.text(row.expires_at)[:-1] if row.expires_at is not None else None,
        "unrestricted": row.unrestricted,
        "roles": [{"id": role.id, "name": role.name, "domain_id": role.domain_id or None} for role in held.roles],
        "links": {"self": f"{call.base_url}/v3/users/{row.user_id}/application_credentials/{row.id}"},
    }
    return view | ({"secret": held.secret} if held.secret is not None else {})


def credential_view(call: Call, held: Held) -> dict[str, Any]:
    row = held.row
    return {
        "id": row.id,
        "type": row.type,
        "user_id": row.user_id,
        "project_id": row.project_id,
        "blob": held.blob,
        "links": {"self": f"{call.base_url}/v3/credentials/{row.id}"},
    }


def ec2_view(call: Call, held: Held) -> dict[str, Any]:
    keys = msgspec.json.decode(held.blob)
    path = f"/v3/users/{held.row.user_id}/credentials/OS-EC2/{keys['access']}"
    return {
        "access": keys["access"],
        "secret": keys.get("secret"),
        "user_id": held.row.user_id,
        "tenant_id": held.row.project_id,
        "trust_id": keys.get("trust_id"),
        "links": {"self": call.base_url + path},
    }

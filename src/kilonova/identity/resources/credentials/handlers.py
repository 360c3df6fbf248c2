"""Application credentials, EC2 credentials and others over HTTP."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from kilonova.core.web.call import Call, Reply
from kilonova.core.web.paging import next_links, read_page
from kilonova.identity import errors, timestamps
from kilonova.identity.resources.application_credentials.logic import ApplicationCredentialLogic
from kilonova.identity.resources.application_credentials.logic import Held as HeldApplicationCredential
from kilonova.identity.resources.base import given
from kilonova.identity.resources.credentials import schemas as shapes
from kilonova.identity.resources.credentials.logic import CredentialLogic, Held
from kilonova.identity.tokens.lifecycle import Token, TokenLogic
from kilonova.identity.web import links
from kilonova.identity.web.body import columns, read

PATH = "/v3/credentials"


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
        token = await unrestricted(call, self.tokens)
        body, _ = await read(call, "application_credential", shapes.ApplicationCredentialCreate)
        values = {
            "name": body.name,
            "description": body.description,
            "unrestricted": body.unrestricted or False,
        }
        wanted = [given(id=role.id, name=role.name) for role in body.roles]
        if not all(wanted):
            raise errors.Missing(attribute="id or name", target="roles")
        held = await self.credentials.create(token, values, wanted, body.expires_at, body.secret)
        return Reply({"application_credential": application_credential_view(call, held)})

    async def delete(self, call: Call, user_id: str, application_credential_id: str) -> Reply:
        await unrestricted(call, self.tokens)
        await self.credentials.delete(user_id, application_credential_id)
        return Reply()


class Credentials:
    def __init__(self, credentials: CredentialLogic, tokens: TokenLogic) -> None:
        self.credentials, self.tokens = credentials, tokens

    async def list(self, call: Call) -> Reply:
        """All that the caller may see, in pages of at most 1000; `limit` and `marker` ask for others."""
        token, page = await unrestricted(call, self.tokens), read_page(call)
        filters = given(user_id=call.query.get("user_id"), type=call.query.get("type"))
        if not call.allowed("identity:list_credentials", {}):  # others' too, that is
            _demand(call, "identity:list_credentials", call.ctx.user_id)
            if filters.setdefault("user_id", call.ctx.user_id) != call.ctx.user_id:
                return Reply(links.listing(call, PATH, "credentials", []))
        found = await self.credentials.list(token, marker=page.marker, limit=page.limit + 1, **filters)
        shown, more = found[: page.limit], len(found) > page.limit
        body = links.listing(call, PATH, "credentials", [credential_view(call, held) for held in shown])
        if more:
            following = next_links(call, PATH, page, list(shown), shown[-1].row.id)
            body["links"]["next"] = following[0]["href"] if following else None
            body |= {"truncated": True} if page.asked is None else {}
        return Reply(body)

    async def show(self, call: Call, credential_id: str) -> Reply:
        _, held = await self._get(call, credential_id, "identity:get_credential")
        return Reply({"credential": credential_view(call, held)})

    async def create(self, call: Call) -> Reply:
        token = await unrestricted(call, self.tokens)
        body, _ = await read(call, "credential", shapes.CredentialCreate)
        user_id = body.user_id or call.ctx.user_id or ""
        _demand(call, "identity:create_credential", user_id)
        held = await self.credentials.create(
            token, kind=body.type, blob=body.blob, user_id=user_id, project_id=body.project_id,
            any_project=_any_project(call),
        )  # fmt: skip
        return Reply({"credential": credential_view(call, held)})

    async def update(self, call: Call, credential_id: str) -> Reply:
        token, held = await self._get(call, credential_id, "identity:update_credential")
        body, _ = await read(call, "credential", shapes.CredentialUpdate)
        if body.user_id not in (UNSET, held.row.user_id):
            raise errors.Invalid(reason="The user_id of a credential cannot be changed.")
        blob = body.blob if isinstance(body.blob, str) else None
        held = await self.credentials.update(
            token, credential_id, columns(body, "blob", "user_id"), blob, any_project=_any_project(call)
        )
        return Reply({"credential": credential_view(call, held)})

    async def delete(self, call: Call, credential_id: str) -> Reply:
        await self._get(call, credential_id, "identity:delete_credential")
        await self.credentials.delete(credential_id)
        return Reply()

    async def _get(self, call: Call, credential_id: str, rule: str) -> tuple[Token, Held]:
        """The caller's token and the credential; the same refusal for callers that may not see any."""
        _demand(call, rule, call.ctx.user_id)
        token = await unrestricted(call, self.tokens)
        held = await self.credentials.get(token, credential_id)
        _demand(call, rule, held.row.user_id)
        return token, held

    async def list_ec2(self, call: Call, user_id: str) -> Reply:
        found = await self.credentials.list_ec2(await unrestricted(call, self.tokens), user_id)
        path = f"/v3/users/{user_id}/credentials/OS-EC2"
        return Reply(links.listing(call, path, "credentials", [ec2_view(call, held) for held in found]))

    async def show_ec2(self, call: Call, user_id: str, credential_id: str) -> Reply:
        token = await unrestricted(call, self.tokens)
        return Reply({"credential": ec2_view(call, await self.credentials.get_ec2(token, user_id, credential_id))})

    async def create_ec2(self, call: Call, user_id: str) -> Reply:
        token = await unrestricted(call, self.tokens)
        body = await call.decode(shapes.Ec2Create)
        held = await self.credentials.create_ec2(token, user_id, body.tenant_id, any_project=_any_project(call))
        return Reply({"credential": ec2_view(call, held)})

    async def delete_ec2(self, call: Call, user_id: str, credential_id: str) -> Reply:
        held = await self.credentials.get_ec2(await unrestricted(call, self.tokens), user_id, credential_id)
        await self.credentials.delete(held.row.id)
        return Reply()


async def unrestricted(call: Call, tokens: TokenLogic) -> Token:
    """The caller's token. A program that acts with a restricted application credential must neither make itself further
    ones nor read secrets that give more rights than it has."""
    token = await tokens.validate(call.ctx.token or "")
    if token.payload.credential_id is not None and not token.subject.credential_unrestricted:
        raise errors.NotAllowed(
            action="Using method 'application_credential' is not allowed for managing additional application credentials"
        )
    return token


def _any_project(call: Call) -> bool:
    """Whether the caller may name a project on which the credential's user has no role."""
    return call.allowed("admin_required", {})


def _owner(user_id: str | None) -> dict[str, Any]:
    return {"user_id": user_id, "target.credential.user_id": user_id}


def _demand(call: Call, rule: str, user_id: str | None) -> None:
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
        "expires_at": timestamps.text(row.expires_at)[:-1] if row.expires_at is not None else None,
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

"""EC2 credentials and others over HTTP."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from kilonova.core.web.call import Call, Reply
from kilonova.core.web.paging import next_links, read_page
from kilonova.identity import errors
from kilonova.identity.resources.credentials import schemas as shapes
from kilonova.identity.resources.credentials import views
from kilonova.identity.resources.credentials.logic import CredentialLogic, Held
from kilonova.identity.tokens.lifecycle import Token, TokenLogic
from kilonova.identity.web.body import columns, read
from kilonova.identity.web.query import given
from kilonova.identity.web.unrestricted import unrestricted
from kilonova.identity.web.views import list_links

PATH = "/v3/credentials"


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
                return Reply(shapes.Credentials(credentials=[], links=list_links(call, PATH)))
        found = await self.credentials.list(token, marker=page.marker, limit=page.limit + 1, **filters)
        shown, more = found[: page.limit], len(found) > page.limit
        body = shapes.Credentials(
            credentials=[views.credential(call, held) for held in shown], links=list_links(call, PATH)
        )
        if more:
            following = next_links(call, PATH, page, list(shown), shown[-1].row.id)
            body.links.next = following[0]["href"] if following else None
            body.truncated = True if page.asked is None else UNSET
        return Reply(body)

    async def show(self, call: Call, credential_id: str) -> Reply:
        _, held = await self._get(call, credential_id, "identity:get_credential")
        return Reply(views.body(call, held))

    async def create(self, call: Call) -> Reply:
        token = await unrestricted(call, self.tokens)
        body, _ = await read(call, shapes.CredentialCreateBody)
        sent = body.credential
        user_id = sent.user_id or call.ctx.user_id or ""
        _demand(call, "identity:create_credential", user_id)
        held = await self.credentials.create(
            token, kind=sent.type, blob=sent.blob, user_id=user_id, project_id=sent.project_id,
            any_project=_any_project(call),
        )  # fmt: skip
        return Reply(views.body(call, held))

    async def update(self, call: Call, credential_id: str) -> Reply:
        token, held = await self._get(call, credential_id, "identity:update_credential")
        body, _ = await read(call, shapes.CredentialUpdateBody)
        sent = body.credential
        if sent.user_id not in (UNSET, held.row.user_id):
            raise errors.Invalid(reason="The user_id of a credential cannot be changed.")
        blob = sent.blob if isinstance(sent.blob, str) else None
        held = await self.credentials.update(
            token, credential_id, columns(sent, "blob", "user_id"), blob, any_project=_any_project(call)
        )
        return Reply(views.body(call, held))

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


class Ec2Credentials:
    def __init__(self, credentials: CredentialLogic, tokens: TokenLogic) -> None:
        self.credentials, self.tokens = credentials, tokens

    async def list(self, call: Call, user_id: str) -> Reply:
        found = await self.credentials.list_ec2(await unrestricted(call, self.tokens), user_id)
        path = f"/v3/users/{user_id}/credentials/OS-EC2"
        items = [views.ec2_credential(call, held) for held in found]
        return Reply(shapes.Ec2Credentials(credentials=items, links=list_links(call, path)))

    async def show(self, call: Call, user_id: str, credential_id: str) -> Reply:
        token = await unrestricted(call, self.tokens)
        return Reply(views.ec2_body(call, await self.credentials.get_ec2(token, user_id, credential_id)))

    async def create(self, call: Call, user_id: str) -> Reply:
        token = await unrestricted(call, self.tokens)
        body = await call.decode(shapes.Ec2Create)
        held = await self.credentials.create_ec2(token, user_id, body.tenant_id, any_project=_any_project(call))
        return Reply(views.ec2_body(call, held))

    async def delete(self, call: Call, user_id: str, credential_id: str) -> Reply:
        held = await self.credentials.get_ec2(await unrestricted(call, self.tokens), user_id, credential_id)
        await self.credentials.delete(held.row.id)
        return Reply()


def _any_project(call: Call) -> bool:
    """Whether the caller may name a project on which the credential's user has no role."""
    return call.allowed("admin_required", {})


def _owner(user_id: str | None) -> dict[str, Any]:
    return {"user_id": user_id, "target.credential.user_id": user_id}


def _demand(call: Call, rule: str, user_id: str | None) -> None:
    if not call.allowed(rule, _owner(user_id)):
        raise errors.NotAllowed(action=rule)

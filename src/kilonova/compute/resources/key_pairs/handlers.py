"""Key pairs over HTTP."""

from __future__ import annotations

from msgspec import UNSET

from kilonova.compute.resources.key_pairs import schemas as shapes
from kilonova.compute.resources.key_pairs.logic import KeyPairLogic
from kilonova.compute.store.key_pairs import KeyPairRow
from kilonova.compute.times import shown_bare
from kilonova.compute.web.links import next_page
from kilonova.compute.web.query import at_least
from kilonova.core.web.call import Call, InvalidInput, Reply
from kilonova.core.web.paging import Page, read_page
from kilonova.core.web.wire import present


class KeyPairs:
    def __init__(self, logic: KeyPairLogic) -> None:
        self.logic = logic

    def _owner(self, call: Call) -> str:
        """The user whose key pairs are meant; only an admin may name another one."""
        named = call.query.get("user_id") if at_least(call, "2.10") else None
        user_id = named or call.ctx.user_id or ""
        call.authorize({"user_id": user_id})
        return user_id

    async def list(self, call: Call) -> Reply:
        user_id = self._owner(call)
        page = read_page(call) if at_least(call, "2.35") else Page(1000, None, None)
        rows = await self.logic.list(user_id, limit=page.limit, marker=page.marker)
        more = next_page(call, "/os-keypairs", page, rows, rows[-1].name if rows else None)
        items = [shapes.KeyPairBody(keypair=_brief(row)) for row in rows]
        return Reply(shapes.KeyPairs(keypairs=items, keypairs_links=more))

    async def show(self, call: Call, name: str) -> Reply:
        row = await self.logic.get(self._owner(call), name)
        view = _brief(row)
        view.user_id, view.id, view.deleted = row.user_id, row.id, False
        view.created_at, view.deleted_at, view.updated_at = shown_bare(row.created_at) or "", None, None
        return Reply(shapes.KeyPairBody(keypair=view))

    async def create(self, call: Call) -> Reply:
        asked = (await call.decode(shapes.KeyPairCreate)).keypair
        user_id = present(asked.user_id, call.ctx.user_id or "")
        call.authorize({"user_id": user_id})
        wide = at_least(call, "2.92")
        public_key = present(asked.public_key, None)
        if public_key is None and wide:
            raise InvalidInput(reason="'public_key' is a required property")
        row, private = await self.logic.create(call.ctx, user_id, asked.name, asked.type, public_key, wide_names=wide)
        view = _brief(row)
        view.user_id, view.private_key = user_id, private if private is not None else UNSET
        return Reply(shapes.KeyPairBody(keypair=view), status=201 if at_least(call, "2.2") else 200)

    async def delete(self, call: Call, name: str) -> Reply:
        await self.logic.delete(self._owner(call), name)
        return Reply(status=204 if at_least(call, "2.2") else 202)


def _brief(row: KeyPairRow) -> shapes.KeyPair:
    return shapes.KeyPair(name=row.name, public_key=row.public_key, fingerprint=row.fingerprint, type=row.type)

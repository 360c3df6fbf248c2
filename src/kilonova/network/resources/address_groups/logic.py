"""Rules of address groups: prefixes that security group rules refer to by one name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kilonova.core.addresses import parse_interface
from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Transaction, retried
from kilonova.network import errors as network_errors
from kilonova.network.hosts.news import News
from kilonova.network.resources.address_groups import errors
from kilonova.network.resources.address_groups.schemas import MAX_ADDRESSES, AddressGroup, AddressGroupCreate
from kilonova.network.resources.base.columns import shown, standard
from kilonova.network.resources.base.facts import Guard, facts
from kilonova.network.resources.base.logic import Logic
from kilonova.network.resources.rbac_policies.shared import SharedLogic
from kilonova.network.store import default_security_group_rules as default_rules
from kilonova.network.store import rbac_policies as rbac_store
from kilonova.network.store import security_groups as group_store
from kilonova.network.store import tags as tag_store
from kilonova.network.store.address_groups import ADDRESS_GROUPS, AddressGroupRow


def prefixes(asked: Sequence[str], *, whole: bool = False) -> list[str]:
    """As they are kept, each once; single addresses become prefixes, unless all must be `whole`. Raises HTTPBadRequest."""
    found: dict[str, None] = {}
    for text in asked:
        try:
            if whole and "/" not in text:
                raise ValueError(text)
            found[str(parse_interface(text).network)] = None
        except ValueError:
            raise network_errors.HTTPBadRequest(
                reason=f"Invalid input for addresses. Reason: '{text}' is not a valid IP subnet."
            ) from None
    return list(found)


class AddressGroupLogic(SharedLogic[AddressGroupRow, AddressGroup], Logic[AddressGroupRow, AddressGroup]):
    object_type = "address_group"
    objects = ADDRESS_GROUPS
    missing = errors.AddressGroupNotFound

    async def views(self, connection: Connection, rows: Sequence[AddressGroupRow]) -> Sequence[AddressGroup]:
        tags = await tag_store.tags_of(connection, [row.id for row in rows])
        return [AddressGroup(**shown(row, tags.get(row.id, [])), addresses=row.addresses) for row in rows]

    def new(self, ctx: RequestContext, body: AddressGroupCreate) -> dict[str, Any]:
        return standard(self.deps, ctx, body) | {
            "addresses": prefixes(body.addresses or [], whole=True), "shared_with": [],
        }  # fmt: skip

    async def guarded(
        self, connection: Connection, object_id: str, guard: Guard, *, lock: bool = False
    ) -> AddressGroupRow:
        """Those that it is shared with do not find it where they would change it (which locks it), as upstream."""
        missing = self.missing(id=object_id)
        row = await self.objects.get(connection, object_id, lock=lock)
        if row is None:
            raise missing
        guard(facts(row) if lock else self.facts(row), missing)
        return row

    async def removing(self, tx: Transaction, ctx: RequestContext, row: AddressGroupRow) -> None:
        named = await group_store.names_address_group(tx.connection, row.id)
        if named or await default_rules.names_address_group(tx.connection, row.id):
            raise errors.AddressGroupInUse(id=row.id)
        await rbac_store.remove_all(tx.connection, row.id)

    @retried
    async def change_addresses(
        self, ctx: RequestContext, group_id: str, asked: Sequence[str], guard: Guard, *, add: bool
    ) -> AddressGroup:
        """Those to add must be new, those to remove must be there. Hosts with rules that refer to the group are told."""
        wanted = prefixes(asked)
        async with self.deps.database.transaction() as tx:
            row = await self.guarded(tx.connection, group_id, guard, lock=True)
            odd = [one for one in wanted if (one in row.addresses) == add]
            if odd:
                raise (errors.AddressesAlreadyExist if add else errors.AddressesNotFound)(addresses=odd, id=group_id)
            kept = [one for one in row.addresses if add or one not in wanted]
            addresses = [*kept, *wanted] if add else kept
            if len(addresses) > MAX_ADDRESSES:
                raise network_errors.HTTPBadRequest(reason=f"An address group has at most {MAX_ADDRESSES} addresses")
            await ADDRESS_GROUPS.change(tx.connection, group_id, {"addresses": addresses}, self.deps.now())
            naming = group_store.groups_naming(group_id)
            hosts = await group_store.hosts_with(tx.connection, naming, self.deps.alive_since())
            await self.deps.announcer.changed(tx, ctx, hosts, news=News(groups=(group_id,)))
            now = await ADDRESS_GROUPS.get(tx.connection, group_id)
            return (await self.views(tx.connection, [now or row]))[0]

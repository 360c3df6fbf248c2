"""What a project has from the start: its default security group and its quota."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from kilonova.core.db import Transaction, retried
from kilonova.network import errors
from kilonova.network.deps import Deps
from kilonova.network.resources.security_group_rules.plan import first_rules
from kilonova.network.store import default_security_group_rules as default_rules
from kilonova.network.store import projects as store
from kilonova.network.store import quotas as quota_store
from kilonova.network.store.objects import Objects
from kilonova.network.store.security_group_rules import RULES
from kilonova.network.store.security_groups import GROUPS


async def enter(deps: Deps, tx: Transaction, project_id: str) -> str:
    """The id of the project's default group, made when missing. Locks the project until the transaction ends, so that
    its quota can't be raced."""
    known = await store.get(tx.connection, project_id, lock=True)
    if known is not None:
        return known.default_group_id
    now, group_id = deps.now(), deps.clock.uuid()
    group = {
        "id": group_id, "project_id": project_id, "name": "default", "description": "Default security group",
        "created_at": now, "updated_at": now, "revision_number": 1, "stateful": True, "shared_with": [],
    }  # fmt: skip
    await store.add(tx.connection, project_id, group_id)
    await GROUPS.add(tx.connection, [group])
    first = await default_rules.first(tx.connection, default=True)
    await RULES.add(tx.connection, first_rules(deps, group_id, project_id, first))
    return group_id


@retried
async def ensure_default_group(deps: Deps, project_id: str | None) -> None:
    """For lists: makes the default group of a project that has none yet."""
    if not project_id:
        return
    async with deps.database.reading() as connection:
        if await store.get(connection, project_id) is not None:
            return
    async with deps.database.transaction() as tx:
        await enter(deps, tx, project_id)


async def make_room(
    deps: Deps, tx: Transaction, owners: Iterable[str], counted: Mapping[Objects[Any], int]
) -> dict[str, str]:
    """Checks the quotas of projects: `owners` has the project of each new object, `counted` how many rows of which objects one of
    them needs. Returns the default group of each project, and locks the projects as `enter` does. Raises OverQuota."""
    defaults: dict[str, str] = {}
    for project_id, count in sorted(Counter(owners).items()):
        defaults[project_id] = await enter(deps, tx, project_id)
        for objects, each in counted.items():
            await check_quota(deps, tx, project_id, objects, each * count)
    return defaults


async def check_quota(deps: Deps, tx: Transaction, project_id: str, objects: Objects[Any], more: int) -> None:
    """Raises OverQuota unless `more` of the objects fit; what has no quota always does. The project must have been entered."""
    name = deps.counted.get(objects)
    if name is None:
        return
    now = await quota_store.usage(tx.connection, project_id, name, objects)
    allowed = deps.options.quota(name) if now.amount is None else now.amount
    if 0 <= allowed < now.used + more:
        raise errors.OverQuota(overs=[name])

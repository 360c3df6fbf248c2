"""Deleted servers are removed when their time is over, with their history; all others stay."""

from __future__ import annotations

from typing import Any

import msgspec

from kilonova.compute import history, models, tables
from kilonova.compute.store.history import HISTORY
from tests.component.conductor.lab import REQUEST, Lab

DAY = 86400.0


async def history_of(lab: Lab) -> dict[str, set[str]]:
    """Table → servers that it has rows of."""
    return {table.name: {row.server_uuid for row in await lab.rows(table)} for table in HISTORY}


async def ended(lab: Lab, count: int, **values: Any) -> list[str]:
    """Servers that ended in ERROR, with a step and a decision of each."""
    uuids = await lab.servers(count)
    await lab.build(uuids)
    await lab.record(
        [
            models.StepRecord(
                key=uuid, server_uuid=uuid, request_id=REQUEST, action="create", step="image", component="compute",
                started_at=lab.now(),
            )
            for uuid in uuids
        ]
    )  # fmt: skip
    for number, uuid in enumerate(uuids):
        await lab.change(uuid, **{"deleted": 1000 + number} | values if values else {})
    return uuids


async def test_only_those_deleted_before(lab: Lab) -> None:
    old = await ended(lab, 3, deleted_at=lab.conductor.deps.ago(3 * DAY))
    new = await ended(lab, 1, deleted_at=lab.conductor.deps.ago(DAY))
    (living,) = await ended(lab, 1, deleted=0)
    before = await history_of(lab)
    assert before["decisions"] == before["server_actions"] == before["step_reports"] == {*old, *new, living}
    progress: list[int] = []
    assert await history.purge(lab.database, lab.conductor.deps.ago(2 * DAY), progress.append) == 3
    assert progress == [3]
    assert [row.uuid for row in await lab.rows(tables.servers)] == [*new, living]
    after = await history_of(lab)
    assert after == {name: held - set(old) for name, held in before.items()}
    assert await history.purge(lab.database, lab.conductor.deps.ago(2 * DAY)) == 0


async def test_the_conductor_purges_when_keep_deleted_is_set(lab: Lab) -> None:
    (uuid,) = await ended(lab, 1, deleted_at=lab.conductor.deps.ago(2 * DAY))
    await lab.conductor.reconciler.run()
    assert [row.uuid for row in await lab.rows(tables.servers)] == [uuid]
    deps = lab.conductor.deps
    deps.options = msgspec.structs.replace(deps.options, keep_deleted=DAY)
    await lab.conductor.reconciler.run()
    assert await lab.rows(tables.servers) == []

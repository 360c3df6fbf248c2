"""Metering labels: what the routers of a project (shared ones: of all projects) pass on is counted by their rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kilonova.core import errors
from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Transaction
from kilonova.core.policy import READER_OR_OWNER
from kilonova.core.web.wire import Body, View
from kilonova.network.resources.base.columns import owner
from kilonova.network.resources.base.logic import Logic
from kilonova.network.resources.base.policies import MANAGER_OR_OWNER
from kilonova.network.resources.base.resource import CrudResource, Extension
from kilonova.network.resources.base.schemas import LongText, Name, ProjectId
from kilonova.network.store import metering as store
from kilonova.network.store.metering import LABELS, LabelRow


class MeteringLabelNotFound(errors.NotFound):
    template = "Metering label '{id}' does not exist."


class LabelCreate(Body):
    name: Name = ""
    description: LongText | None = ""
    shared: bool = False
    project_id: ProjectId | None = None
    tenant_id: ProjectId | None = None


class Label(View):
    id: str
    name: str
    description: str
    project_id: str
    tenant_id: str
    shared: bool


class MeteringLabelLogic(Logic[LabelRow, Label]):
    objects = LABELS
    missing = MeteringLabelNotFound

    async def views(self, connection: Connection, rows: Sequence[LabelRow]) -> Sequence[Label]:
        return [
            Label(
                id=row.id, name=row.name, description=row.description, project_id=row.project_id,
                tenant_id=row.project_id, shared=row.shared,
            )
            for row in rows
        ]  # fmt: skip

    def new(self, ctx: RequestContext, body: LabelCreate) -> dict[str, Any]:
        return {
            "id": self.deps.clock.uuid(), "project_id": owner(ctx, body), "name": body.name,
            "description": body.description or "", "shared": body.shared,
        }  # fmt: skip

    async def removing(self, tx: Transaction, ctx: RequestContext, row: LabelRow) -> None:
        """Its rules go with it. (A new one has none: hosts need not know of it yet.)"""
        await self.deps.announcer.changed(tx, ctx, await store.metered_hosts(tx.connection, [row]))


METERING_LABELS_RESOURCE = CrudResource(
    name="metering_label",
    collection="metering_labels",
    path="metering/metering-labels",
    view=Label,
    create=LabelCreate,
    rules={
        "create_metering_label": MANAGER_OR_OWNER,
        "get_metering_label": READER_OR_OWNER,
        "delete_metering_label": MANAGER_OR_OWNER,
    },
    logic=MeteringLabelLogic,
    extensions=(
        Extension("metering", "Neutron Metering", "2013-06-12T10:00:00-00:00", "What routers pass on is counted"),
        Extension(
            "metering_source_and_destination_fields", "Neutron Metering with source and destination filtering",
            "2020-08-21T08:12:00-00:00", "Metering rules by source and destination",
        ),
    ),
)  # fmt: skip

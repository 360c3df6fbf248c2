"""Rules of metering labels: which packets a label counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from kilonova.core import errors
from kilonova.core.addresses import parse_interface
from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Transaction, retried
from kilonova.core.policy import READER_OR_OWNER
from kilonova.core.web.wire import Body, View
from kilonova.core.yielding import yielding
from kilonova.network.errors import Invalid
from kilonova.network.resources.base.columns import owner
from kilonova.network.resources.base.facts import Guard, facts
from kilonova.network.resources.base.logic import Logic
from kilonova.network.resources.base.policies import MANAGER_OR_OWNER
from kilonova.network.resources.base.resource import CrudResource
from kilonova.network.resources.base.schemas import ProjectId, Uuid
from kilonova.network.resources.metering_labels import MeteringLabelNotFound
from kilonova.network.resources.subnets.schemas import Address
from kilonova.network.store import metering as store
from kilonova.network.store.metering import LABEL_RULES, LABELS, LabelRow, LabelRuleRow

PREFIXES = ("remote_ip_prefix", "source_ip_prefix", "destination_ip_prefix")


class MeteringLabelRuleNotFound(errors.NotFound):
    template = "Metering label rule '{id}' does not exist."


class MeteringLabelRuleOverlaps(errors.Conflict):
    template = "Metering label rule with remote_ip_prefix '{remote_ip_prefix}' overlaps another."


class LabelRuleCreate(Body, kw_only=True):
    """`remote_ip_prefix` is an inner one, as upstream has it: the source of what goes out, the destination of what comes in."""

    metering_label_id: Uuid
    direction: Literal["ingress", "egress"]
    excluded: bool = False
    remote_ip_prefix: Address | None = None
    source_ip_prefix: Address | None = None
    destination_ip_prefix: Address | None = None
    project_id: ProjectId | None = None
    tenant_id: ProjectId | None = None


class LabelRule(View):
    id: str
    metering_label_id: str
    direction: str
    excluded: bool
    remote_ip_prefix: str | None
    source_ip_prefix: str | None
    destination_ip_prefix: str | None


class MeteringLabelRuleLogic(Logic[LabelRuleRow, LabelRule]):
    objects = LABEL_RULES
    missing = MeteringLabelRuleNotFound

    async def views(self, connection: Connection, rows: Sequence[LabelRuleRow]) -> Sequence[LabelRule]:
        return [_shown(row) for row in rows]

    @retried
    async def create(
        self, ctx: RequestContext, bodies: Sequence[LabelRuleCreate], guards: Sequence[Guard]
    ) -> Sequence[LabelRule]:
        """All or none, for callers that may change the labels; `guards` holds one for each body."""
        async with self.deps.database.transaction() as tx:
            labels = {id: await LABELS.get(tx.connection, id, lock=True) for id in sorted(_labels_of(bodies))}
            held = await store.rules_of(tx.connection, list(labels))
            beside = {id: [msgspec.structs.asdict(_shown(rule)) for rule in held.get(id, [])] for id in labels}
            new: list[dict[str, Any]] = []
            async for body, guard in yielding(zip(bodies, guards, strict=True)):
                owner(ctx, body)
                label = _seen(body.metering_label_id, labels[body.metering_label_id], guard)
                new.append({"id": self.deps.clock.uuid(), "project_id": label.project_id, **_columns(body)})
                _check_overlap(new[-1], beside[label.id])
                beside[label.id].append(new[-1])
            await LABEL_RULES.add(tx.connection, new)
            metering = [label for label in labels.values() if label is not None]
            await self.deps.announcer.changed(tx, ctx, await store.metered_hosts(tx.connection, metering))
            made = await LABEL_RULES.by_ids(tx.connection, [row["id"] for row in new])
            return await self.views(tx.connection, [made[row["id"]] for row in new])

    async def removing(self, tx: Transaction, ctx: RequestContext, row: LabelRuleRow) -> None:
        label = await LABELS.get(tx.connection, row.metering_label_id)
        if label is not None:
            await self.deps.announcer.changed(tx, ctx, await store.metered_hosts(tx.connection, [label]))


def _shown(row: LabelRuleRow) -> LabelRule:
    return LabelRule(**{name: getattr(row, name) for name in LabelRule.__struct_fields__})


def _labels_of(bodies: Sequence[LabelRuleCreate]) -> set[str]:
    return {body.metering_label_id for body in bodies}


def _seen(label_id: str, label: LabelRow | None, guard: Guard) -> LabelRow:
    missing = MeteringLabelNotFound(id=label_id)
    if label is None:
        raise missing
    guard(facts(label), missing)
    return label


def _columns(body: LabelRuleCreate) -> dict[str, Any]:
    values = msgspec.structs.asdict(body)
    columns = {name: values[name] for name in ("metering_label_id", "direction", "excluded")}
    prefixes = {name: _prefix(name, values[name]) if values[name] else None for name in PREFIXES}
    given = {name for name, value in prefixes.items() if value is not None}
    if not given:
        raise Invalid(reason=f"You must define at least one of the following parameters: {', '.join(PREFIXES)}.")
    if "remote_ip_prefix" in given and len(given) > 1:
        raise Invalid(
            reason="Cannot use 'remote-ip-prefix' in conjunction with 'source-ip-prefix' or 'destination-ip-prefix'."
        )
    if len({":" in text for text in prefixes.values() if text}) > 1:
        raise Invalid(reason="source_ip_prefix and destination_ip_prefix are of different IP versions.")
    return columns | prefixes


def _prefix(name: str, text: str) -> str:
    try:
        return str(parse_interface(text).network)
    except ValueError as error:
        raise Invalid(reason=f"{name}: {text} is invalid [{error}].") from None


def _check_overlap(row: Mapping[str, Any], beside: Sequence[Mapping[str, Any]]) -> None:
    """Of the rules by `remote_ip_prefix`: a packet would be counted by both."""
    if row["remote_ip_prefix"] is None:
        return
    mine = parse_interface(row["remote_ip_prefix"]).network
    for other in beside:
        same = all(other[name] == row[name] for name in ("direction", "excluded"))
        if other["remote_ip_prefix"] is None or not same:
            continue
        theirs = parse_interface(other["remote_ip_prefix"]).network
        if mine.version == theirs.version and mine.overlaps(theirs):
            raise MeteringLabelRuleOverlaps(remote_ip_prefix=row["remote_ip_prefix"])


METERING_LABEL_RULES_RESOURCE = CrudResource(
    name="metering_label_rule",
    collection="metering_label_rules",
    path="metering/metering-label-rules",
    view=LabelRule,
    create=LabelRuleCreate,
    rules={
        "create_metering_label_rule": MANAGER_OR_OWNER,
        "get_metering_label_rule": READER_OR_OWNER,
        "delete_metering_label_rule": MANAGER_OR_OWNER,
    },
    see_new="get_metering_label",
    logic=MeteringLabelRuleLogic,
)

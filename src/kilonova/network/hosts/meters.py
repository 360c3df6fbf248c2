"""What hosts counted for metering labels, published as upstream's notification `l3.meter`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from kilonova.core.context import RequestContext
from kilonova.core.notify import Notification, Notifier
from kilonova.core.notify.envelope import context, timestamp
from kilonova.network.agent.dataplane import Metered
from kilonova.network.agent.system.names import is_uuid
from kilonova.network.deps import Deps
from kilonova.network.store.metering import LABELS
from kilonova.network.store.routers import ROUTERS

EVENT, FORMAT = "l3.meter", "unversioned"


class MeterNotifications:
    """Only labels count that there are, and that meter a router of the host that tells of them: for the router's project. What a
    host tells of a router that left it meanwhile is dropped."""

    def __init__(self, deps: Deps, notifier: Notifier) -> None:
        self.deps, self.notifier = deps, notifier

    async def publish(self, ctx: RequestContext, host: str, metered: Sequence[Metered]) -> None:
        if FORMAT not in self.notifier.formats:
            return
        async with self.deps.database.reading() as connection:
            labels = await LABELS.by_ids(connection, {one.label_id for one in metered})
            routers = await ROUTERS.by_ids(connection, {one.router_id for one in metered})
        for one in metered:
            label, router = labels.get(one.label_id), routers.get(one.router_id)
            if label is None or router is None or router.host_id != host or not is_uuid(one.id):
                continue
            if label.shared or label.project_id == router.project_id:
                self.notifier.send(partial(self._made, ctx, host, router.project_id, one))

    async def _made(self, ctx: RequestContext, host: str, project_id: str, one: Metered) -> Sequence[Notification]:
        payload = {
            "label_id": one.label_id, "router_id": one.router_id, "project_id": project_id, "host": host,
            "pkts": one.packets, "bytes": one.bytes, "time": one.until - one.since, "first_update": one.since,
            "last_update": one.until,
        }  # fmt: skip
        return [
            Notification(
                topic=topic, publisher_id=f"metering.{host}", event_type=EVENT, payload=payload, priority="INFO",
                context=context(ctx), timestamp=timestamp(self.deps.clock.now()), message_id=one.id,
            )
            for topic in self.notifier.options.topics
        ]  # fmt: skip

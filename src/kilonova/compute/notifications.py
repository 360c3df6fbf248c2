"""What happens to servers, published for programs outside of the cloud (metering, search, inventories); see
docs/explanation/notifications.md.

Hosts have no database, so notifications are sent where the rows change: by the API (an action begins) and by the conductor
(the rest)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from kilonova.compute import payloads, states
from kilonova.compute.actions.registry import ACTIONS
from kilonova.compute.models import RequestSpec
from kilonova.compute.options import INSTANCE_NAME
from kilonova.compute.payloads import Failure, Field
from kilonova.compute.store.servers import ServerRow
from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.db import Transaction
from kilonova.core.notify import Notification, Notifier
from kilonova.core.notify.envelope import context, timestamp
from kilonova.core.service import Core

EXTRA: dict[str, tuple[dict[str, Field], ...]] = {
    "create.end": (payloads.CREATED,),
    **dict.fromkeys(("rescue.start", "rescue.end"), (payloads.RESCUED,)),
    "rebuild.start": (payloads.REBUILT,),
    "rebuild.end": (payloads.ADDRESSED, payloads.REBUILT),
    "resize.prep.end": (payloads.RESIZED,),
    **dict.fromkeys(
        (
            "unrescue.start",
            "unrescue.end",
            "resize.start",
            "resize.end",
            "finish_resize.start",
            "finish_resize.end",
            "resize.confirm.end",
        ),
        (payloads.ADDRESSED,),
    ),
    "create.error": (payloads.FAILED,),
    "resize.error": (payloads.FAILED,),
    "live_migration._rollback.end": (payloads.FAILED,),
    **{f"{action.event}.error": (payloads.FAILED,) for action in ACTIONS if action.event is not None},
}
"""Event → the fields that its unversioned payload has beside those that all have."""
VERSIONED = {
    "resize.prep": "resize_prep", "finish_resize": "resize_finish", "resize.confirm": "resize_confirm",
    "resize.revert": "resize_revert", "live_migration.pre": "live_migration_pre",
    "live_migration._post": "live_migration_post", "live_migration.post.dest": "live_migration_post_dest",
    "live_migration._rollback": "live_migration_rollback", "live.migration.abort": "live_migration_abort",
    "live.migration.force.complete": "live_migration_force_complete",
}  # fmt: skip
"""What happens → its name in the versioned form, where it is another one."""
INFO, ERROR = "INFO", "ERROR"


class ServerEvents:
    """`binary` (api, conductor) and `host` name this process; `image_url` is the image service's base URL, `instance_name`
    the template of guests\' names. Where notifications are not wanted, nothing is done at all."""

    def __init__(
        self, notifier: Notifier, clock: Clock, *, binary: str, host: str, image_url: str = "",
        instance_name: str = INSTANCE_NAME,
    ) -> None:  # fmt: skip
        self._notifier, self._clock, self._image_url, self._instance_name = notifier, clock, image_url, instance_name
        self._self = (binary, host)

    @classmethod
    def of(cls, core: Core, binary: str, host: str, *, instance_name: str) -> ServerEvents:
        return cls(
            core.notifier,
            core.clock,
            binary=binary,
            host=host,
            image_url=core.endpoints.get("image", ""),
            instance_name=instance_name,
        )

    @property
    def wanted(self) -> bool:
        return bool(self._notifier.formats)

    def send(
        self, tx: Transaction, ctx: RequestContext, name: str, row: ServerRow, values: Mapping[str, Any] | None = None,
        *, host: str | None = None, failure: Failure | None = None,
    ) -> None:  # fmt: skip
        """Send, after the commit, that `name` (`create.start`, …) happened to a server: `row` as it was, with what was
        changed in `values`. The publisher is the compute host `host`, or this service."""
        if not self.wanted:
            return
        publisher = ("compute", host) if host is not None else self._self
        merged = dict(row._mapping) | dict(values or {})
        tx.then(partial(self._send, ctx, name, merged, publisher, failure))

    def action_began(
        self, tx: Transaction, ctx: RequestContext, row: ServerRow, action: str, spec: RequestSpec | None = None
    ) -> None:
        """A user's action on a server was accepted. A guest is shut down when its server is deleted."""
        begun = ACTIONS[action]
        values = {"task_state": begun.task} | (payloads.said_of(spec) if spec is not None else {})
        names = (f"{begun.event}.start",) if begun.event is not None else ("delete.start", "shutdown.start")
        for name in names if row.host is not None else names[:1]:
            self.send(tx, ctx, name, row, values, host=row.host)

    def action_ended(
        self, tx: Transaction, row: ServerRow | None, action: str, request_id: str, reason: str | None,
        spec: RequestSpec | None = None,
    ) -> None:  # fmt: skip
        """`row` as it is now; `reason` when it failed; `spec` as it was while the action ran."""
        done = ACTIONS.get(action)
        if row is None or done is None or done.event is None:
            return
        failure = Failure(reason, kind="InstancePowerFailure") if reason is not None else None
        name = f"{done.event}.{'end' if failure is None else 'error'}"
        values = payloads.said_of(spec) if spec is not None else {}
        self.send(tx, _owner(row, request_id), name, row, values, host=row.host, failure=failure)

    def failed(
        self, tx: Transaction, row: ServerRow, values: Mapping[str, Any], reason: str, request_id: str = "",
        *, host: str | None = None, event: str = "create",
    ) -> None:  # fmt: skip
        """A launch was given up."""
        self.send(tx, _owner(row, request_id), f"{event}.error", row, values, host=host, failure=Failure(reason))

    def gone(self, tx: Transaction, row: ServerRow, now: dt.datetime, request_id: str, *, building: bool) -> None:
        """A server is deleted; `building` when that cut its launch off."""
        ctx, host = _owner(row, request_id), row.host
        if building:
            self.failed(tx, row, {}, "The server was deleted while it was built.", request_id, host=host)
        values = {
            "vm_state": states.Vm.DELETED, "task_state": None, "power_state": 0, "deleted_at": now, "terminated_at": now,
            "updated_at": now,
        }  # fmt: skip
        for name in ("shutdown.end", "delete.end") if host is not None else ("delete.end",):
            self.send(tx, ctx, name, row, values, host=host)

    def _send(
        self, ctx: RequestContext, name: str, row: dict[str, Any], publisher: tuple[str, str], failure: Failure | None
    ) -> None:
        moment = timestamp(self._clock.now())

        async def make() -> Sequence[Notification]:
            facts = payloads.facts(
                row, image_url=self._image_url, instance_name=self._instance_name, request_id=ctx.request_id,
                initiator=(ctx.user_id, ctx.project_id),
                failure=failure,
            )  # fmt: skip
            return [
                Notification(
                    topic=topic, publisher_id=publisher_id, event_type=event_type, payload=payload,
                    priority=ERROR if name.endswith(".error") else INFO, context=context(ctx), timestamp=moment,
                    message_id=self._clock.uuid(),
                )
                for topics, publisher_id, event_type, payload in self._forms(name, publisher, facts)
                for topic in topics
            ]  # fmt: skip

        self._notifier.send(make)

    def _forms(
        self, name: str, publisher: tuple[str, str], facts: payloads.Facts
    ) -> list[tuple[tuple[str, ...], str, str, dict[str, Any]]]:
        """(topics, publisher, event type, payload) of each wanted form."""
        options, (binary, host) = self._notifier.options, publisher
        what, _, phase = name.rpartition(".")
        versioned = f"instance.{VERSIONED.get(what, what)}.{phase}"
        forms = {
            "unversioned": lambda: (
                options.topics, f"{binary}.{host}", f"compute.instance.{name}", payloads.legacy(facts, *EXTRA.get(name, ()))
            ),
            "versioned": lambda: (
                options.versioned_topics, f"nova-{binary}:{host}", versioned, payloads.versioned(facts, name)
            ),
        }  # fmt: skip
        return [forms[form]() for form in self._notifier.formats]


def silent(clock: Clock) -> ServerEvents:
    """For processes without subscribers."""
    return ServerEvents(Notifier(), clock, binary="", host="")


def _owner(row: ServerRow, request_id: str) -> RequestContext:
    """Used where no user is known to have caused the event."""
    return RequestContext(request_id=request_id, user_id=row.user_id, project_id=row.project_id)

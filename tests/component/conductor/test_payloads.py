"""What notifications of single actions say beside what all of them say, in both forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from sqlalchemy import insert

from kilonova.compute import models, tables
from kilonova.compute.models import Fault, ServerChange
from kilonova.compute.notifications import ServerEvents
from kilonova.compute.store import migrations
from kilonova.core.notify import Notification, Notifier
from kilonova.core.notify.options import NotificationOptions
from tests.component.conductor.lab import CTX, FLAVOR, Lab

IMAGE, OTHER = "bbbbbbbb-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"
OF_IMAGE = models.Image(id=IMAGE, name="cirros")


class Heard:
    """Notifications of a lab's conductor, by event type."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.notifier = lab, Notifier(NotificationOptions(format="both"))
        self.seen: dict[str, dict[str, Any]] = {}
        self.notifier.observe(self._note)
        lab.conductor.deps.events = ServerEvents(self.notifier, lab.clock, binary="conductor", host="c1")

    def _note(self, notification: Notification) -> None:
        self.seen[notification.event_type] = notification.payload

    async def all(self) -> dict[str, dict[str, Any]]:
        await self.lab.quiet()
        await self.notifier.close()
        return self.seen


async def acting(lab: Lab, spec: models.RequestSpec, vm_state: str = "active", **values: Any) -> str:
    (uuid,) = await lab.servers(spec=spec)
    await lab.change(uuid, **{"vm_state": vm_state, "task_state": None, "host": "host-1"} | values)
    return uuid


def said(seen: dict[str, dict[str, Any]], event: str, field: str) -> tuple[str, str, Any]:
    """(payload's name, version, the field's value) in the versioned form."""
    payload = seen[f"instance.{event}"]
    return payload["nova_object.name"], payload["nova_object.version"], payload["nova_object.data"][field]


Spec = Callable[[Lab], models.RequestSpec]


@pytest.mark.parametrize(
    ("action", "event", "more", "versioned", "legacy"),
    [
        ("createImage", "snapshot.end", {"snapshot": models.Snapshot(image=OTHER)},
         ("InstanceActionSnapshotPayload", "1.10", "snapshot_image_id", OTHER), {}),
        ("createBackup", "snapshot.end", {"snapshot": models.Snapshot(image=OTHER, backup_type="daily", rotation=1)},
         ("InstanceActionSnapshotPayload", "1.10", "snapshot_image_id", OTHER), {}),
        ("rescue", "rescue.end", {"rescue": models.Rescue(image=models.Image(id=OTHER, name="tools"))},
         ("InstanceActionRescuePayload", "1.4", "rescue_image_ref", OTHER), {"rescue_image_name": "tools", "fixed_ips": []}),
        ("rescue", "rescue.end", {"rescue": models.Rescue()},
         ("InstanceActionRescuePayload", "1.4", "rescue_image_ref", IMAGE), {"rescue_image_name": "cirros"}),
        ("unrescue", "unrescue.end", {}, ("InstanceActionPayload", "1.9", "shares", []), {"fixed_ips": []}),
        ("rebuild", "rebuild.end", {}, ("InstanceActionRebuildPayload", "1.10", "trusted_image_certificates", None),
         {"image_name": "cirros", "fixed_ips": []}),
        ("shelve", "shelve.end", {"snapshot": models.Snapshot(image=OTHER, shelves=True)},
         ("InstanceActionPayload", "1.9", "state", "shelved"), {}),
        ("attach_interface", "interface_attach.end", {}, ("InstanceActionPayload", "1.9", "fault", None), {}),
    ],
)  # fmt: skip
async def test_the_end_of_an_action(
    lab: Lab,
    action: str,
    event: str,
    more: dict[str, Any],
    versioned: tuple[str, str, str, Any],
    legacy: dict[str, Any],
) -> None:
    heard = Heard(lab)
    uuid = await acting(lab, lab.spec(image=OF_IMAGE, **more))
    change = ServerChange(expect_host="host-1", task_state=None)
    if action == "shelve":
        change.vm_state = "shelved"
    assert await lab.conductor.action_ended(CTX, uuid, "req-2", action, change, None, [])
    seen = await heard.all()
    name, version, field, value = versioned
    assert said(seen, event, field) == (name, version, value)
    assert legacy.items() <= seen[f"compute.instance.{event}"].items()
    assert {"snapshot_image_id", "rescue_image_ref", "new_flavor"}.isdisjoint(seen[f"compute.instance.{event}"])


async def test_what_failed_says_so_in_the_payload_of_its_kind(lab: Lab) -> None:
    heard = Heard(lab)
    uuid = await acting(lab, lab.spec(image=OF_IMAGE, snapshot=models.Snapshot(image=OTHER)))
    change, fault = ServerChange(expect_host="host-1", task_state=None), Fault(step="pack", reason="no room")
    assert await lab.conductor.action_ended(CTX, uuid, "req-2", "createImage", change, fault, [])
    seen = await heard.all()
    assert said(seen, "snapshot.error", "snapshot_image_id") == ("InstanceActionSnapshotPayload", "1.10", OTHER)
    assert said(seen, "snapshot.error", "fault")[2]["nova_object.data"]["exception_message"] == "pack: no room"
    assert seen["compute.instance.snapshot.error"]["message"] == "pack: no room"


async def test_a_resize_says_which_flavor_it_is_to(lab: Lab) -> None:
    heard = Heard(lab)
    for host in ("host-1", "host-2"):
        await lab.host(host)
    uuid = await acting(lab, lab.spec(image=OF_IMAGE), task_state="resize_prep")
    large = msgspec.structs.replace(FLAVOR, id="2", name="large", memory_mb=2048)
    move = models.Move(
        kind="resize",
        migration=lab.clock.uuid(),
        source="host-1",
        vm_state="active",
        old_flavor=FLAVOR,
        new_flavor=large,
    )
    row = {
        "uuid": move.migration, "server_uuid": uuid, "type": "resize", "status": migrations.ACCEPTED, "request_id": "req-m",
        "source_compute": "host-1", "document": migrations.encode(move), "created_at": lab.now(), "updated_at": lab.now(),
    }  # fmt: skip
    async with lab.database.transaction() as tx:
        await tx.connection.execute(insert(tables.migrations).values(**row))
    await lab.conductor.move_server(CTX, uuid, move.migration)
    seen = await heard.all()
    name, version, flavor = said(seen, "resize_prep.end", "new_flavor")
    assert (name, version) == ("InstanceActionResizePrepPayload", "1.4")
    assert (flavor["nova_object.data"]["name"], flavor["nova_object.data"]["memory_mb"]) == ("large", 2048)
    assert seen["instance.resize_prep.end"]["nova_object.data"]["flavor"]["nova_object.data"]["name"] == "small"
    assert seen["compute.instance.resize.prep.end"]["new_instance_type"] == "large"
    assert said(seen, "resize.start", "fault") == ("InstanceActionPayload", "1.9", None)
    assert seen["compute.instance.resize.start"]["fixed_ips"] == []

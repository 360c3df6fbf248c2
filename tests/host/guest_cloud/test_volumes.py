"""Real guests with volumes of the back end `local`: one boots from a volume, another is given one while it runs; what one has
written the other reads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.eventually import eventually
from tests.host.guest_cloud.guests import Guest, Guests

pytestmark = pytest.mark.guest


@pytest.fixture(autouse=True)
def reached(guests: Guests) -> Iterator[None]:
    """By ssh."""
    rule = guests.allow("tcp", 22)
    yield
    guests.forbid(rule)


def status(guests: Guests, volume_id: str) -> str:
    return str(guests.demo.ok("GET", "volume", f"/volumes/{volume_id}")["volume"]["status"])


def becomes(guests: Guests, volume_id: str, wanted: str) -> None:
    eventually(lambda: status(guests, volume_id) == wanted, lambda: f"it is {status(guests, volume_id)}")


def attach(guests: Guests, guest: Guest, volume_id: str) -> None:
    body = {"volumeAttachment": {"volumeId": volume_id}}
    guests.demo.ok("POST", "compute", f"/servers/{guest.id}/os-volume_attachments", body)
    becomes(guests, volume_id, "in-use")
    eventually(lambda: guest.ssh("ls /sys/block/vdb").returncode == 0, lambda: guest.ssh("ls /sys/block").stdout)


def test_what_one_guest_writes_another_reads(guests: Guests) -> None:
    demo = guests.demo
    made = demo.ok("POST", "volume", "/volumes", {"volume": {"size": 1, "name": "data"}})["volume"]["id"]
    becomes(guests, made, "available")
    root = {"source_type": "image", "destination_type": "volume", "uuid": guests.whole_disk, "volume_size": 1}
    first = guests.launch(
        name="rooted", imageRef="", block_device_mapping_v2=[root | {"boot_index": 0, "delete_on_termination": True}]
    )
    first.wait_ssh("echo kept > /root/kept && sync")
    attach(guests, first, made)
    first.wait_ssh("echo written-by-one | dd of=/dev/vdb bs=512 conv=sync && sync")
    first.action({"reboot": {"type": "HARD"}}, "ACTIVE")
    assert first.wait_ssh("cat /root/kept").strip() == "kept"
    assert "written-by-one" in first.wait_ssh("dd if=/dev/vdb bs=512 count=1")
    demo.ok("DELETE", "compute", f"/servers/{first.id}/os-volume_attachments/{made}")
    becomes(guests, made, "available")
    eventually(lambda: first.ssh("ls /sys/block/vdb").returncode != 0)
    second = guests.launch(name="reader")
    second.wait_ssh()
    attach(guests, second, made)
    assert "written-by-one" in second.wait_ssh("dd if=/dev/vdb bs=512 count=1")
    demo.ok("POST", "volume", f"/volumes/{made}/action", {"os-extend": {"new_size": 2}})
    eventually(lambda: second.wait_ssh("cat /sys/block/vdb/size").strip() == str(2 << 21))
    for guest in (first, second):
        guest.delete()
    assert status(guests, made) == "available"
    demo.ok("DELETE", "volume", f"/volumes/{made}")
    assert guests.cloud.verify() == []

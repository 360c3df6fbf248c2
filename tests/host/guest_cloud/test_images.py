"""Images of real guests' disks: what a guest wrote is there in a server that is made of the image, in the one that it was taken
from, beside a rescue disk, and after it was shelved."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.eventually import eventually
from tests.host.guest_cloud.guests import Guest, Guests

pytestmark = pytest.mark.guest
KEPT = "cat /root/kept"
MOUNT = "mkdir -p /{0} && {{ mount /dev/{0}1 /{0} || mount /dev/{0} /{0}; }} 2>/dev/null && ls /{0}/root"


@pytest.fixture(scope="module")
def guest(guests: Guests) -> Iterator[Guest]:
    rule = guests.allow("tcp", 22)
    made = guests.launch(name="source")
    made.wait_ssh("echo written > /root/kept && sync")
    yield made
    made.delete()
    guests.forbid(rule)


def test_a_server_is_made_of_a_running_guest(guests: Guests, guest: Guest) -> None:
    life = guest.wait_ssh("cat /proc/sys/kernel/random/boot_id")
    body = {"createImage": {"name": "of-a-guest"}}
    image = guests.demo.ok("POST", "compute", f"/servers/{guest.id}/action", body)["image_id"]
    eventually(
        lambda: guests.demo.ok("GET", "image", f"/images/{image}"), "it is not active",
        satisfies=lambda found: found["status"] == "active",
    )  # fmt: skip
    guests.demo.wait(guest.id, "ACTIVE")
    assert guest.wait_ssh("cat /proc/sys/kernel/random/boot_id") == life  # it never stopped
    copy = guests.launch(image, name="copy")
    assert copy.wait_ssh(KEPT).strip() == "written"
    copy.delete()


def test_a_rescued_guest_sees_its_own_disk(guest: Guest) -> None:
    guest.action({"rescue": None}, "RESCUE")
    # either may be its root: they have the same label, as both are of one image
    assert "kept" in guest.wait_ssh(MOUNT.format("vdb")).split()
    assert "kept" not in guest.wait_ssh(MOUNT.format("vda")).split()
    guest.action({"unrescue": None}, "ACTIVE")
    assert guest.wait_ssh(KEPT).strip() == "written"


def test_a_shelved_guest_comes_back_with_its_disk(guest: Guest) -> None:
    guest.action({"shelve": None}, "SHELVED_OFFLOADED")
    guest.action({"unshelve": None}, "ACTIVE")
    assert guest.wait_ssh(KEPT).strip() == "written"
    guest.action({"reboot": {"type": "HARD"}}, "ACTIVE")
    assert guest.wait_ssh(KEPT).strip() == "written"

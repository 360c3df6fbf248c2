"""Real guests whose disks, and their images, are in Ceph."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kilonova.core.ceph import CephOptions, Pool, key_of
from kilonova.guest.build import GuestImages
from kilonova.testing.engines import Ceph
from tests.eventually import eventually
from tests.host.guest_cloud.clouds import own_cloud
from tests.host.guest_cloud.guests import Guest, Guests

pytestmark = [pytest.mark.guest, pytest.mark.ceph]
KEPT = "cat /root/kept"


@pytest.fixture(scope="module")
def options(ceph: Ceph) -> CephOptions:
    ceph.empty()
    return CephOptions(conf=ceph.conf, user="cloud", keyring=str(ceph.keyring("cloud")))


@pytest.fixture(scope="module")
def servers(options: CephOptions) -> Iterator[Pool]:
    pool = Pool(options, "servers")
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def guests(options: CephOptions, guest_images: GuestImages) -> Iterator[Guests]:
    reach = {"CONF": str(options.conf), "USER": options.user, "KEYRING": options.keyring}
    settings = {f"KILONOVA_CEPH_{key}": value for key, value in reach.items()}
    raw = {"KILONOVA_COMPUTE_SNAPSHOT_IMAGE_FORMAT": "raw"}
    with own_cloud("kf", KILONOVA_IMAGE_STORE="rbd", KILONOVA_DISKS_STORE="rbd", **raw, **settings) as (cloud, _):
        made = Guests(cloud, guest_images, raw=True)
        made.allow("tcp", 22)
        yield made
        made.remove_all()


@pytest.fixture(scope="module")
def guest(guests: Guests) -> Guest:
    made = guests.launch(name="source")
    made.wait_ssh("echo written > /root/kept && sync")
    return made


def test_a_guest_boots_from_a_clone(guests: Guests, guest: Guest, servers: Pool) -> None:
    parent = servers.parent(f"{guest.id}_disk")
    assert parent == ("images", guests.whole_disk, "snap")
    guest.action({"reboot": {"type": "HARD"}}, "ACTIVE")
    assert guest.wait_ssh(KEPT).strip() == "written"


def test_the_key_is_seen_nowhere(guest: Guest, options: CephOptions) -> None:
    key = base64.b64encode(key_of(options).reveal).decode()
    processes = b"".join(path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists())
    assert f"{guest.id}_disk".encode() in processes
    assert key.encode() not in processes
    for words in (["dumpxml", "--security-info", guest.id], ["secret-list"]):
        said = subprocess.run(
            ["virsh", "-c", "qemu:///system", *words], capture_output=True, text=True, check=True
        ).stdout
        assert said
        assert key not in said


def test_an_image_of_a_running_guest(guests: Guests, guest: Guest) -> None:
    body = {"createImage": {"name": "of-a-guest"}}
    image = guests.demo.ok("POST", "compute", f"/servers/{guest.id}/action", body)["image_id"]
    eventually(
        lambda: guests.demo("GET", "image", f"/images/{image}").json(), lambda: guests.logs()[-6000:],
        satisfies=lambda found: found.get("status") == "active",
    )  # fmt: skip
    guests.demo.wait(guest.id, "ACTIVE")
    copy = guests.launch(image, name="copy")
    assert copy.wait_ssh(KEPT).strip() == "written"
    copy.delete()


def test_rescue_and_shelving(guest: Guest) -> None:
    guest.action({"rescue": None}, "RESCUE")
    guest.wait_ssh()
    guest.action({"unrescue": None}, "ACTIVE")
    assert guest.wait_ssh(KEPT).strip() == "written"
    guest.action({"shelve": None}, "SHELVED_OFFLOADED")
    guest.action({"unshelve": None}, "ACTIVE")
    assert guest.wait_ssh(KEPT).strip() == "written"


def test_nothing_is_left_of_a_deleted_guest(guest: Guest, servers: Pool) -> None:
    guest.delete()
    assert servers.names() == []

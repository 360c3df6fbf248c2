"""Real guests whose disks, and their images, are in Ceph."""

from __future__ import annotations

import base64
import json
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
from tests.process.cloud.test_server_volumes import attach, becomes, is_gone, volume

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
    rbd = {"driver": "rbd", "conf": str(options.conf), "user": options.user, "keyring": options.keyring}
    backends = json.dumps({"rbd": rbd, "iscsi": {"driver": "iscsi"}})
    settings |= {
        "KILONOVA_IMAGE_STORE": "rbd", "KILONOVA_DISKS_STORE": "rbd", "KILONOVA_VOLUME_AGENT_BACKENDS": backends,
        "KILONOVA_COMPUTE_SNAPSHOT_IMAGE_FORMAT": "raw",
    }  # fmt: skip
    with own_cloud("kf", **settings) as (cloud, _):
        for name in ("rbd", "iscsi"):
            kind = {"name": name, "extra_specs": {"volume_backend_name": name}}
            cloud.api("admin").ok("POST", "volume", "/types", {"volume_type": kind})
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


def test_volumes_are_clones_and_keep_what_guests_write(guests: Guests, guest: Guest, options: CephOptions) -> None:
    of_image = volume(guests.demo, imageRef=guests.whole_disk, volume_type="rbd")
    pool = Pool(options, "volumes")
    assert pool.parent(f"volume-{of_image}") == ("images", guests.whole_disk, "snap")
    attach(guests.demo, guest.id, of_image)
    becomes(guests.demo, of_image, "in-use")
    guest.wait_ssh("test -b /dev/vdb && mkdir -p /v && mount /dev/vdb /v && echo kept >/v/word && umount /v && sync")
    guests.demo.ok("POST", "volume", f"/volumes/{of_image}/action", {"os-extend": {"new_size": 2}})
    guest.wait_ssh("test $(cat /sys/block/vdb/size) = 4194304")
    guests.demo.ok("DELETE", "compute", f"/servers/{guest.id}/os-volume_attachments/{of_image}")
    becomes(guests.demo, of_image, "available")
    copy = volume(guests.demo, size=2, source_volid=of_image)
    guests.demo.ok("DELETE", "volume", f"/volumes/{of_image}")
    is_gone(guests.demo, of_image)
    attach(guests.demo, guest.id, copy)
    becomes(guests.demo, copy, "in-use")
    assert guest.wait_ssh("mount /dev/vdb /v && cat /v/word && umount /v").strip() == "kept"
    guests.demo.ok("DELETE", "compute", f"/servers/{guest.id}/os-volume_attachments/{copy}")
    becomes(guests.demo, copy, "available")
    guests.demo.ok("DELETE", "volume", f"/volumes/{copy}")
    is_gone(guests.demo, copy)
    assert pool.names() == []
    pool.close()


WRITE = "echo written | dd of=/dev/vdb bs=512 seek=9 conv=fsync 2>/dev/null"
READ = "dd if=/dev/vdb bs=512 count=1 skip=9 2>/dev/null | grep -q written"


def test_a_volume_by_iscsi(guests: Guests, guest: Guest) -> None:
    plain = volume(guests.demo, volume_type="iscsi")
    for words in (WRITE, READ):
        attach(guests.demo, guest.id, plain)
        becomes(guests.demo, plain, "in-use")
        guest.wait_ssh(f"test -b /dev/vdb && {words}")
        guests.demo.ok("DELETE", "compute", f"/servers/{guest.id}/os-volume_attachments/{plain}")
        becomes(guests.demo, plain, "available")
    guests.demo.ok("DELETE", "volume", f"/volumes/{plain}")
    is_gone(guests.demo, plain)


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

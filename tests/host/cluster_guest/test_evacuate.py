"""A host with a real guest dies for good, with all that runs on it: the guest comes up on the other host, on a new disk or on
its own where storage is shared."""

from __future__ import annotations

import pytest

from kilonova.testing.hosted import STATE
from kilonova.testing.hosts import VirtualHost
from tests.eventually import eventually
from tests.host.cluster_guest.conftest import HostedCloud, HostedGuests
from tests.host.guest_cloud.guests import Guest
from tests.process.scenarios.hosts import force_down, force_up, unexplained

pytestmark = [pytest.mark.guest, pytest.mark.timeout(400)]
SHARED = ("instances", "_base")


def share(cloud: HostedCloud, host: VirtualHost) -> None:
    """Put the host's disks on storage that all hosts see."""
    for name in SHARED:
        storage = cloud.state / "shared" / name
        storage.mkdir(parents=True, exist_ok=True)
        host.run("mkdir", "-p", f"{STATE}/{name}")
        host.run("mount", "--bind", str(storage), f"{STATE}/{name}")


def unshare(host: VirtualHost) -> None:
    """Its own storage again."""
    for name in SHARED:
        host.run("umount", f"{STATE}/{name}")


def running_on(host: VirtualHost) -> list[str]:
    return host.run("virsh", "list", "--uuid", "--all").stdout.split()


def ready(guests: HostedGuests, server: str) -> Guest:
    """The guest, with a file of its own on its disk."""
    guest = guests.guest(server)
    guest.wait_ssh("echo mine > /root/kept && sync")
    return guest


def evacuate(guests: HostedGuests, guest: Guest, source: VirtualHost, target: VirtualHost) -> Guest:
    """The guest on its new host, with the same address."""
    source.kill()
    admin = guests.demo
    force_down(admin, source.name)
    answer = admin("POST", "compute", f"/servers/{guest.id}/action", {"evacuate": {}})
    assert answer.status_code == 200, answer.text
    eventually(
        lambda: (now := admin.server(guest.id))["OS-EXT-SRV-ATTR:host"] == target.name or now.get("fault"),
        "it stays on the dead host",
    )
    moved = guests.guest(guest.id)
    assert moved.ip == guest.ip
    moved.wait_ssh()
    assert running_on(target) == [guest.id]
    assert unexplained(admin, dead=source.name) == []
    return moved


def forgets(guests: HostedGuests, guest: Guest, host: VirtualHost) -> None:
    """The host, back again, is rid of the guest, which does not notice."""
    admin = guests.demo
    force_up(admin, host.name)
    (moved, *_) = admin.ok("GET", "compute", f"/os-migrations?instance_uuid={guest.id}")["migrations"]
    path = f"/os-migrations?instance_uuid={guest.id}&migration_type=evacuation"
    eventually(
        lambda: admin.ok("GET", "compute", path)["migrations"][0]["status"] == "completed", f"still {moved['status']}"
    )
    assert running_on(host) == []
    assert unexplained(admin) == []
    guest.wait_ssh()


@pytest.mark.parametrize("shared", [False, True], ids=["new disk", "shared disk"])
def test_a_guest_of_a_dead_host(hosted: HostedCloud, guests: HostedGuests, shared: bool) -> None:
    first, second = hosted.hosts
    rule = guests.allow("tcp", 22)
    if shared:
        share(hosted, first)
        share(hosted, second)
    guest = ready(guests, guests.on(first, name="evacuee"))
    moved = evacuate(guests, guest, first, second)
    assert (moved.ssh("cat /root/kept").stdout.strip() == "mine") is shared
    first.start()
    if shared:
        share(hosted, first)
    hosted.cluster.start_process(*hosted.agents(first))
    forgets(guests, moved, first)
    moved.delete()
    assert hosted.verify() == []
    assert [running_on(host) for host in hosted.hosts] == [[], []]
    for host in hosted.hosts if shared else []:
        unshare(host)
    guests.forbid(rule)

"""Two hosts, one network: guests reach each other through the tunnel, and only as their security groups say."""

from __future__ import annotations

import re

import pytest

from tests.eventually import eventually
from tests.host.cluster_guest.conftest import HostedCloud, HostedGuests
from tests.host.guest_cloud.guests import Guest

pytestmark = [pytest.mark.guest, pytest.mark.timeout(400)]  # the first test waits for all of the cluster


@pytest.fixture(scope="module")
def pair(guests: HostedGuests) -> tuple[Guest, Guest]:
    """A guest on each host, with ssh allowed."""
    guests.allow("tcp", 22)
    asked = [guests.on(host, name=f"guest-on-{host.name}") for host in guests.cloud.hosts]
    first, second = (guests.guest(server_id) for server_id in asked)
    first.wait_ssh()
    second.wait_ssh()
    return first, second


def pings(source: Guest, target: Guest) -> bool:
    return source.ssh(f"ping -c 1 -W 1 {target.ip}").returncode == 0


def domains(cloud: HostedCloud) -> list[list[str]]:
    return [host.run("virsh", "list", "--uuid").stdout.split() for host in cloud.hosts]


def test_each_guest_is_on_its_host(hosted: HostedCloud, pair: tuple[Guest, Guest]) -> None:
    assert domains(hosted) == [[pair[0].id], [pair[1].id]]
    for guest, host in zip(pair, hosted.hosts, strict=True):
        found = guest.wait_console(r"cloudinit: source=(\w+) hostname=(\S+) keys=(\d)")
        assert found.groups() == ("metadata", f"guest-on-{host.name}", "1")


def test_guests_reach_each_other_as_their_group_allows(guests: HostedGuests, pair: tuple[Guest, Guest]) -> None:
    one, other = pair
    both = ((one, other), (other, one))
    assert not any(pings(*way) for way in both)
    # by a rule for all addresses
    rule = guests.allow("icmp")
    for way in both:
        eventually(lambda way=way: pings(*way))
    guests.forbid(rule)
    for way in both:
        eventually(lambda way=way: not pings(*way))
    # by a rule for members of the group, wherever they are
    rule = guests.allow("icmp", remote_group_id=guests.group)
    for way in both:
        eventually(lambda way=way: pings(*way))
    (port,) = guests.demo.ok("GET", "network", f"/ports?device_id={other.id}")["ports"]
    apart = guests.new_group("apart")
    guests.allow("tcp", 22, security_group_id=apart)
    guests.demo.ok("PUT", "network", f"/ports/{port['id']}", {"port": {"security_groups": [apart]}})
    for way in both:
        eventually(lambda way=way: not pings(*way))
    other.wait_ssh()
    guests.demo.ok("PUT", "network", f"/ports/{port['id']}", {"port": {"security_groups": [guests.group]}})
    for way in both:
        eventually(lambda way=way: pings(*way))
    guests.forbid(rule)
    for way in both:
        eventually(lambda way=way: not pings(*way))


def test_a_full_sized_transfer_crosses_the_tunnel(guests: HostedGuests, pair: tuple[Guest, Guest]) -> None:
    """Guests learn the smaller MTU, so that nothing is lost or cut."""
    one, other = pair
    mtu = int(re.findall(r"mtu (\d+)", one.wait_ssh("ip link show eth0"))[0])
    assert mtu == 1450
    rules = [guests.allow("tcp", 7000), guests.allow("icmp")]
    eventually(lambda: one.ssh(f"ping -c 1 -W 1 -s {mtu - 28} {other.ip}").returncode == 0)
    sent = "dd if=/dev/zero bs=64k count=32 2>/dev/null"
    other.wait_ssh("(sleep 60 | nc -l -p 7000 | md5sum > /tmp/sum) >/dev/null 2>&1 </dev/null &")
    digest = one.wait_ssh(f"until {sent} | nc {other.ip} 7000; do sleep 0.2; done; {sent} | md5sum")
    eventually(lambda: other.ssh("cat /tmp/sum").stdout == digest)
    for rule in rules:
        guests.forbid(rule)


def test_everything_is_explained_and_nothing_is_left(hosted: HostedCloud, pair: tuple[Guest, Guest]) -> None:
    assert hosted.verify() == []
    for guest in pair:
        guest.delete()
    assert hosted.verify() == []
    assert domains(hosted) == [[], []]
    found = hosted.api().ok("GET", "ops", "/verify")["counted"]
    assert (found["guests"], found["disks"], found["allocations"]) == (0, 0, 0)

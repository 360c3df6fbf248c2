"""Key, network file and user's files written into a real guest's disk; a config drive for everyone."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from kilonova.guest.build import GuestImages
from tests.host.guest_cloud.clouds import own_cloud
from tests.host.guest_cloud.guests import Guest, Guests
from tests.process.cloud.harness import Api, CloudProcess

pytestmark = pytest.mark.guest
MOTD = 'written into the disk: ünïcode, "quotes", $(nothing)\n'


@pytest.fixture(scope="module")
def setting() -> Iterator[tuple[CloudProcess, dict[str, str]]]:
    with own_cloud("kj", KILONOVA_AGENT_INJECT="true") as made:
        yield made


@pytest.fixture(scope="module")
def guests(setting: tuple[CloudProcess, dict[str, str]], guest_images: GuestImages) -> Iterator[Guests]:
    made = Guests(setting[0], guest_images)
    made.allow("tcp", 22)
    yield made
    made.remove_all()


@pytest.fixture(scope="module")
def older(guests: Guests) -> Api:
    """The API as it was when it took files."""
    return guests.cloud.api("demo", version="2.56")


@pytest.fixture(scope="module")
def static(guests: Guests) -> str:
    """A network without DHCP, and so without metadata."""
    demo = guests.demo
    network = demo.ok("POST", "network", "/networks", {"network": {"name": "static"}})["network"]["id"]
    subnet = {"network_id": network, "cidr": "10.67.0.0/24", "ip_version": 4, "enable_dhcp": False}
    demo.ok("POST", "network", "/subnets", {"subnet": subnet})
    return str(network)


def launch(guests: Guests, api: Api, networks: list[dict[str, str]], **fields: object) -> Guest:
    server = api.launch(
        guests.whole_disk, networks, flavorRef=api.flavor_id("m1.nano"), key_name="key",
        security_groups=[{"name": "guests"}], **fields,
    )  # fmt: skip
    guests.made.append(server)
    return Guest(guests, server)


def test_a_guest_without_metadata_has_key_and_address(guests: Guests, older: Api, static: str) -> None:
    guest = launch(guests, older, [{"uuid": static, "fixed_ip": "10.67.0.20"}], name="alone")
    found = guest.wait_console(r"cloudinit: source=(\w+) hostname=\S+ keys=(\d)")
    assert found.groups() == ("none", "1")
    guest.wait_console(r"tinycloud ready: \S+ 10\.67\.0\.20/24")
    guest.delete()


def test_files_of_the_user_and_of_the_network(guests: Guests, older: Api, static: str) -> None:
    files = [
        {"path": "/etc/motd", "contents": base64.b64encode(MOTD.encode()).decode()},
        {"path": "/srv/app/config/deep.bin", "contents": base64.b64encode(bytes(range(256))).decode()},
    ]
    networks = [{"uuid": static, "fixed_ip": "10.67.0.21"}, {"uuid": guests.network}]
    guest = launch(guests, older, networks, name="filled", personality=files, metadata={"role": "web"})
    assert guest.wait_ssh("cat /etc/motd") == MOTD
    assert guest.wait_ssh("od -An -v -tx1 /srv/app/config/deep.bin | tr -d ' \\n'") == bytes(range(256)).hex()
    assert guest.wait_ssh("stat -c %u:%a /etc/motd /root/.ssh/authorized_keys").split() == ["0:644", "0:600"]
    interfaces = guest.wait_ssh("cat /etc/network/interfaces")
    assert "iface eth0 inet static\n    address 10.67.0.21\n    netmask 255.255.255.0" in interfaces
    assert "eth1" not in interfaces  # that one has DHCP
    assert "10.67.0.21/24" in guest.wait_ssh("ip -4 -o addr show eth0")
    assert guest.wait_ssh("cat /meta.js") == '{"role":"web"}'
    # what is in the disk stays, and a restart writes nothing again
    guest.wait_ssh("echo mine > /etc/motd && sync")
    guest.action({"reboot": {"type": "HARD"}}, "ACTIVE")
    assert guest.wait_ssh("cat /etc/motd") == "mine\n"
    # a guest that shuts itself down is seen
    guest.ssh("poweroff")
    guests.demo.wait(guest.id, "SHUTOFF")
    guest.delete()
    assert guests.cloud.verify() == []


def test_files_that_can_not_be_written(guests: Guests, older: Api) -> None:
    """A path that is a directory, or leads out of the disk: the server ends in ERROR, with a reason and nothing left."""
    for path, words in (("/etc/../../../etc/motd", "absolute path of plain names"), ("/etc", "is a directory")):
        file = {"path": path, "contents": base64.b64encode(b"x").decode()}
        server = older.launch(
            guests.whole_disk, "none", flavorRef=older.flavor_id("m1.nano"), name="odd", personality=[file]
        )
        fault = older.wait(server, "ERROR", timeout=300)["fault"]
        assert "personalise: " in fault["message"]
        assert words in fault["message"]
        older.ok("DELETE", "compute", f"/servers/{server}")
        older.wait_gone(server)
    assert guests.cloud.verify() == []


def test_everyone_gets_a_config_drive(setting: tuple[CloudProcess, dict[str, str]], guests: Guests, older: Api) -> None:
    cloud, env = setting
    cloud.stop()
    cloud.start(**env | {"KILONOVA_AGENT_INJECT": "false", "KILONOVA_AGENT_FORCE_CONFIG_DRIVE": "true"})
    file = {"path": "/etc/motd", "contents": base64.b64encode(MOTD.encode()).decode()}
    guest = launch(guests, older, [{"uuid": guests.network}], name="forced", personality=[file])
    found = guest.wait_console(r"cloudinit: source=(\w+) hostname=(\S+) keys=(\d)")
    assert found.groups() == ("configdrive", "forced", "1")
    assert guest.wait_ssh("cat /etc/motd") == MOTD
    guest.delete()
    assert cloud.verify() == []

"""What a guest can read about itself, version by version."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest

from kilonova.compute.virt.inject import checked_path
from kilonova.compute.virt.personalise import (
    FixedIP,
    GuestFacts,
    KeyPair,
    Nic,
    Route,
    config_drive_tree,
    ec2_tree,
    injection_files,
    lookup,
    nested,
    openstack_tree,
)

KEY = "ssh-ed25519 AAAAC3Nz me@home"
FACTS = GuestFacts(
    uuid="d8e02d56-2648-49a3-bf97-6be8f1204f38",
    number=42,
    name="web 1",
    hostname="web-1.novalocal",
    project_id="f7ac731cc11f40efbc03a9f9e1d1d21f",
    launch_index=1,
    reservation_id="r-x0y1z2a3",
    key_pairs=(KeyPair(name="mykey", public_key=KEY + "\n"), KeyPair(name="win", public_key="---", type="x509")),
    user_data=b"#!/bin/sh\n\xff",
    metadata={"role": "webserver"},
    admin_pass="pa55",
    random_seed=b"r" * 512,
    nics=(
        Nic(
            mac="fa:16:3e:9c:bf:3d", port_id="cd9f6d46-4a3a-43ab-a466-994af9db96fc", network_id="net-a", mtu=1450,
            fixed_ips=(FixedIP(address="10.0.0.5", cidr="10.0.0.0/24", gateway="10.0.0.1", dns=("8.8.8.8",)),),
        ),
        Nic(
            mac="fa:16:3e:00:00:02", port_id="aaaaaaaa-4a3a-43ab-a466-994af9db96fc", network_id="net-b",
            fixed_ips=(
                FixedIP(
                    address="192.168.1.9", cidr="192.168.1.0/25", gateway="192.168.1.1", dns=("8.8.8.8", "9.9.9.9"),
                    routes=(Route(destination="172.16.0.0/12", gateway="192.168.1.2"),), dhcp=False,
                ),
                FixedIP(address="fd00::9", cidr="fd00::/64", gateway="fd00::1", dhcp=False),
                FixedIP(address="fd01::9", cidr="fd01::/64", ipv6_mode="dhcpv6-stateful"),
            ),
        ),
    ),
    files=(("/etc/banner", b"hello"), ("/root/x", b"\0")),
    instance_type="m1.tiny",
    ami_id="ami-00000001",
    kernel_id="aki-00000002",
    security_groups=("default", "web"),
    public_ipv4="203.0.113.7",
    vendor_data={"cloud": "ours"},
)  # fmt: skip


def meta(version: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(openstack_tree(FACTS)[f"openstack/{version}/meta_data.json"])
    return loaded


def test_files_of_each_version() -> None:
    found: dict[str, set[str]] = {}
    for path in openstack_tree(FACTS):
        top, version, name = path.split("/")
        assert top == "openstack"
        found.setdefault(version, set()).add(name)
    first = {"meta_data.json", "user_data"}
    havana = first | {"vendor_data.json"}
    liberty = havana | {"network_data.json"}
    newton = liberty | {"vendor_data2.json"}
    assert found == {
        "content": {"0000", "0001"}, "2012-08-10": first, "2013-04-04": first, "2013-10-17": havana,
        "2015-10-15": liberty, "2016-06-30": liberty, "2016-10-06": newton, "2017-02-22": newton,
        "2018-08-27": newton, "2020-10-14": newton, "latest": newton}  # fmt: skip


def test_meta_data_of_each_version() -> None:
    first = {"uuid", "name", "hostname", "launch_index", "availability_zone", "meta", "files", "public_keys", "keys",
             "admin_pass"}  # fmt: skip
    since: dict[str, set[str]] = {
        "2012-08-10": set(), "2013-04-04": {"random_seed"}, "2015-10-15": {"project_id"}, "2016-06-30": {"devices"},
        "2020-10-14": {"dedicated_cpus"}, "latest": set()}  # fmt: skip
    expected = set(first)
    for version, added in since.items():
        expected |= added
        assert set(meta(version)) == expected


def test_meta_data_values() -> None:
    data = meta("latest")
    assert data["hostname"] == "web-1.novalocal"
    assert data["meta"] == {"role": "webserver"}
    assert data["public_keys"]["mykey"] == KEY + "\n"
    assert data["keys"][1] == {"name": "win", "type": "x509", "data": "---"}
    assert base64.b64decode(data["random_seed"]) == b"r" * 512
    assert data["files"][1] == {"content_path": "/content/0001", "path": "/root/x"}
    assert openstack_tree(FACTS)["openstack/content/0001"] == b"\0"
    assert openstack_tree(FACTS)["openstack/latest/user_data"] == FACTS.user_data


def test_what_is_not_there_is_left_out() -> None:
    bare = GuestFacts(uuid="u", number=1, name="n", hostname="n", project_id="p")
    tree = openstack_tree(bare)
    assert "openstack/latest/user_data" not in tree
    data = json.loads(tree["openstack/latest/meta_data.json"])
    assert not {"meta", "files", "keys", "public_keys", "admin_pass"} & set(data)
    assert injection_files(bare) == []
    assert lookup(ec2_tree(bare), "/latest/user-data") is None
    assert lookup(ec2_tree(bare), "/latest/meta-data/public-keys/") is None


def test_network_data() -> None:
    data = json.loads(openstack_tree(FACTS)["openstack/latest/network_data.json"])
    assert data["links"][0] == {
        "id": "tapcd9f6d46-4a", "vif_id": "cd9f6d46-4a3a-43ab-a466-994af9db96fc", "type": "bridge", "mtu": 1450,
        "ethernet_mac_address": "fa:16:3e:9c:bf:3d"}  # fmt: skip
    dhcp, static, static6, stateful = data["networks"]
    assert dhcp == {"id": "network0", "type": "ipv4_dhcp", "link": "tapcd9f6d46-4a", "network_id": "net-a"}
    assert static == {
        "id": "network1", "type": "ipv4", "link": "tapaaaaaaaa-4a", "network_id": "net-b",
        "ip_address": "192.168.1.9", "netmask": "255.255.255.128",
        "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "192.168.1.1"},
                   {"network": "172.16.0.0", "netmask": "255.240.0.0", "gateway": "192.168.1.2"}],
        "services": [{"type": "dns", "address": "8.8.8.8"}, {"type": "dns", "address": "9.9.9.9"}]}  # fmt: skip
    assert (static6["type"], static6["netmask"]) == ("ipv6", "ffff:ffff:ffff:ffff::")
    assert static6["routes"] == [{"network": "::", "netmask": "::", "gateway": "fd00::1"}]
    assert stateful == {
        "id": "network3",
        "type": "ipv6_dhcpv6-stateful",
        "link": "tapaaaaaaaa-4a",
        "network_id": "net-b",
    }
    assert data["services"] == [{"type": "dns", "address": "8.8.8.8"}, {"type": "dns", "address": "9.9.9.9"}]


def test_vendor_data() -> None:
    tree = openstack_tree(FACTS)
    assert json.loads(tree["openstack/latest/vendor_data.json"]) == {"cloud": "ours"}
    assert json.loads(tree["openstack/latest/vendor_data2.json"]) == {"static": {"cloud": "ours"}}


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("", "1.0\n2007-01-19\n2007-03-01\n2007-08-29\n2007-10-10\n2007-12-15\n2008-02-01\n2008-09-01\n2009-04-04\nlatest"),
        ("/latest/", "meta-data/\nuser-data"),
        ("/2009-04-04/meta-data", "ami-id\nami-launch-index\nami-manifest-path\nblock-device-mapping/\nhostname\n"
         "instance-action\ninstance-id\ninstance-type\nkernel-id\nlocal-hostname\nlocal-ipv4\nplacement/\n"
         "public-hostname\npublic-ipv4\npublic-keys/\nreservation-id\nsecurity-groups"),
        ("/latest/meta-data/public-keys/", "0=mykey"),
        ("/latest/meta-data/public-keys/0/", "openssh-key"),
        ("/latest/meta-data/public-keys/0/openssh-key", KEY + "\n"),
        ("/latest/meta-data/instance-id", "i-0000002a"),
        ("/latest/meta-data/local-ipv4", "10.0.0.5"),
        ("/latest/meta-data/security-groups", "default\nweb"),
        ("/latest/meta-data/placement/availability-zone", "nova"),
        ("/latest/meta-data/block-device-mapping/", "ami\nroot"),
        ("/1.0/meta-data/", "ami-id\nami-launch-index\nami-manifest-path\nhostname\ninstance-id\nlocal-ipv4\n"
         "public-keys/\nreservation-id\nsecurity-groups"),
        ("/1.0/meta-data/instance-type", None),
        ("/2007-08-29/meta-data/instance-type", "m1.tiny"),
        ("/latest/meta-data/nothing", None),
        ("/latest/meta-data/instance-id/deeper", None),
        ("/latest/meta-data/public-keys/1/openssh-key", None),
        ("/1999-01-01/meta-data", None),
    ],
)  # fmt: skip
def test_ec2(path: str, answer: str | None) -> None:
    assert lookup(ec2_tree(FACTS), path) == (None if answer is None else answer.encode())


def test_ec2_user_data_is_bytes() -> None:
    assert lookup(ec2_tree(FACTS), "/2009-04-04/user-data") == FACTS.user_data


def test_openstack_tree_can_be_walked() -> None:
    tree = nested(openstack_tree(FACTS))
    listed = lookup(tree, "openstack")
    assert listed is not None
    assert listed.decode().split("\n")[:2] == ["2012-08-10", "2013-04-04"]
    assert lookup(tree, "/openstack/content/0000") == b"hello"


def test_config_drive_has_both_forms() -> None:
    tree = config_drive_tree(FACTS)
    data = json.loads(tree["ec2/latest/meta-data.json"])
    assert data["security-groups"] == ["default", "web"]
    assert data["public-keys"] == {"0": {"_name": "0=mykey", "openssh-key": KEY + "\n"}}
    assert data["placement"] == {"availability-zone": "nova"}
    assert tree["ec2/2009-04-04/user-data"] == FACTS.user_data
    assert set(openstack_tree(FACTS)) < set(tree)


def test_injection() -> None:
    files = {file.path: file for file in injection_files(FACTS)}
    assert list(files) == [
        "/root/.ssh/authorized_keys",
        "/etc/network/interfaces",
        "/meta.js",
        "/etc/banner",
        "/root/x",
    ]
    assert files["/root/.ssh/authorized_keys"].content == f"{KEY}\n".encode()
    assert files["/root/.ssh/authorized_keys"].mode == 0o600
    assert msgspec.json.decode(files["/meta.js"].content) == {"role": "webserver"}
    assert not any(b"pa55" in file.content for file in files.values())
    for path in files:
        checked_path(path)
    interfaces = files["/etc/network/interfaces"].content.decode()
    assert (
        interfaces
        == """\
auto lo
iface lo inet loopback

auto eth1

iface eth1 inet static
    address 192.168.1.9
    netmask 255.255.255.128
    broadcast 192.168.1.127
    gateway 192.168.1.1
    dns-nameservers 8.8.8.8 9.9.9.9
    up ip route add 172.16.0.0/12 via 192.168.1.2 dev eth1

iface eth1 inet6 static
    address fd00::9
    netmask 64
    gateway fd00::1
"""
    )

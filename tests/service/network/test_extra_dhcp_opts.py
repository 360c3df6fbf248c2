"""DHCP options of single ports, in the API and in what hosts are told."""

from __future__ import annotations

from typing import Any

import pytest

from kilonova.network.agent.model import DhcpOption
from tests.eventually import until
from tests.service.network.conftest import Cloud

BOOT = {"opt_name": "bootfile-name", "opt_value": "pxelinux.0"}
TFTP = {"opt_name": "tftp-server", "opt_value": "123.123.123.123"}
NEXT = {"opt_name": "server-ip-address", "opt_value": "2015::badd"}


def _shown(*options: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"ip_version": 4} | option for option in options]


async def _changed(cloud: Cloud, port: Any, options: Any) -> list[dict[str, Any]]:
    answer = await cloud("PUT", f"/ports/{port['id']}", json={"port": {"extra_dhcp_opts": options}})
    assert answer.status == 200, answer.content
    shown: list[dict[str, Any]] = answer.json["port"]["extra_dhcp_opts"]
    assert (await cloud("GET", f"/ports/{port['id']}")).json["port"]["extra_dhcp_opts"] == shown
    return shown


async def test_they_are_set_changed_and_taken_away(cloud: Cloud) -> None:
    network, _ = await cloud.network()
    assert (await cloud.make("port", network_id=network["id"]))["extra_dhcp_opts"] == []
    nothing = {"opt_name": "mtu", "opt_value": None}
    port = await cloud.make("port", network_id=network["id"], extra_dhcp_opts=[BOOT, TFTP, NEXT, nothing])
    assert port["extra_dhcp_opts"] == _shown(BOOT, TFTP, NEXT)
    assert (await cloud("GET", "/ports?mac_address=" + port["mac_address"])).json["ports"] == [port]
    other = {"opt_name": "bootfile-name", "opt_value": "pxelinux.77"}
    six = {"opt_name": "dns-server", "opt_value": "fd00::53", "ip_version": 6}
    router = {"opt_name": "router", "opt_value": ""}
    now = await _changed(cloud, port, [other, six, router, NEXT | {"opt_value": None}])
    assert now == _shown(other, TFTP, six, router)
    assert await _changed(cloud, port, None) == now
    assert await _changed(cloud, port, []) == now
    assert await _changed(cloud, port, [six | {"opt_value": None, "ip_version": 4}]) == now
    assert await _changed(cloud, port, [{"opt_name": "bootfile-name"}]) == _shown(TFTP, six, router)


async def test_a_change_gives_the_next_revision(cloud: Cloud) -> None:
    network, _ = await cloud.network()
    port = await cloud.make("port", network_id=network["id"])
    changed = await cloud("PUT", f"/ports/{port['id']}", json={"port": {"extra_dhcp_opts": [BOOT]}})
    assert changed.json["port"]["revision_number"] > port["revision_number"]


async def test_hosts_are_told(cloud: Cloud) -> None:
    network, _ = await cloud.network()
    _, plane = await cloud.agent()
    port = await cloud.bound(network, extra_dhcp_opts=[BOOT])
    await _changed(cloud, port, [TFTP])
    wanted = (
        DhcpOption(name="bootfile-name", value="pxelinux.0"), DhcpOption(name="tftp-server", value="123.123.123.123"),
    )  # fmt: skip
    await until(lambda: [one.dhcp_options for net in plane.state.networks for one in net.ports] == [wanted])


@pytest.mark.parametrize(
    "option",
    [
        {"opt_name": "nix", "opt_value": "x"},
        {"opt_name": "client-id", "opt_value": "x"},
        {"opt_name": "51", "opt_value": "1"},  # the lease's time is the cloud's
        {"opt_name": "bootfile-url", "opt_value": "http://x"},  # of DHCPv6 alone
        {"opt_name": "bootfile-name", "opt_value": "x", "ip_version": 6},
        {"opt_name": "bootfile-name", "opt_value": "x", "ip_version": 5},
        {"opt_name": "bootfile-name", "opt_value": "a\nb"},
        {"opt_name": "bootfile-name\n", "opt_value": "a"},
        {"opt_name": "bootfile-name", "opt_value": "a,option:router,1.1.1.1"},
        {"opt_name": "bootfile-name", "opt_value": "a\x07"},
        {"opt_name": "bootfile-name", "opt_value": "a#b"},
        {"opt_name": "bootfile-name", "opt_value": ""},
        {"opt_name": "bootfile-name", "opt_value": "x" * 256},
        {"opt_name": "", "opt_value": "x"},
        {"opt_name": "router", "opt_value": "x"},
        {"opt_name": "ntp-server", "opt_value": "10.0.0.1,nix"},
        {"opt_name": "mtu", "opt_value": "-1"},
        {"opt_name": "classless-static-route", "opt_value": "10.0.0.0/8"},
        {"opt_value": "x"},
        {"opt_name": "bootfile-name", "opt_value": "x", "colour": "red"},
        "x",
    ],
)
async def test_bad_options(cloud: Cloud, option: Any) -> None:
    network, _ = await cloud.network()
    port = await cloud.make("port", network_id=network["id"], extra_dhcp_opts=[TFTP])
    for method, path, more in (("POST", "/ports", {"network_id": network["id"]}), ("PUT", f"/ports/{port['id']}", {})):
        answer = await cloud(method, path, json={"port": more | {"extra_dhcp_opts": [BOOT, option]}})
        assert (answer.status, answer.json["NeutronError"]["type"]) == (400, "HTTPBadRequest"), answer.content
    assert (await cloud("GET", f"/ports/{port['id']}")).json["port"] == port


async def test_an_option_is_named_once(cloud: Cloud) -> None:
    network, _ = await cloud.network()
    answer = await cloud(
        "POST", "/ports", json={"port": {"network_id": network["id"], "extra_dhcp_opts": [BOOT, BOOT]}}
    )
    assert (answer.status, "named twice" in answer.json["NeutronError"]["message"]) == (400, True)

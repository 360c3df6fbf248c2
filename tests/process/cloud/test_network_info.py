"""After a launch a cloud shows a server's ports as the network service knows them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.eventually import eventually
from tests.process.cloud.harness import Api, CloudProcess


@pytest.fixture(scope="module")
def demo(cloud: CloudProcess) -> Api:
    return cloud.api("demo")


@pytest.fixture(scope="module")
def server(demo: Api) -> str:
    image, network = demo.image("plain"), demo.network("net", "10.51.0.0/24")
    server = demo.launch(image, [{"uuid": network}, {"uuid": network}])
    demo.wait(server, "ACTIVE")
    return server


def ports(demo: Api, server: str) -> list[dict[str, Any]]:
    """In the order of the server's interfaces."""
    found = {p["id"]: p for p in demo.ok("GET", "network", f"/ports?device_id={server}")["ports"]}
    shown = demo.ok("GET", "compute", f"/servers/{server}/os-interface")["interfaceAttachments"]
    return [found[interface["port_id"]] for interface in shown]


def views(demo: Api, server: str) -> list[list[str]]:
    """The addresses as each view shows them."""
    listed = demo.ok("GET", "compute", "/servers/detail")["servers"]
    (in_list,) = (one for one in listed if one["id"] == server)
    interfaces = demo.ok("GET", "compute", f"/servers/{server}/os-interface")["interfaceAttachments"]
    return [
        [address["addr"] for address in demo.server(server)["addresses"].get("net", [])],
        [address["addr"] for address in in_list["addresses"].get("net", [])],
        [address["addr"] for address in demo.ok("GET", "compute", f"/servers/{server}/ips/net")["net"]]
        if interfaces else [],
        [ip["ip_address"] for interface in interfaces for ip in interface["fixed_ips"]],
    ]  # fmt: skip


def test_every_view_follows_a_port(demo: Api, server: str) -> None:
    first, second = ports(demo, server)
    stays = second["fixed_ips"][0]["ip_address"]
    assert views(demo, server) == [[first["fixed_ips"][0]["ip_address"], stays]] * 4
    body = {"port": {"fixed_ips": [{"ip_address": "10.51.0.200"}]}}
    demo.ok("PUT", "network", f"/ports/{first['id']}", body)
    eventually(lambda: views(demo, server) == [["10.51.0.200", stays]] * 4)
    found = demo.ok("GET", "compute", "/servers?ip=10.51.0.200")["servers"]
    assert [one["id"] for one in found] == [server]


def test_groups_of_a_port_are_the_servers(demo: Api, server: str) -> None:
    group = demo.ok("POST", "network", "/security-groups", {"security_group": {"name": "web"}})["security_group"]["id"]
    for port in ports(demo, server):
        demo.ok("PUT", "network", f"/ports/{port['id']}", {"port": {"security_groups": [group]}})
    eventually(lambda: demo.server(server)["security_groups"] == [{"name": "web"}])


def test_a_hard_reboot_reads_changes_that_had_no_event(demo: Api, server: str) -> None:
    """As the name of a network."""
    network = ports(demo, server)[0]["network_id"]
    demo.ok("PUT", "network", f"/networks/{network}", {"network": {"name": "renamed"}})
    demo.ok("POST", "compute", f"/servers/{server}/action", {"reboot": {"type": "HARD"}})
    demo.wait(server, "ACTIVE")
    assert list(demo.server(server)["addresses"]) == ["renamed"]
    demo.ok("PUT", "network", f"/networks/{network}", {"network": {"name": "net"}})
    demo.ok("POST", "compute", f"/servers/{server}/action", {"os-stop": None})
    demo.wait(server, "SHUTOFF")
    demo.ok("POST", "compute", f"/servers/{server}/action", {"os-start": None})
    demo.wait(server, "ACTIVE")
    assert list(demo.server(server)["addresses"]) == ["net"]


def test_a_port_that_its_user_deletes_is_gone(cloud: CloudProcess, demo: Api, server: str) -> None:
    first, second = ports(demo, server)
    demo.ok("DELETE", "network", f"/ports/{first['id']}")
    eventually(lambda: views(demo, server) == [[second["fixed_ips"][0]["ip_address"]]] * 4)
    demo.ok("POST", "compute", f"/servers/{server}/action", {"reboot": {"type": "HARD"}})
    demo.wait(server, "ACTIVE")
    demo.ok("DELETE", "compute", f"/servers/{server}")
    demo.wait_gone(server)
    assert cloud.verify() == []

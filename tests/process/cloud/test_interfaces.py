"""Interfaces that servers get and lose while they live: what the network service has of them, and what users see."""

from __future__ import annotations

from typing import Any

import pytest

from tests.eventually import eventually
from tests.process.cloud.harness import Api, CloudProcess


@pytest.fixture(scope="module")
def demo(cloud: CloudProcess) -> Api:
    return cloud.api("demo")


@pytest.fixture(scope="module")
def network(demo: Api) -> str:
    return demo.network("net", "10.61.0.0/28")


@pytest.fixture
def server(demo: Api, network: str) -> str:
    server = demo.launch(demo.image("plain"), [{"uuid": network}])
    demo.wait(server, "ACTIVE")
    return server


def attach(demo: Api, server: str, **body: Any) -> dict[str, Any]:
    path, asked = f"/servers/{server}/os-interface", {"interfaceAttachment": body}
    return dict(demo.ok("POST", "compute", path, asked)["interfaceAttachment"])


def ports(demo: Api, server: str) -> dict[str, Any]:
    return {port["id"]: port for port in demo.ok("GET", "network", f"/ports?device_id={server}")["ports"]}


def addresses(demo: Api, server: str) -> list[str]:
    return [address["addr"] for address in demo.server(server)["addresses"]["net"]]


def detach(demo: Api, server: str, port_id: str) -> None:
    """As clients wait for its end: by the last event of the action."""
    answer = demo("DELETE", "compute", f"/servers/{server}/os-interface/{port_id}")
    assert answer.status_code == 202
    path = f"/servers/{server}/os-instance-actions/{answer.headers['x-openstack-request-id']}"

    def is_done() -> bool:
        events = demo.ok("GET", "compute", path)["instanceAction"]["events"]
        return ("compute_detach_interface", "Success") in [(event["event"], event["result"]) for event in events]

    eventually(is_done)


def test_an_interface_comes_up_and_goes(cloud: CloudProcess, demo: Api, server: str, network: str) -> None:
    (first,) = ports(demo, server)
    made = attach(demo, server, net_id=network, fixed_ips=[{"ip_address": "10.61.0.12"}])
    assert made["port_state"] == "ACTIVE"
    port = ports(demo, server)[made["port_id"]]
    assert (port["device_owner"], port["status"]) == ("compute:nova", "ACTIVE")
    assert port["mac_address"] == made["mac_addr"]
    assert addresses(demo, server)[1:] == ["10.61.0.12"]
    assert demo.server(server)["OS-EXT-STS:task_state"] is None
    assert cloud.verify() == []
    for act, status in (("os-stop", "SHUTOFF"), ("os-start", "ACTIVE")):
        demo.ok("POST", "compute", f"/servers/{server}/action", {act: None})
        demo.wait(server, status)
    assert addresses(demo, server)[1:] == ["10.61.0.12"]
    detach(demo, server, made["port_id"])
    assert list(ports(demo, server)) == [first]
    assert len(addresses(demo, server)) == 1
    assert cloud.verify() == []


def test_a_users_port_goes_from_server_to_server(demo: Api, server: str, network: str) -> None:
    port = demo.ok("POST", "network", "/ports", {"port": {"network_id": network}})["port"]["id"]
    other = demo.launch(demo.image("plain"), "none")
    demo.wait(other, "ACTIVE")
    demo.ok("POST", "compute", f"/servers/{other}/action", {"os-stop": None})
    demo.wait(other, "SHUTOFF")
    for owner in (server, other):
        assert attach(demo, owner, port_id=port)["port_id"] == port
        assert port in ports(demo, owner)
        taken = demo("POST", "compute", f"/servers/{other}/os-interface", {"interfaceAttachment": {"port_id": port}})
        assert taken.status_code == 409
        detach(demo, owner, port)
        assert port not in ports(demo, owner)
        left = demo.ok("GET", "network", f"/ports/{port}")["port"]
        assert (left["device_id"], left["device_owner"], left["status"]) == ("", "", "DOWN")
    attach(demo, other, port_id=port)
    attach(demo, other, net_id=network)
    demo.ok("DELETE", "compute", f"/servers/{other}")
    demo.wait_gone(other)
    assert ports(demo, other) == {}
    assert demo.ok("GET", "network", f"/ports/{port}")["port"]["device_id"] == ""


def test_no_address_is_left(demo: Api, server: str, network: str) -> None:
    def asked() -> int:
        body = {"interfaceAttachment": {"net_id": network}}
        return demo("POST", "compute", f"/servers/{server}/os-interface", body).status_code

    before = len(ports(demo, server))
    codes = [asked() for _ in range(13)]
    assert codes[-1] == 400
    assert set(codes) == {200, 400}
    assert len(ports(demo, server)) == before + codes.count(200)
    assert demo.server(server)["status"] == "ACTIVE"

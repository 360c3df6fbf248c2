"""Floating IPs, pools, networks and fixed addresses for clients that still ask compute for them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.eventually import eventually
from tests.process.cloud.harness import Api, CloudProcess

LAST, LAST_ACTION = "2.35", "2.43"


@pytest.fixture(scope="module")
def demo(cloud: CloudProcess) -> Api:
    return cloud.api("demo")


@pytest.fixture(scope="module")
def public(cloud: CloudProcess) -> str:
    return cloud.api().external_network("203.0.113.0/29")


@pytest.fixture(scope="module")
def server(demo: Api, public: str) -> str:
    """Behind a router."""
    network = demo.routed_network("10.71.0.0/24", public)
    made = demo.launch(demo.image("plain"), [{"uuid": network}])
    demo.wait(made, "ACTIVE")
    return made


def old(api: Api, method: str, path: str, body: Any = None, at: str = LAST) -> Any:
    return api(method, "compute", path, body, headers={"OpenStack-API-Version": f"compute {at}"})


def act(api: Api, server: str, at: str = LAST_ACTION, **action: Any) -> tuple[int, str]:
    answer = old(api, "POST", f"/servers/{server}/action", action, at)
    return answer.status_code, answer.text


def addresses(demo: Api, server: str, kind: str) -> list[str]:
    held = demo.server(server)["addresses"]["behind"]
    return [address["addr"] for address in held if address["OS-EXT-IPS:type"] == kind]


def test_floating_ips_come_and_go(cloud: CloudProcess, demo: Api, public: str) -> None:
    assert old(demo, "GET", "/os-floating-ip-pools").json() == {"floating_ip_pools": [{"name": "public"}]}
    made = [old(demo, "POST", "/os-floating-ips", body).json()["floating_ip"] for body in ({"pool": "public"}, None)]
    assert made[0] | {"id": "", "ip": ""} == {
        "id": "", "ip": "", "fixed_ip": None, "instance_id": None, "pool": "public"
    }  # fmt: skip
    listed = old(demo, "GET", "/os-floating-ips").json()["floating_ips"]
    assert sorted(one["id"] for one in listed) == sorted(one["id"] for one in made)
    assert old(demo, "GET", f"/os-floating-ips/{made[0]['id']}").json() == {"floating_ip": made[0]}
    admin = cloud.api()
    foreign = demo.network("inside", "10.72.0.0/24")
    for method, path, body, status in (
        ("GET", f"/os-floating-ips/{foreign}", None, 404), ("DELETE", f"/os-floating-ips/{foreign}", None, 404),
        ("GET", "/os-floating-ips/x", None, 400), ("POST", "/os-floating-ips", {"pool": "none"}, 404),
        ("POST", "/os-floating-ips", {"pool": 5}, 400), ("POST", "/os-floating-ips", {"pool": "inside"}, 404),
    ):  # fmt: skip
        assert old(demo, method, path, body).status_code == status, (method, path)
    assert old(admin, "GET", "/os-floating-ips").json() == {"floating_ips": []}  # only of the caller's project
    for one in made:
        assert old(demo, "DELETE", f"/os-floating-ips/{one['id']}").status_code == 202
    assert old(demo, "GET", "/os-floating-ips").json() == {"floating_ips": []}


def test_the_pool_may_be_empty(demo: Api, public: str) -> None:
    made: list[str] = []
    while (answer := old(demo, "POST", "/os-floating-ips", {"pool": public})).status_code == 200:
        made.append(answer.json()["floating_ip"]["id"])
        assert len(made) < 9
    for one in made:
        old(demo, "DELETE", f"/os-floating-ips/{one}")
    assert answer.status_code == 404
    assert answer.json()["itemNotFound"]["message"] == f"No more floating IPs in pool {public}."


def test_a_floating_ip_leads_to_a_server(demo: Api, public: str, server: str) -> None:
    first, second = (old(demo, "POST", "/os-floating-ips").json()["floating_ip"] for _ in range(2))
    (fixed,) = addresses(demo, server, "fixed")
    assert act(demo, server, addFloatingIp={"address": first["ip"]}) == (202, "")
    eventually(lambda: addresses(demo, server, "floating") == [first["ip"]])
    shown = old(demo, "GET", f"/os-floating-ips/{first['id']}").json()["floating_ip"]
    assert (shown["instance_id"], shown["fixed_ip"]) == (server, fixed)
    for address, status in ((second["ip"], 400), ("0.0.0.0", 404), ("", 400), ("10.1.1.1", 404)):
        assert act(demo, server, addFloatingIp={"address": address})[0] == status, address
    taken = {"address": first["ip"], "fixed_address": "10.71.0.250"}
    assert act(demo, server, addFloatingIp=taken)[0] == 400
    assert act(demo, server, removeFloatingIp={"address": second["ip"]})[0] == 409
    assert act(demo, server, removeFloatingIp={"address": "0.0.0.0"})[0] == 404
    assert act(demo, server, removeFloatingIp={"address": first["ip"]}) == (202, "")
    eventually(lambda: addresses(demo, server, "floating") == [])
    assert act(demo, server, removeFloatingIp={"address": first["ip"]})[0] == 409
    for one in (first, second):
        old(demo, "DELETE", f"/os-floating-ips/{one['id']}")


def test_fixed_addresses_of_a_port(demo: Api, server: str) -> None:
    (port,) = demo.ok("GET", "compute", f"/servers/{server}/os-interface")["interfaceAttachments"]
    (kept,) = addresses(demo, server, "fixed")
    assert act(demo, server, addFixedIp={"networkId": port["net_id"]}) == (202, "")
    eventually(lambda: len(addresses(demo, server, "fixed")) == 2)
    (added,) = [address for address in addresses(demo, server, "fixed") if address != kept]
    assert act(demo, server, removeFixedIp={"address": added}) == (202, "")
    eventually(lambda: addresses(demo, server, "fixed") == [kept])
    assert act(demo, server, removeFixedIp={"address": added})[0] == 400
    assert act(demo, server, addFixedIp={"networkId": "none"})[0] == 404


def test_networks(cloud: CloudProcess, demo: Api, server: str) -> None:
    mine = {one["id"]: one for one in old(demo, "GET", "/os-networks").json()["networks"]}
    brief = {one["id"]: one for one in old(demo, "GET", "/os-tenant-networks").json()["networks"]}
    assert mine.keys() == brief.keys()
    (behind,) = [one for one in mine.values() if one["label"] == "behind"]
    assert behind["cidr"] is None
    assert brief[behind["id"]] == {"id": behind["id"], "cidr": "None", "label": "behind"}
    assert old(demo, "GET", f"/os-networks/{behind['id']}").json() == {"network": behind}
    assert "vlan" in old(cloud.api(), "GET", f"/os-networks/{behind['id']}").json()["network"]
    for path in ("/os-networks/x", "/os-tenant-networks/70a599e0-31e7-49b7-b260-868f441e862b"):
        assert old(demo, "GET", path).json()["itemNotFound"]["message"] == "Network not found"


def test_all_of_it_ends_with_a_microversion(demo: Api, server: str) -> None:
    for path in ("/os-floating-ips", "/os-floating-ip-pools", "/os-networks", "/os-tenant-networks"):
        assert old(demo, "GET", path, at="2.36").status_code == 404
    for action in ("addFixedIp", "removeFixedIp", "addFloatingIp", "removeFloatingIp"):
        assert act(demo, server, "2.44", **{action: {}})[0] == 404
    for method, path in (("POST", "/os-networks"), ("DELETE", "/os-tenant-networks/x"), ("GET", "/os-fping")):
        assert old(demo, method, path, at="2.1").status_code == 410
        assert old(demo, method, path, at="2.90").status_code == 410

"""A server's floating IPs, in what compute shows of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.eventually import eventually
from tests.process.cloud.harness import Api, CloudProcess

Addresses = dict[str, list[str]]


@pytest.fixture(scope="module")
def demo(cloud: CloudProcess) -> Api:
    return cloud.api("demo")


@pytest.fixture(scope="module")
def public(cloud: CloudProcess) -> str:
    return cloud.api().external_network("203.0.113.0/24")


@pytest.fixture(scope="module")
def private(demo: Api, public: str) -> str:
    """A network behind a router."""
    return demo.routed_network("10.51.0.0/24", public)


def floating_ip(demo: Api, public: str, port_id: str) -> dict[str, Any]:
    asked = {"floating_network_id": public, "port_id": port_id}
    return dict(demo.ok("POST", "network", "/floatingips", {"floatingip": asked})["floatingip"])


def shows(demo: Api, server_id: str, *expected: str) -> None:
    """Exactly these are the server's floating addresses, alone and in the list, at the latest soon."""

    def look() -> tuple[list[str], list[str]]:
        listed = demo.ok("GET", "compute", "/servers/detail")["servers"]
        return _floating(demo.server(server_id)), _floating(next(s for s in listed if s["id"] == server_id))

    eventually(
        look, lambda: f"not {expected} but {look()}", satisfies=lambda found: found == (list(expected), list(expected))
    )


def _floating(server: dict[str, Any]) -> list[str]:
    every = server["addresses"].get("behind", [])
    return [address["addr"] for address in every if address["OS-EXT-IPS:type"] == "floating"]


def test_a_running_server_shows_floating_ips_that_come_and_go(demo: Api, public: str, private: str) -> None:
    server_id = demo.launch(demo.image("img"), [{"uuid": private}])
    demo.wait(server_id, "ACTIVE")
    shows(demo, server_id)
    (port,) = demo.ok("GET", "network", f"/ports?device_id={server_id}")["ports"]
    made = floating_ip(demo, public, port["id"])
    shows(demo, server_id, made["floating_ip_address"])
    demo.ok("PUT", "network", f"/floatingips/{made['id']}", {"floatingip": {"port_id": None}})
    shows(demo, server_id)
    demo.ok("PUT", "network", f"/floatingips/{made['id']}", {"floatingip": {"port_id": port["id"]}})
    shows(demo, server_id, made["floating_ip_address"])
    demo.ok("DELETE", "network", f"/floatingips/{made['id']}")
    shows(demo, server_id)


def test_a_server_on_a_port_that_has_one_shows_it(demo: Api, public: str, private: str) -> None:
    port = demo.ok("POST", "network", "/ports", {"port": {"network_id": private}})["port"]
    made = floating_ip(demo, public, port["id"])
    server_id = demo.launch(demo.image("img"), [{"port": port["id"]}])
    demo.wait(server_id, "ACTIVE")
    shows(demo, server_id, made["floating_ip_address"])

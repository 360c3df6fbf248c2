"""Servers that are made anew: what stays of them, and what users and guests see."""

from __future__ import annotations

import pytest

from tests.process.cloud.harness import Api, CloudProcess


@pytest.fixture(scope="module")
def demo(cloud: CloudProcess) -> Api:
    return cloud.api("demo")


@pytest.fixture(scope="module")
def server(demo: Api) -> str:
    server = demo.launch(demo.image("first"), [{"uuid": demo.network("net", "10.62.0.0/24")}])
    demo.wait(server, "ACTIVE")
    return server


@pytest.mark.parametrize("status", ["ACTIVE", "SHUTOFF"])
def test_a_server_from_another_image(cloud: CloudProcess, demo: Api, server: str, status: str) -> None:
    image = demo.image(f"for {status}")
    if status == "SHUTOFF":
        demo.ok("POST", "compute", f"/servers/{server}/action", {"os-stop": None})
    before = demo.wait(server, status)
    body = {
        "rebuild": {"imageRef": image, "name": f"was {status}", "metadata": {"status": status}, "adminPass": "s3cret"}
    }
    answer = demo.ok("POST", "compute", f"/servers/{server}/action", body)["server"]
    assert (answer["id"], answer["image"]["id"], answer["adminPass"]) == (server, image, "s3cret")
    after = demo.wait(server, status)
    assert (after["image"]["id"], after["name"], after["metadata"]) == (image, f"was {status}", {"status": status})
    assert after["addresses"] == before["addresses"]
    assert after["OS-EXT-SRV-ATTR:hostname"] == before["OS-EXT-SRV-ATTR:hostname"]
    assert cloud.verify() == []

"""What a launch may ask for, through a whole cloud: it is served in full, or refused at once."""

from __future__ import annotations

import pytest

from tests.cloud.harness import Api, CloudProcess


@pytest.fixture(scope="module")
def admin(cloud: CloudProcess) -> Api:
    return cloud.api()


@pytest.fixture(scope="module")
def demo(cloud: CloudProcess) -> Api:
    return cloud.api("demo", version="2.104")


@pytest.fixture(scope="module")
def image(demo: Api) -> str:
    return demo.image("plain")


@pytest.fixture(scope="module")
def network(demo: Api) -> str:
    return demo.network("net", "10.62.0.0/24")


# host names


def test_a_host_name_with_a_domain_reaches_port_and_guest(admin: Api, demo: Api, image: str, network: str) -> None:
    server = demo.launch(image, [{"uuid": network}], hostname="Web-1.example.org")
    demo.wait(server, "ACTIVE")
    assert demo.server(server)["OS-EXT-SRV-ATTR:hostname"] == "Web-1.example.org"
    (port,) = admin.ok("GET", "network", f"/ports?device_id={server}")["ports"]
    assert port["dns_name"] == "Web-1.example.org"
    renamed = demo.ok("PUT", "compute", f"/servers/{server}", {"server": {"hostname": "db.example.org"}})["server"]
    assert renamed["OS-EXT-SRV-ATTR:hostname"] == "db.example.org"


@pytest.mark.parametrize(
    "name", ["", "-a", "a-", "a..b", ".a", "a.", "a_b", "a b", "a\nb", "é", "192.0.2.1", "x" * 64, "a." * 128 + "a"]
)
def test_a_host_name_that_dns_does_not_take_is_refused(demo: Api, image: str, name: str) -> None:
    body = {"name": "vm", "imageRef": image, "flavorRef": "42", "networks": "none", "hostname": name}
    answer = demo("POST", "compute", "/servers", {"server": body})
    assert answer.status_code == 400, answer.text
    assert "hostname" in answer.json()["badRequest"]["message"]

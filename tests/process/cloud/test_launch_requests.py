"""What a launch may ask for, through a whole cloud: it is served in full, or refused at once."""

from __future__ import annotations

import pytest

from tests.process.cloud.harness import DOMAIN, PASSWORD, Api, CloudProcess


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
    assert port["dns_name"] == "web-1.example.org"
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


# scopes, images, patterns


@pytest.mark.parametrize("scope", ["domain", "unscoped"])
def test_a_token_without_a_project_may_nothing(cloud: CloudProcess, admin: Api, image: str, scope: str) -> None:
    (role,) = admin.ok("GET", "identity", "/roles?name=admin")["roles"]
    (user,) = admin.ok("GET", "identity", "/users?name=admin")["users"]
    admin.ok("PUT", "identity", f"/domains/default/users/{user['id']}/roles/{role['id']}")
    asker = cloud.api(version="2.104")
    identity = {
        "methods": ["password"],
        "password": {"user": {"name": "admin", "domain": DOMAIN, "password": PASSWORD}},
    }
    wanted = {"domain": {"id": "default"}} if scope == "domain" else "unscoped"
    body = {"auth": {"identity": identity, "scope": wanted}}
    asker.token = asker("POST", "identity", "/auth/tokens", body).headers["x-subject-token"]
    server = {"name": "vm", "imageRef": image, "flavorRef": "42", "networks": "none"}
    for method, path, sent in (
        ("POST", "/servers", {"server": server}), ("GET", "/servers", None), ("GET", "/os-hypervisors", None),
        ("POST", "/os-keypairs", {"keypair": {"name": "k", "public_key": "x"}}),
        ("POST", "/os-server-groups", {"server_group": {"name": "g", "policy": "affinity"}}),
    ):  # fmt: skip
        answer = asker(method, "compute", path, sent)
        assert answer.status_code == 403, (path, answer.text)


def test_an_image_with_a_property_that_is_none(demo: Api) -> None:
    image = demo.image("odd", architecture="x64")
    body = {"name": "vm", "imageRef": image, "flavorRef": "42", "networks": "none"}
    answer = demo("POST", "compute", "/servers", {"server": body})
    assert answer.status_code == 400
    assert "property architecture is 'x64'; allowed are " in answer.json()["badRequest"]["message"]


def test_a_hostile_pattern_does_not_hold_the_cloud(demo: Api, image: str) -> None:
    server = demo.launch(image, name="a" * 60)
    demo.http.timeout = 20
    assert demo("GET", "compute", "/servers?name=" + "a%3F" * 30 + "a" * 30 + "X").json() == {"servers": []}
    listed = demo.ok("GET", "compute", "/servers?name=" + "a%3F" * 30 + "a" * 30)["servers"]
    assert [found["id"] for found in listed] == [server]

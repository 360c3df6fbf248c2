"""What users get wrong, or try on purpose: each is a 4xx in the service's own words, and nothing has changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.eventually import eventually
from tests.process.cloud.harness import PASSWORD, Api, CloudProcess

NOBODY = "5f0c7f0e-0000-4000-8000-000000000000"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJqxv0g0r1QpN0kTn9QXkYx0xg4r1oB2k3i6h3c5l0aZ"
KINDS = {"compute": "server", "network": "network", "image": None, "identity": "auth"}
CREATE = {"compute": "/servers", "network": "/networks", "image": "/images", "identity": "/auth/tokens"}


class Scene:
    """A cloud with two projects; `demo` has one of everything."""

    def __init__(self, cloud: CloudProcess) -> None:
        self.cloud = cloud
        self.admin, self.demo = cloud.api(), cloud.api("demo")
        self.other = self._other()
        self.image = self.demo.image("plain")
        self.network = self.demo.network("net", "10.60.0.0/24")
        self.demo.ok("POST", "compute", "/os-keypairs", {"keypair": {"name": "mine", "public_key": KEY}})
        for api in (self.demo, self.other):  # the first look at security groups makes a project's default one
            api.ok("GET", "network", "/security-groups")
        self.state()  # the admin's and the services' own
        self.server = self.demo.launch(self.image, [{"uuid": self.network, "fixed_ip": "10.60.0.50"}], name="first")
        self.demo.wait(self.server, "ACTIVE")
        (port,) = self.demo.ok("GET", "network", f"/ports?device_id={self.server}")["ports"]
        self.port = port["id"]

    def _other(self) -> Api:
        make = self.admin.ok
        project = make("POST", "identity", "/projects", {"project": {"name": "other"}})["project"]["id"]
        wanted = {"user": {"name": "other", "password": PASSWORD, "domain_id": "default"}}
        user = make("POST", "identity", "/users", wanted)["user"]["id"]
        (role,) = make("GET", "identity", "/roles?name=member")["roles"]
        make("PUT", "identity", f"/projects/{project}/users/{user}/roles/{role['id']}")
        return self.cloud.api("other")

    def state(self) -> dict[str, Any]:
        """All that a refused request might have changed."""
        lists = (
            ("compute", "/servers/detail?all_tenants=1", "servers"), ("compute", "/flavors", "flavors"),
            ("network", "/networks", "networks"), ("network", "/subnets", "subnets"), ("network", "/ports", "ports"),
            ("network", "/security-groups", "security_groups"), ("image", "/images", "images"),
            ("identity", "/users", "users"), ("identity", "/projects", "projects"),
        )  # fmt: skip
        seen: dict[str, Any] = {key: self.admin.ok("GET", service, path)[key] for service, path, key in lists}
        for name, api in (("demo", self.demo), ("other", self.other)):
            seen[f"{name}'s key pairs"] = api.ok("GET", "compute", "/os-keypairs")["keypairs"]
            seen[f"{name}'s limits"] = api.ok("GET", "compute", "/limits")["limits"]["absolute"]
        seen["counted"] = self.admin.ok("GET", "ops", "/verify")["counted"]
        seen["files"] = self.files()
        return seen

    def files(self) -> set[str]:
        """Everything under the state directory but what SQLite keeps beside its files."""
        found = (path.relative_to(self.cloud.state) for path in self.cloud.state.rglob("*"))
        return {str(path) for path in found if not path.name.endswith(("-wal", "-shm", "-journal"))}

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        before = self.state()
        yield
        after = self.state()
        for what, old in before.items():
            assert after[what] == old, f"{what} changed"

    def body(self, **fields: Any) -> dict[str, Any]:
        plain = {"name": "bad", "imageRef": self.image, "flavorRef": self.demo.flavor_id(), "networks": "none"}
        return {"server": plain | fields}

    def refused(self, words: str, status: int = 400, **fields: Any) -> None:
        """Launching with these fields is refused in these words."""
        with self.unchanged():
            answer = self.demo("POST", "compute", "/servers", self.body(**fields))
            assert (answer.status_code, words in message(answer)) == (status, True), answer.text


def message(answer: httpx.Response) -> str:
    """The text of an error in any service's format."""
    body = answer.json()
    inner = body if "message" in body else next(iter(body.values()))
    return str(inner["message"])


@pytest.fixture(scope="module")
def scene(cloud: CloudProcess) -> Scene:
    return Scene(cloud)


# callers


@pytest.mark.parametrize("token", [None, "", "gAAAAABnonsense", "x" * 5000, "ünïcode".encode()])
def test_without_a_token_that_counts(scene: Scene, token: str | bytes | None) -> None:
    paths = {"compute": "/servers", "network": "/ports", "image": "/images", "identity": "/users", "ops": "/verify"}
    headers: Any = {} if token is None else {"X-Auth-Token": token}
    with scene.unchanged():
        for service, path in paths.items():
            url = scene.demo.urls[service] + path
            assert httpx.get(url, headers=headers, trust_env=False).status_code == 401, service
            if service in CREATE:
                body = scene.body() if service == "compute" else {"name": "bad"}
                assert httpx.post(url, headers=headers, json=body, trust_env=False).status_code == 401, service


def test_identity_headers_from_outside_mean_nothing(scene: Scene) -> None:
    forged = {
        "X-User-Id": "admin", "X-Project-Id": scene.demo.project_id, "X-Roles": "admin,service",
        "X-Identity-Status": "Confirmed", "X-Service-Token": "x", "X-Is-Admin": "True",
    }  # fmt: skip
    url = f"{scene.cloud.url}/compute/v2.1/servers"
    assert httpx.get(url, headers=forged, trust_env=False).status_code == 401
    answer = scene.other("GET", "compute", "/servers?all_tenants=1", headers=forged)
    assert answer.status_code == 403, answer.text


def test_an_expired_token(scratch_cloud: CloudProcess) -> None:
    scratch_cloud.start(KILONOVA_IDENTITY_TOKEN_TTL="4")
    api = scratch_cloud.api("demo")
    assert api("GET", "compute", "/servers").status_code == 200
    eventually(lambda: api("GET", "compute", "/servers").status_code == 401, "the token does not expire")
    for service, path in (("compute", "/servers"), ("network", "/ports"), ("image", "/images")):
        assert api("GET", service, path).status_code == 401, service
    image, network = {"name": "late"}, {"network": {"name": "late"}}
    assert api("POST", "image", "/images", image).status_code == 401
    assert api("POST", "network", "/networks", network).status_code == 401

    def fresh() -> Api:
        api.token = api.login()
        return api

    assert fresh().ok("GET", "image", "/images")["images"] == []
    # the components' own tokens live as briefly, and are renewed
    image_id, network_id = fresh().image("fresh"), fresh().network()
    server = fresh().launch(image_id, [{"uuid": network_id}])
    eventually(lambda: fresh().server(server), satisfies=lambda found: found["status"] == "ACTIVE")


def test_what_belongs_to_another_project_is_not_there(scene: Scene) -> None:
    server, action = f"/servers/{scene.server}", {"os-stop": None}
    image, patch = f"/images/{scene.image}", [{"op": "replace", "path": "/name", "value": "x"}]
    json_patch = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    tries: list[tuple[str, str, str, Any]] = [
        ("GET", "compute", server, None), ("PUT", "compute", server, {"server": {"name": "x"}}),
        ("DELETE", "compute", server, None), ("POST", "compute", f"{server}/action", action),
        ("POST", "compute", f"{server}/action", {"os-getConsoleOutput": {}}),
        ("GET", "compute", f"{server}/os-interface", None), ("GET", "compute", f"{server}/os-instance-actions", None),
        ("POST", "compute", f"{server}/metadata", {"metadata": {"a": "b"}}),
        ("PUT", "compute", f"{server}/tags", {"tags": ["a"]}),
        ("GET", "network", f"/ports/{scene.port}", None), ("DELETE", "network", f"/ports/{scene.port}", None),
        ("PUT", "network", f"/ports/{scene.port}", {"port": {"name": "x"}}),
        ("GET", "network", f"/networks/{scene.network}", None), ("DELETE", "network", f"/networks/{scene.network}", None),
        ("GET", "image", image, None), ("DELETE", "image", image, None), ("GET", "image", f"{image}/file", None),
        ("GET", "compute", "/os-keypairs/mine", None), ("DELETE", "compute", "/os-keypairs/mine", None),
    ]  # fmt: skip
    with scene.unchanged():
        for method, service, path, body in tries:
            answer = scene.other(method, service, path, body)
            assert answer.status_code == 404, f"{method} {path}: {answer.status_code} {answer.text}"
        answer = scene.other("PATCH", "image", image, content=json.dumps(patch).encode(), headers=json_patch)
        assert answer.status_code == 404
        for path in ("compute:/servers", "network:/ports", "network:/networks", "image:/images"):
            service, path = path.split(":")
            found = next(value for key, value in scene.other.ok("GET", service, path).items() if key == path[1:])
            assert found == [], path


def test_foreign_things_can_not_be_launched_from(scene: Scene) -> None:
    own = scene.other.image("own")
    plain = {"name": "x", "flavorRef": scene.demo.flavor_id(), "imageRef": own, "networks": "none"}
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"imageRef": scene.image}, "Can not find requested image"),
        ({"networks": [{"uuid": scene.network}]}, f"Network {scene.network} could not be found."),
        ({"networks": [{"port": scene.port}]}, f"Port id {scene.port} could not be found."),
        ({"key_name": "mine"}, "Invalid key_name provided."),
    ]
    with scene.unchanged():
        for fields, words in wrong:
            answer = scene.other("POST", "compute", "/servers", {"server": plain | fields})
            assert (answer.status_code, message(answer)) == (400, words)


# what a launch names


def test_unknown_things(scene: Scene) -> None:
    scene.refused("Can not find requested image", imageRef=NOBODY)
    scene.refused("Flavor nope could not be found.", flavorRef="nope")
    scene.refused("Flavor secrets.json could not be found", flavorRef="../../secrets.json")
    scene.refused(f"Network {NOBODY} could not be found.", networks=[{"uuid": NOBODY}])
    scene.refused(f"Port id {NOBODY} could not be found.", networks=[{"port": NOBODY}])
    scene.refused("Invalid key_name provided.", key_name="nope")
    scene.refused("Security group nope not found", security_groups=[{"name": "nope"}])
    scene.refused("availability zone", availability_zone="nowhere")


def test_an_image_that_has_no_data_yet(scene: Scene) -> None:
    body = {"name": "queued", "disk_format": "raw", "container_format": "bare"}
    image = scene.demo.ok("POST", "image", "/images", body)["id"]
    scene.refused(f"Image {image} is not active.", imageRef=image)


def test_a_flavor_too_small_for_the_image(scene: Scene) -> None:
    disk, memory = scene.demo.image("disk", min_disk=2), scene.demo.image("ram", min_ram=600)
    scene.refused("disk is smaller than the minimum", imageRef=disk)
    scene.refused("memory is too small", imageRef=memory)
    scene.refused("zero disk", 403, flavorRef=flavor(scene, "zero", disk=0))


def flavor(scene: Scene, name: str, *, disk: int) -> str:
    wanted = {"flavor": {"name": name, "vcpus": 1, "ram": 64, "disk": disk}}
    return str(scene.admin.ok("POST", "compute", "/flavors", wanted)["flavor"]["id"])


def test_no_host_fits(scene: Scene) -> None:
    wanted = flavor(scene, "giant", disk=100_000)
    server = scene.demo.launch(scene.image, [{"uuid": scene.network}], name="giant", flavorRef=wanted)
    found = scene.demo.wait(server, "ERROR")
    assert found["fault"]["code"] == 500
    assert found["fault"]["message"] == "No valid host was found. 2 hosts: DiskFilter removed 2."
    assert "details" not in found["fault"]  # hosts are for administrators
    assert scene.admin.server(server)["fault"]["details"].count("DiskFilter: ") == 2
    explained = kilonova("explain", "--state", str(scene.cloud.state), server)
    assert explained.returncode == 0, explained.stderr
    assert "no host" in explained.stdout
    assert "DiskFilter" in explained.stdout
    decisions = json.loads(kilonova("explain", "--state", str(scene.cloud.state), "-f", "json", server).stdout)
    (item,) = decisions["decisions"]
    filters = {f["filter"]: (f["before"], f["after"]) for f in item["decision"]["filters"]}
    assert filters["DiskFilter"] == (2, 0)
    assert scene.demo.ok("GET", "network", f"/ports?device_id={server}")["ports"] == []
    scene.demo.ok("DELETE", "compute", f"/servers/{server}")
    scene.demo.wait_gone(server)
    assert scene.cloud.verify() == []


def kilonova(*words: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"COLUMNS": "200", "NO_COLOR": "1"}
    command = [str(Path(sys.executable).parent / "kilonova"), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=env, check=False)


def test_more_than_the_quota(scene: Scene) -> None:
    scene.refused("Quota exceeded for instances: Requested 10, but already used 1 of 10", 403, min_count=10)
    scene.refused("at most 1000 servers", 400, min_count=1001)
    # of a range, as many as fit: nine more
    many = scene.body(name="some", min_count=1, max_count=50)
    scene.demo.ok("POST", "compute", "/servers", many)
    servers = [s["id"] for s in scene.demo.ok("GET", "compute", "/servers?name=some")["servers"]]
    assert len(servers) == 9
    for server in servers:
        scene.demo.wait(server, "ACTIVE")
    scene.refused("already used 10 of 10", 403)
    for server in servers:
        scene.demo.ok("DELETE", "compute", f"/servers/{server}")
    for server in servers:
        scene.demo.wait_gone(server)


# how it is written


def wrong_bodies(kind: str | None) -> list[bytes]:
    deep = b"[" * 100_000
    bodies = [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe\x00", deep, b'{"server": 5, "network": 5, "name": 5}']
    if kind is not None:
        bodies += [b"{}", b'{"a": 1}', *(f'{{"{kind}": {inner}}}'.encode() for inner in ("null", "[]", '"x"', "1e400"))]
        bodies += [json.dumps({kind: {"nonsense": 1}}).encode(), json.dumps({kind: {}, "more": {}}).encode()]
    return bodies


@pytest.mark.parametrize("service", KINDS)
def test_malformed_bodies(scene: Scene, service: str) -> None:
    headers = {"Content-Type": "application/json"}
    bodies = wrong_bodies(KINDS[service])
    if service == "network":
        bodies.remove(json.dumps({"network": {}, "more": {}}).encode())  # upstream's looks at its own key alone
    with scene.unchanged():
        for content in bodies:
            answer = scene.demo("POST", service, CREATE[service], content=content, headers=headers)
            assert answer.status_code == 400, f"{content[:60]!r}: {answer.status_code} {answer.text[:200]}"
            assert message(answer)
        huge = b'{"name": "' + b"x" * (16 << 20) + b'"}'
        answer = scene.demo("POST", service, CREATE[service], content=huge, headers=headers)
        assert answer.status_code == 413


@pytest.mark.parametrize(
    "fields",
    [
        {"name": 5}, {"name": None}, {"name": ""}, {"name": "x" * 256}, {"name": ["x"]}, {"imageRef": "../x"},
        {"imageRef": 7}, {"flavorRef": {}}, {"flavorRef": -1}, {"networks": "all"}, {"networks": {}},
        {"networks": [{"uuid": "x"}]}, {"networks": [{}]}, {"networks": [{"uuid": NOBODY, "mac": "x"}]},
        {"networks": [{"uuid": NOBODY, "fixed_ip": "10.0.0.300"}]}, {"metadata": []}, {"metadata": {"a": 1}},
        {"metadata": {"a/b": "x"}}, {"metadata": {"a": "x" * 256}}, {"metadata": {"a": "\0"}}, {"tags": "x"},
        {"tags": ["a,b"]}, {"tags": ["a\0"]}, {"tags": ["x" * 61]}, {"min_count": 0}, {"min_count": "two"},
        {"min_count": 3, "max_count": 2}, {"min_count": 1.5}, {"config_drive": "perhaps"}, {"user_data": "not base64!"},
        {"user_data": "A" * 65536}, {"accessIPv4": "1::2"}, {"security_groups": "default"}, {"nonsense": True},
        {"availability_zone": "a:b:c:d"}, {"adminPass": 5}, {"personality": []}, {"description": "\x07"},
    ],
)  # fmt: skip
def test_fields_that_do_not_fit(scene: Scene, fields: dict[str, Any]) -> None:
    before = len(scene.demo.ok("GET", "compute", "/servers")["servers"])
    answer = scene.demo("POST", "compute", "/servers", scene.body(**fields))
    assert answer.status_code == 400, answer.text
    assert message(answer)
    assert len(scene.demo.ok("GET", "compute", "/servers")["servers"]) == before


def test_queries_that_do_not_fit(scene: Scene) -> None:
    for service, path in (
        ("compute", "/servers?limit=-1"), ("compute", "/servers?limit=x"), ("compute", f"/servers?marker={NOBODY}"),
        ("compute", "/servers?name=((a%2B)%2B"), ("compute", "/servers?changes-since=yesterday"),
        ("network", "/ports?limit=x"), ("network", "/ports?nonsense=1"), ("image", "/images?limit=-1"),
        ("image", f"/images?marker={NOBODY}"), ("image", "/images?sort_key=nonsense"),
    ):  # fmt: skip
        answer = scene.demo("GET", service, path)
        assert 400 <= answer.status_code < 500, f"{path}: {answer.status_code}"
    for service, path in (
        ("compute", "/servers/..%2F..%2Fsecrets.json"), ("image", "/images/..%2F..%2Fsecrets.json/file"),
        ("network", "/networks/%00"), ("compute", "/servers/%27%20OR%201=1"), ("compute", "/os-keypairs/%00"),
        ("image", "/images/%2e%2e%2f%2e%2e"), ("compute", "/flavors/%ff"),
    ):  # fmt: skip
        answer = scene.demo("GET", service, path)
        assert answer.status_code in (400, 404), f"{path}: {answer.status_code}"
        assert PASSWORD not in answer.text


# hostile names

VERBATIM = [
    "Ünïcødé ☃ 名前 😀",
    "../../../etc/passwd",
    "<script>alert(1)</script>",
    "%s%n{0}$(id)`id`",
    "'; DROP TABLE x; --",
]
CONTROL = ["a\0b", "a\nb", "a\x1b[31mb", "a\x7fb"]


@pytest.mark.parametrize("name", VERBATIM)
def test_odd_names_are_kept_as_they_are(scene: Scene, name: str) -> None:
    demo, files = scene.demo, scene.files()
    server = demo.launch(scene.image, [{"uuid": scene.network}], name=name, metadata={"odd": name})
    network = demo.ok("POST", "network", "/networks", {"network": {"name": name, "description": name}})["network"]
    image = demo.ok("POST", "image", "/images", {"name": name, "odd": name})
    found = demo.wait(server, "ACTIVE")
    assert (found["name"], found["metadata"]["odd"]) == (name, name)
    assert (network["name"], network["description"]) == (name, name)
    assert (image["name"], image["odd"]) == (name, name)
    hostname = scene.admin.server(server)["OS-EXT-SRV-ATTR:hostname"]
    assert hostname.isascii()
    assert not set(hostname) & set("/.<>$`'; \n")
    pair = demo("POST", "compute", "/os-keypairs", {"keypair": {"name": name, "public_key": KEY}})
    assert pair.status_code == 400
    for service, path in (
        ("compute", f"/servers/{server}"), ("network", f"/networks/{network['id']}"), ("image", f"/images/{image['id']}"),
    ):  # fmt: skip
        demo.ok("DELETE", service, path)
    demo.wait_gone(server)
    assert scene.files() == files


@pytest.mark.parametrize("name", CONTROL)
def test_control_characters_are_refused(scene: Scene, name: str) -> None:
    tries: list[tuple[str, str, Any]] = [
        ("compute", "/servers", scene.body(name=name)), ("network", "/networks", {"network": {"name": name}}),
        ("network", "/security-groups", {"security_group": {"name": name}}), ("image", "/images", {"name": name}),
        ("compute", "/os-keypairs", {"keypair": {"name": name, "public_key": KEY}}),
        ("compute", "/os-server-groups", {"server_group": {"name": name, "policy": "affinity"}}),
    ]  # fmt: skip
    with scene.unchanged():
        for service, path, body in tries:
            answer = scene.demo("POST", service, path, body)
            assert answer.status_code == 400, f"{path}: {answer.text}"


@pytest.mark.parametrize("text", ["", "x", "ssh-rsa", "ssh-rsa AAAA", KEY + "\nssh-rsa AAAA", "-----BEGIN", KEY[:-20]])
def test_public_keys_that_are_none(scene: Scene, text: str) -> None:
    answer = scene.demo("POST", "compute", "/os-keypairs", {"keypair": {"name": "odd", "public_key": text}})
    assert answer.status_code == 400, answer.text
    names = [k["keypair"]["name"] for k in scene.demo.ok("GET", "compute", "/os-keypairs")["keypairs"]]
    assert names == ["mine"]


# addresses


def test_an_address_that_is_taken(scene: Scene) -> None:
    words = f"Fixed IP address 10.60.0.50 is already in use on instance {scene.server}."
    scene.refused(words, networks=[{"uuid": scene.network, "fixed_ip": "10.60.0.50"}])
    scene.refused("is still in use", 409, networks=[{"port": scene.port}])


def test_two_ask_for_one_address_at_once(scene: Scene) -> None:
    """The second of two is refused, or ends in ERROR with the reason; no port, claim or guest stays."""
    demo, wanted = scene.demo, [{"uuid": scene.network, "fixed_ip": "10.60.0.77"}]
    body = {"server": scene.body()["server"] | {"networks": wanted}}
    names = [f"race-{uuid.uuid4().hex[:4]}" for _ in range(2)]
    answers = []
    for name in names:
        body["server"]["name"] = name
        answers.append(demo("POST", "compute", "/servers", body))
    ids = [answer.json()["server"]["id"] for answer in answers if answer.status_code == 202]
    ended = [demo.wait(server, "ACTIVE", "ERROR") for server in ids]
    assert [server["status"] for server in ended].count("ACTIVE") == 1
    for server in ended:
        if server["status"] == "ERROR":
            assert "10.60.0.77" in server["fault"]["message"]
            assert demo.ok("GET", "network", f"/ports?device_id={server['id']}")["ports"] == []
    for server in ids:
        demo.ok("DELETE", "compute", f"/servers/{server}")
        demo.wait_gone(server)


def test_an_address_outside_the_network(scene: Scene) -> None:
    demo = scene.demo
    answer = demo(
        "POST", "compute", "/servers", scene.body(networks=[{"uuid": scene.network, "fixed_ip": "10.99.0.3"}])
    )
    if answer.status_code == 202:
        server = answer.json()["server"]["id"]
        fault = demo.wait(server, "ERROR")["fault"]["message"]
        assert "networking: IP address 10.99.0.3 is not a valid IP" in fault
        demo.ok("DELETE", "compute", f"/servers/{server}")
        demo.wait_gone(server)
    else:
        assert answer.status_code == 400


def test_nothing_is_left_of_all_that(scene: Scene) -> None:
    assert scene.cloud.verify() == []
    assert [s["id"] for s in scene.admin.ok("GET", "compute", "/servers?all_tenants=1")["servers"]] == [scene.server]
    odd = {path for path in scene.files() if not path.isascii() or any(c in path for c in "<>$'; ")}
    assert odd == set()
    log = scene.cloud.log.read_text(errors="replace")
    assert "request failed" not in log
    assert PASSWORD not in log

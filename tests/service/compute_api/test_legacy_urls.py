"""The URLs of older clients: /v2, /v1.1 and a project's id after the version, and the login by headers at the compute URL."""

from __future__ import annotations

import uuid

import pytest

from tests.service.compute_api.support import IMAGE, NETWORK, version
from tests.service.compute_api.test_routes import BODIES, at, every_route, filled
from tests.support import BASE, OTHER_PROJECT, PROJECT

PREFIXES = ("/v2", "/v1.1", f"/v2/{PROJECT}", f"/v1.1/{PROJECT}", f"/v2.1/{PROJECT}")
LEGACY = PREFIXES[:-1]


@pytest.fixture
def table(tmp_path):
    return [route for route in every_route(tmp_path / "other") if not route.public]


def under(prefix, route):
    """The route's version there; None where it does not exist, as its microversion can't be asked for."""
    if prefix in LEGACY:
        return None if route.since else "2.1"
    return at(route)


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_no_route_answers_without_a_token(cloud, table, prefix):
    for token in (None, "expired-or-made-up"):
        for route in table:
            there = under(prefix, route)
            path = filled(route.path, str(uuid.uuid4())).replace("/v2.1", prefix, 1)
            asked = version(there or at(route))
            answer = await cloud.client(route.method, f"/compute{path}", token=token, headers=asked, json={})
            assert answer.status == (401 if there else 404), (route.method, path, answer.content)


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_the_same_callers_may_do_the_same(cloud, table, prefix):
    """Every route, asked by each kind of caller, allows or forbids what it does under /v2.1."""
    server_id = await cloud.active(tags=["t"], metadata={"x": "y"})
    for route in table:
        there = under(prefix, route)
        if there is None:
            continue
        path = filled(route.path, server_id)
        body = BODIES.get(f"{route.method} {path.rsplit(server_id, 1)[-1] or '/servers'}", {})
        for token in ("reader", "foreign", "member"):
            if token == "member" and (route.method != "GET" or "remote-console" in path):
                continue  # would change what the next one sees
            answers = []
            for place in ("/v2.1", prefix.replace(PROJECT, OTHER_PROJECT) if token == "foreign" else prefix):
                url = "/compute" + path.replace("/v2.1", place, 1)
                answer = await cloud.client(route.method, url, token=token, headers=version(there), json=body)
                answers.append(answer.status)
            assert answers[0] == answers[1], (token, route.method, path, answers)
    shown = await cloud("GET", f"/servers/{server_id}")
    assert (shown.json["server"]["name"], shown.json["server"]["metadata"]) == ("vm", {"x": "y"})


@pytest.mark.parametrize("start", ["/v2", "/v1.1", "/v2.1"])
@pytest.mark.parametrize("token", ["member", "foreign", "admin"])
async def test_a_url_of_another_project_is_refused(cloud, start, token):
    server_id = await cloud.active()
    mine = {"member": PROJECT, "foreign": OTHER_PROJECT, "admin": "0" * 32}
    for named in (*mine.values(), "nobody"):
        for method, tail, body in (
            ("GET", "/servers", None), ("GET", f"/servers/{server_id}", None), ("DELETE", f"/servers/{server_id}", None),
            ("POST", f"/servers/{server_id}/action", {"os-stop": None}),
            ("POST", "/os-keypairs", {"keypair": {"name": f"k{named}"}}),
        ):  # fmt: skip
            if named == mine[token]:
                continue
            answer = await cloud.client(method, f"/compute{start}/{named}{tail}", token=token, json=body)
            assert answer.status == 400, (named, method, tail)
            assert answer.json["badRequest"]["message"] == (
                f"Malformed request URL: URL's project_id '{named}' doesn't match Context's project_id '{mine[token]}'"
            )
    assert (await cloud("GET", f"/servers/{server_id}")).json["server"]["status"] == "ACTIVE"
    assert (await cloud("GET", "/os-keypairs")).json["keypairs"] == []


@pytest.mark.parametrize("prefix", LEGACY)
async def test_the_legacy_versions_know_no_microversions(cloud, prefix):
    server_id = await cloud.active()
    for asked in ({}, version("2.104"), version("latest"), version("9.9"), {"X-OpenStack-Nova-API-Version": "two"}):
        answer = await cloud.client("GET", f"/compute{prefix}/servers/{server_id}", token="member", headers=asked)
        assert answer.status == 200, (asked, answer.content)
        assert "description" not in answer.json["server"]  # of 2.19
        assert not {"openstack-api-version", "x-openstack-nova-api-version", "vary"} & answer.headers.keys()
    newer = await cloud.client(
        "GET", f"/compute/v2.1/{PROJECT}/servers/{server_id}", token="member", headers=version("2.19")
    )
    assert ("description" in newer.json["server"], newer.headers["openstack-api-version"]) == (True, "compute 2.19")


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_unknown_fields(cloud, prefix):
    """The legacy versions pass over them at any depth, v2.1 refuses them; what is known is checked in both."""
    server = {
        "name": "vm",
        "imageRef": IMAGE,
        "flavorRef": "42",
        "networks": [{"uuid": NETWORK, "colour": 1}],
        "minimal": 1,
    }
    answer = await cloud.client(
        "POST", f"/compute{prefix}/servers", token="member", json={"server": server, "description": "new"}
    )
    assert answer.status == (202 if prefix in LEGACY else 400), answer.content
    wrong = {"server": server | {"name": 3}}
    assert (await cloud.client("POST", f"/compute{prefix}/servers", token="member", json=wrong)).status == 400
    server_id = await cloud.active()
    reboot = {"reboot": {"type": "SOFT", "politely": True}}
    answer = await cloud.client("POST", f"/compute{prefix}/servers/{server_id}/action", token="member", json=reboot)
    assert answer.status == (202 if prefix in LEGACY else 400), answer.content


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_links_lead_back(cloud, prefix):
    bookmark = f"{BASE}/compute" + (f"/{PROJECT}" if PROJECT in prefix else "")
    url = f"{BASE}/compute{prefix}"
    body = {"server": {"name": "vm", "imageRef": IMAGE, "flavorRef": "42"}}
    made = await cloud.client("POST", f"/compute{prefix}/servers", token="member", json=body)
    server_id = made.json["server"]["id"]
    assert made.headers["location"] == f"{url}/servers/{server_id}"
    links = {link["rel"]: link["href"] for link in made.json["server"]["links"]}
    assert links == {"self": f"{url}/servers/{server_id}", "bookmark": f"{bookmark}/servers/{server_id}"}
    await cloud.client("POST", f"/compute{prefix}/servers", token="member", json=body)
    for place in (prefix, "/v2.1", prefix):  # what is remembered of a view is that URL's
        page = await cloud.client("GET", f"/compute{place}/servers/detail?limit=1", token="member")
        (server,) = page.json["servers"]
        assert server["links"][0]["href"] == f"{BASE}/compute{place}/servers/{server['id']}"
        (more,) = page.json["servers_links"]
        assert more["href"].startswith(f"{BASE}/compute{place}/servers/detail?")
        followed = await cloud.client("GET", more["href"].removeprefix(BASE), token="member")
        assert (followed.status, len(followed.json["servers"])) == (200, 1)
        assert (await cloud.client("GET", links["self"].removeprefix(BASE), token="member")).status == 200
    flavor = (await cloud.client("GET", f"/compute{prefix}/flavors/42", token="member")).json["flavor"]
    assert {link["href"] for link in flavor["links"]} == {f"{url}/flavors/42", f"{bookmark}/flavors/42"}


async def test_what_only_looks_like_such_a_url(cloud):
    for path in (
        "/v2/nothing", "/v3/servers", "/v2.1/nothing/here", f"/v2/{PROJECT}", f"/v1.1/{PROJECT}/{PROJECT}/servers",
        f"/v2/{PROJECT[:-1]}%31/servers", "/v2.1/%2e%2e/servers", "/v2/x%2Fy/servers", f"/v1.0/{PROJECT}/servers",
    ):  # fmt: skip
        answer = await cloud.client("GET", f"/compute{path}", token="member")
        assert answer.status in (400, 404), (path, answer.status)
    assert (await cloud.client("GET", f"/compute/v2/{PROJECT}/os-keypairs", token="member")).status == 200


async def test_the_documents_of_the_versions(cloud):
    listed = (await cloud.client("GET", "/compute/", token=None)).json["versions"]
    assert [(v["id"], v["status"], v["links"][0]["href"]) for v in listed] == [
        ("v2.0", "SUPPORTED", f"{BASE}/compute/v2/"), ("v2.1", "CURRENT", f"{BASE}/compute/v2.1/")
    ]  # fmt: skip
    for v in listed:
        for end in ("", "/"):
            path = v["links"][0]["href"].removeprefix(BASE).rstrip("/") + end
            shown = (await cloud.client("GET", path, token=None)).json["version"]
            assert (shown["id"], shown["version"], shown["min_version"]) == (v["id"], v["version"], v["min_version"])


async def test_the_first_clients_launch_a_server(cloud):
    """Their headers, body and URL, also at the root of the compute service's own port. The token comes as the key."""
    cloud.client.transport.app.mount("/compute", cloud.service.app, cloud.service.roots)
    body = {
        "server": {
            "name": "old", "imageRef": IMAGE, "flavorRef": f"{BASE}/v1.1/flavors/42", "metadata": {"a": "b"},
            "personality": [], "min_count": 1, "max_count": 1, "blob": None,
        }
    }  # fmt: skip
    headers = {"X-Auth-Project-Id": "demo", "accept": "application/json", "user-agent": "python-novaclient"}
    for start in ("/compute", ""):
        for token in (
            {"X-Auth-Key": "member"},
            {"X-Auth-Token": "member"},
            {"X-Auth-Token": "member", "X-Auth-Key": "x"},
        ):
            path = f"{start}/v1.1/{PROJECT}/servers"
            made = await cloud.client("POST", path, token=None, json=body, headers=headers | token)
            assert made.status == 202, made.content
            href = made.json["server"]["links"][0]["href"]
            shown = await cloud.client("GET", href.removeprefix(BASE), token=None, headers=headers | token)
            assert (shown.status, shown.json["server"]["name"]) == (200, "old")
        assert (await cloud.client("GET", f"{start}/v1.1/{PROJECT}/servers", token=None, headers=headers)).status == 401
    key = {"X-Auth-Key": "member"}
    assert (await cloud.client("GET", "/compute/v2.1/servers", token=None, headers=key)).status == 401

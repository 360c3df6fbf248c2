"""Tokens that are for no project: a domain's, the system's, nothing's. What needs a project is refused, and never owns what has
none."""

from __future__ import annotations

from typing import Any

import pytest

from tests.process.cloud.harness import DOMAIN, PASSWORD, Api, CloudProcess

NOWHERE = "0" * 32
SCOPES: dict[str, Any] = {
    "domain": {"domain": {"id": "default"}},
    "system": {"system": {"all": True}},
    "unscoped": "unscoped",
}
SERVER = {"name": "x", "flavorRef": "1", "networks": "none", "imageRef": "70a599e0-31e7-49b7-b260-868f441e862b"}
MADE: list[tuple[str, str, Any]] = [
    ("compute", "/servers", {"server": SERVER}),
    ("compute", "/os-server-groups", {"server_group": {"name": "x", "policy": "affinity"}}),
    ("network", "/networks", {"network": {"name": "x"}}),
    ("network", "/security-groups", {"security_group": {"name": "x"}}),
    ("image", "/images", {"name": "x"}),
]
READ = [
    ("compute", "/servers"), ("compute", "/servers/detail"), ("compute", "/flavors/detail"), ("compute", "/limits"),
    ("compute", "/os-server-groups"), ("compute", "/os-simple-tenant-usage"),
    ("compute", f"/os-quota-sets/{NOWHERE}"), ("compute", "/os-quota-sets/None"), ("compute", "/os-simple-tenant-usage/None"),
    ("network", "/networks"), ("network", "/ports"), ("network", "/subnets"), ("network", "/security-groups"),
    ("network", f"/quotas/{NOWHERE}"), ("network", "/quotas/None"), ("image", "/images"),
    ("placement", f"/usages?project_id={NOWHERE}"), ("placement", "/usages?project_id=None"),
]  # fmt: skip


@pytest.fixture(scope="module")
def admin(cloud: CloudProcess) -> Api:
    """Of a cloud in which demo's project has things and the user `scoped` is a member of the domain and the system."""
    api, demo = cloud.api(), cloud.api("demo")
    demo.ok("POST", "network", "/networks", {"network": {"name": "private"}})
    user = api.ok("POST", "identity", "/users", {"user": {"name": "scoped", "password": PASSWORD}})["user"]["id"]
    member = api.ok("GET", "identity", "/roles?name=member")["roles"][0]["id"]
    for target in ("domains/default", "system"):
        api.ok("PUT", "identity", f"/{target}/users/{user}/roles/{member}")
    return api


def scoped(admin: Api, user: str, scope: Any) -> Api:
    """`user`'s requests with a token of that scope."""
    api = Api.__new__(Api)
    api.user, api.version, api.http, api.urls = user, admin.version, admin.http, admin.urls
    password = {"user": {"name": user, "domain": DOMAIN, "password": PASSWORD}}
    auth = {"identity": {"methods": ["password"], "password": password}, "scope": scope}
    answer = admin.http.post(f"{admin.urls['identity']}/auth/tokens", json={"auth": auth})
    assert answer.status_code == 201, answer.text
    api.token = answer.headers["x-subject-token"]
    return api


@pytest.mark.parametrize("scope", SCOPES)
def test_a_member_without_a_project_makes_nothing(admin: Api, scope: str) -> None:
    api = scoped(admin, "scoped", SCOPES[scope])
    for service, path, body in MADE:
        answer = api("POST", service, path, body)
        right = (400, 403) if service == "network" else (403,)  # which has policies that need the project first
        assert answer.status_code in right, (service, path, answer.text)


@pytest.mark.parametrize("scope", SCOPES)
def test_a_member_without_a_project_sees_nothing_of_others(admin: Api, scope: str) -> None:
    api = scoped(admin, "scoped", SCOPES[scope])
    for service, path in READ:
        answer = api("GET", service, path)
        assert answer.status_code < 500, (service, path, answer.text)
        assert "private" not in answer.text, (service, path)
        if path.endswith(("None", NOWHERE)):
            assert answer.status_code in (400, 403, 404), (service, path, answer.text)


@pytest.mark.parametrize("scope", ["domain", "system"])
def test_an_admin_without_a_project_gets_an_error_that_names_it(admin: Api, scope: str) -> None:
    api = scoped(admin, "admin", SCOPES[scope])
    for service, path, body in MADE:
        answer = api("POST", service, path, body)
        right = {"compute": 403, "network": 400, "image": 201}[service]  # an image need not have an owner
        assert answer.status_code == right, (service, path, answer.status_code, answer.text)
    for service, path in READ:
        answer = api("GET", service, path)
        assert answer.status_code < 500, (service, path, answer.status_code, answer.text)

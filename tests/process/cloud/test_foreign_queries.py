"""Lists that are asked for another project's or user's things by a parameter: what comes is one's own, or a refusal."""

from __future__ import annotations

from typing import Any

import pytest

from tests.process.cloud.harness import PASSWORD, Api, CloudProcess

LISTS: dict[str, list[str]] = {
    "compute": [
        "/servers", "/servers/detail", "/flavors", "/os-keypairs", "/os-server-groups", "/limits", "/os-migrations",
        "/os-simple-tenant-usage", "/os-simple-tenant-usage/PROJECT", "/os-quota-sets/PROJECT", "/os-quota-sets/PROJECT/detail",
        "/os-services", "/os-hypervisors", "/os-aggregates", "/os-availability-zone/detail", "/os-security-groups",
        "/servers/SERVER", "/servers/SERVER/os-instance-actions", "/servers/SERVER/os-interface", "/servers/SERVER/metadata",
        "/servers/SERVER/tags", "/servers/SERVER/ips", "/servers/SERVER/os-security-groups", "/os-server-groups/GROUP",
        "/os-keypairs/secret-key",
    ],
    "image": ["/images", "/images/IMAGE", "/images/IMAGE/members", "/images/IMAGE/file"],
    "network": [
        "/networks", "/subnets", "/ports", "/security-groups", "/security-group-rules", "/quotas", "/quotas/PROJECT",
        "/quotas/PROJECT/details", "/networks/NETWORK", "/ports/PORT", "/networks/NETWORK/tags", "/agents",
        "/network-ip-availabilities",
    ],
    "placement": ["/usages", "/resource_providers", "/allocations/SERVER", "/provider_summaries"],
    "identity": [
        "/projects", "/users", "/users/USER", "/users/USER/projects", "/credentials", "/role_assignments", "/projects/PROJECT",
        "/users/USER/application_credentials", "/users/USER/credentials/OS-EC2",
    ],
    "ops": ["/verify"],
}  # fmt: skip
ASKED = [
    "", "project_id=PROJECT", "tenant_id=PROJECT", "user_id=USER", "owner=PROJECT", "project_id=PROJECT&user_id=USER",
    "all_tenants=1", "all_tenants=1&project_id=PROJECT", "all_projects=1", "all_projects=1&project_id=PROJECT",
    "visibility=all", "visibility=shared&member_status=all", "owner=PROJECT&visibility=private", "device_id=SERVER",
    "shared=true", "id=IMAGE", "host=h-1", "detailed=1", "scope.project.id=PROJECT", "user.id=USER", "is_public=None",
    "network_id=NETWORK", "tenant_id=PROJECT&fields=id",
]  # fmt: skip


class Scene:
    """One project with one of everything, a stranger in another project, and what may never be shown to the stranger."""

    def __init__(self, cloud: CloudProcess) -> None:
        self.admin, self.mine = cloud.api(), cloud.api("demo")
        project = self.admin.ok("POST", "identity", "/projects", {"project": {"name": "elsewhere"}})["project"]["id"]
        user = {"name": "elsewhere", "password": PASSWORD}
        user_id = self.admin.ok("POST", "identity", "/users", {"user": user})["user"]["id"]
        for role in self.admin.ok("GET", "identity", "/roles")["roles"]:
            if role["name"] in ("member", "reader"):
                self.admin.ok("PUT", "identity", f"/projects/{project}/users/{user_id}/roles/{role['id']}")
        self.stranger = cloud.api("elsewhere")
        self.names = self.fill()

    def fill(self) -> dict[str, str]:
        mine = self.mine
        image, network = mine.image("secret-image"), mine.network("secret-network", "10.92.0.0/24")
        mine.ok("POST", "compute", "/os-keypairs", {"keypair": {"name": "secret-key", "public_key": KEY}})
        group = mine.ok(
            "POST", "compute", "/os-server-groups", {"server_group": {"name": "secret-group", "policy": "affinity"}}
        )
        server = mine.launch(image, [{"uuid": network}], name="secret-server", metadata={"secret-word": "x"})
        mine.wait(server, "ACTIVE")
        (port,) = mine.ok("GET", "network", f"/ports?device_id={server}")["ports"]
        me = mine.ok("GET", "compute", f"/servers/{server}")["server"]["user_id"]
        return {
            "PROJECT": str(mine.project_id), "USER": me, "SERVER": server, "IMAGE": image, "NETWORK": network,
            "PORT": port["id"], "GROUP": group["server_group"]["id"],
        }  # fmt: skip

    def named(self, text: str) -> str:
        for name, value in self.names.items():
            text = text.replace(name, value)
        return text

    def seen(self, answer: Any, asked: str) -> list[str]:
        """What of the secrets is in the answer, without what was in the question."""
        secrets = [
            *self.names.values(),
            *(f"secret-{what}" for what in ("image", "network", "key", "group", "server", "word")),
        ]
        return [secret for secret in secrets if secret in answer.text and secret not in asked]


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHDXHFMhBsWRVSO2VO6bHS9UVQXvsaT3OHBLhA8wNFCJ secret-key"


@pytest.fixture(scope="module")
def scene(cloud: CloudProcess) -> Scene:
    return Scene(cloud)


def read(api: Api, service: str, path: str) -> Any:
    return api("GET", service, path)


@pytest.mark.parametrize("service", LISTS)
def test_a_caller_of_another_project_sees_nothing(scene: Scene, service: str) -> None:
    for path in LISTS[service]:
        for query in ASKED:
            asked = scene.named(f"{path}?{query}" if query else path)
            answer = read(scene.stranger, service, asked)
            assert answer.status_code < 500, (asked, answer.text)
            assert scene.seen(answer, asked) == [], (asked, answer.status_code, answer.text[:500])
            if any(name in path for name in scene.names):
                assert answer.status_code in (400, 403, 404), (asked, answer.status_code, answer.text[:500])


def test_a_caller_without_rights_sees_no_numbers(scene: Scene) -> None:
    """Usage, limits and quotas have no names that a search would find."""
    for path, refusals in (
        ("/os-simple-tenant-usage/PROJECT", {403}), ("/os-quota-sets/PROJECT", {403}), ("/os-quota-sets/PROJECT/detail", {403}),
        ("/os-quota-sets/PROJECT?user_id=USER", {403}), ("/limits?tenant_id=PROJECT", {403}),
    ):  # fmt: skip
        assert read(scene.stranger, "compute", scene.named(path)).status_code in refusals, path
    for path in ("/usages?project_id=PROJECT", "/usages?project_id=PROJECT&user_id=USER"):
        assert read(scene.stranger, "placement", scene.named(path)).status_code == 403
    for path in ("/quotas/PROJECT", "/quotas/PROJECT/details"):
        assert read(scene.stranger, "network", scene.named(path)).status_code in (403, 404)
    own = read(scene.stranger, "compute", "/limits").json()["limits"]["absolute"]
    assert (own["totalInstancesUsed"], own["totalServerGroupsUsed"]) == (0, 0)
    usage = read(scene.stranger, "image", "/info/usage").json()["usage"]
    assert (usage["image_count_total"]["usage"], usage["image_size_total"]["usage"]) == (0, 0)


def test_the_search_finds_what_is_shown(scene: Scene) -> None:
    """The owner sees each of the secrets somewhere: the tests above look for what there is."""
    found: set[str] = set()
    for service, paths in LISTS.items():
        for path in paths:
            answer = read(scene.mine, service, scene.named(path))
            found |= set(scene.seen(answer, "")) if answer.status_code == 200 else set()
    assert {"secret-image", "secret-network", "secret-key", "secret-group", "secret-server", "secret-word"} <= found
    assert set(scene.names.values()) <= found

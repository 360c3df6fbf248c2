"""What lists of placement are limited to, and what they refuse."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kilonova.placement.app import PlacementService
from kilonova.placement.client import PlacementClient
from kilonova.placement.resources.providers.schemas import InventoryIn
from tests.support import OTHER_PROJECT, PROJECT, Client, make_core

BIG, SMALL, CHILD, LEAF = (f"{n}1111111-1111-4111-8111-111111111111" for n in range(1, 5))
NAMES = {BIG: "big", SMALL: "small", CHILD: "child", LEAF: "leaf"}
AGGREGATE = "99999999-9999-4999-8999-999999999999"


def at(version: str) -> dict[str, str]:
    return {"OpenStack-API-Version": f"placement {version}"}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """Two hosts, and a tree of three below the first one."""
    core, gateway, client = make_core(tmp_path)
    service = PlacementService(core)
    gateway.apps[service.prefix] = service.app
    await service.start()
    placement = PlacementClient(core)
    for uuid, vcpus in ((BIG, 8), (SMALL, 2)):
        await placement.ensure_provider(uuid, NAMES[uuid])
        inventories = {
            "VCPU": InventoryIn(total=vcpus),
            "MEMORY_MB": InventoryIn(total=1024, step_size=2, max_unit=512),
        }
        await placement.set_inventories(uuid, inventories)
    for uuid, parent in ((CHILD, BIG), (LEAF, CHILD)):
        body = {"uuid": uuid, "name": NAMES[uuid], "parent_provider_uuid": parent}
        assert (await client("POST", "/placement/resource_providers", json=body, headers=at("1.39"))).status == 200
    assert await placement.claim(
        "22222222-2222-4222-8222-222222222222", BIG, {"VCPU": 3}, project_id=PROJECT, user_id="u"
    )
    body = {"allocations": {SMALL: {"resources": {"VCPU": 1}}}, "project_id": PROJECT, "user_id": "v"}
    other = "33333333-3333-4333-8333-333333333333"
    assert (await client("PUT", f"/placement/allocations/{other}", json=body, headers=at("1.12"))).status == 204
    yield client
    await service.stop()


@pytest.mark.parametrize(
    ("version", "query", "names"),
    [
        ("1.0", "", "big small child leaf"),
        ("1.0", "name=big", "big"),
        ("1.0", f"uuid={SMALL.upper()}", "small"),
        ("1.0", f"uuid={SMALL}&name=big", ""),
        ("1.4", "resources=VCPU:1", "big small"),
        ("1.4", "resources=VCPU:2", "big"),  # one of two is taken
        ("1.4", "resources=VCPU:5", "big"),
        ("1.4", "resources=VCPU:6", ""),
        ("1.4", "resources=MEMORY_MB:512,VCPU:4", "big"),
        ("1.4", "resources=MEMORY_MB:511", ""),  # no multiple of the step
        ("1.4", "resources=MEMORY_MB:514", ""),  # more than one may take
        ("1.4", "resources=CUSTOM_GPU:1", ""),
        ("1.4", "resources=VCPU:99999999999999999999", ""),
        ("1.14", f"in_tree={BIG}", "big child leaf"),
        ("1.14", f"in_tree={LEAF}", "big child leaf"),
        ("1.14", f"in_tree={SMALL}", "small"),
        ("1.14", f"in_tree={AGGREGATE}", ""),
        ("1.14", f"in_tree={LEAF}&resources=VCPU:1", "big"),
        ("1.3", f"member_of={AGGREGATE}", ""),
        ("1.24", f"member_of=in:{AGGREGATE},{BIG}&member_of={AGGREGATE}", ""),
        ("1.32", f"member_of=!{AGGREGATE}", "big small child leaf"),
        ("1.32", f"member_of=!in:{AGGREGATE},{BIG}&name=big", "big"),
        ("1.18", "required=HW_CPU_X86_VMX", ""),
        ("1.22", "required=!HW_CPU_X86_VMX", "big small child leaf"),
        ("1.22", "required=HW_CPU_X86_VMX,!HW_CPU_X86_SVM", ""),
        ("1.39", "required=in:HW_CPU_X86_VMX,COMPUTE_NODE", ""),
        ("1.39", "required=!HW_CPU_X86_VMX&required=COMPUTE_NODE", ""),
    ],
)
async def test_the_list_of_providers_is_limited(client, version, query, names):
    answer = await client("GET", f"/placement/resource_providers?{query}", headers=at(version))
    assert answer.status == 200, answer.content
    assert [provider["name"] for provider in answer.json["resource_providers"]] == names.split()


@pytest.mark.parametrize(
    ("version", "query", "part"),
    [
        ("1.39", "colour=red", "'colour' was unexpected"),
        ("1.39", "colour=red&shape=2", "('colour', 'shape' were unexpected)"),
        ("1.2", f"member_of={AGGREGATE}", "'member_of' was unexpected"),
        ("1.3", "resources=VCPU:1", "'resources' was unexpected"),
        ("1.13", f"in_tree={BIG}", "'in_tree' was unexpected"),
        ("1.17", "required=COMPUTE_NODE", "'required' was unexpected"),
        ("1.39", "uuid=big", "'big' is not a 'uuid'"),
        ("1.39", "in_tree=big", "'big' is not a 'uuid'"),
        ("1.39", "resources=", "Got: empty string."),
        ("1.39", "resources=VCPU", "Got: VCPU."),
        ("1.39", "resources=VCPU:x", "expected positive integer amount. Got: x."),
        ("1.39", "resources=VCPU:%D9%A1", "expected positive integer amount"),
        ("1.39", "resources=VCPU:1:2", "expected positive integer amount"),
        ("1.39", "resources=VCPU:0", "requires amount >= 1"),
        ("1.39", "resources=VCPU:-3", "requires amount >= 1"),
        ("1.39", "resources=COLOUR:1", "No such resource class COLOUR."),
        ("1.39", "resources=" + ",".join(f"CUSTOM_{n}:1" for n in range(101)), "more than 100"),
        ("1.23", f"member_of={AGGREGATE}&member_of={BIG}", "Multiple member_of"),
        ("1.31", f"member_of=!{AGGREGATE}", "Forbidden member_of"),
        ("1.39", f"member_of={AGGREGATE},{BIG}", "must be prefixed with the 'in:'"),
        ("1.39", "member_of=in:", "valid UUID(s)"),
        ("1.39", "member_of=west", "valid UUID(s). Got: west"),
        ("1.21", "required=!COMPUTE_NODE", "HW_CPU_X86_VMX,CUSTOM_MAGIC"),
        ("1.38", "required=in:COMPUTE_NODE", "since microversion 1.39"),
        ("1.39", "required=in:!COMPUTE_NODE", "without '!'"),
        ("1.39", "required=COMPUTE_NODE,", "empty trait"),
        ("1.39", "required=", "empty trait"),
        ("1.39", "required=CUSTOM_MAGIC", "No such trait(s): CUSTOM_MAGIC."),
    ],
)
async def test_what_makes_no_sense_is_refused(client, version, query, part):
    answer = await client("GET", f"/placement/resource_providers?{query}", headers=at(version))
    assert (answer.status, part in answer.json["errors"][0]["detail"]) == (400, True), answer.content


async def test_trees(client):
    path = "/placement/resource_providers"
    shown = await client("GET", f"{path}/{LEAF}", headers=at("1.14"))
    assert (shown.json["parent_provider_uuid"], shown.json["root_provider_uuid"]) == (CHILD, BIG)

    async def move(uuid: str, parent: str | None, version: str = "1.39") -> tuple[int, str]:
        body = {"name": NAMES[uuid], "parent_provider_uuid": parent}
        answer = await client("PUT", f"{path}/{uuid}", json=body, headers=at(version))
        return answer.status, answer.json["errors"][0]["detail"] if answer.status >= 400 else ""

    for parent in (BIG, CHILD, LEAF):
        status, why = await move(BIG, parent)
        assert status == 400
        assert "creating loop in the provider tree is not allowed." in why
    status, why = await move(SMALL, AGGREGATE)
    assert status == 400
    assert "parent provider UUID does not exist." in why
    assert [await move(CHILD, parent, "1.36") for parent in (SMALL, None)] == [
        (400, f"Unable to save resource provider {CHILD}: Object action update failed because: {verb} a provider is not "
         "currently allowed.")
        for verb in ("re-parenting", "un-parenting")
    ]  # fmt: skip
    refused = await client("DELETE", f"{path}/{CHILD}")
    assert (refused.status, "It has child resource providers" in refused.json["errors"][0]["detail"]) == (409, True)
    assert (await move(CHILD, SMALL))[0] == 200
    assert (await client("GET", f"{path}/{LEAF}", headers=at("1.14"))).json["root_provider_uuid"] == SMALL
    assert (await move(CHILD, None))[0] == 200
    assert (await client("GET", f"{path}/{LEAF}", headers=at("1.14"))).json["root_provider_uuid"] == CHILD


@pytest.mark.parametrize(
    ("token", "project", "status"),
    [
        ("reader", PROJECT, 200), ("member", PROJECT, 200), ("foreign", PROJECT, 403), ("reader", OTHER_PROJECT, 403),
        ("member", "x", 403), ("admin", PROJECT, 200), ("service", PROJECT, 200),
    ],
)  # fmt: skip
async def test_usages_are_the_projects_own(client, token, project, status):
    for version in ("1.9", "1.39"):
        answer = await client("GET", f"/placement/usages?project_id={project}", token=token, headers=at(version))
        assert answer.status == status, (version, answer.content)


async def test_usages_by_user_and_consumer_type(client):
    async def usages(query: str = "", version: str = "1.39") -> object:
        answer = await client("GET", f"/placement/usages?project_id={PROJECT}{query}", headers=at(version))
        return answer.json["usages"] if answer.status == 200 else (answer.status, answer.json["errors"][0]["detail"])

    instances, unknown = {"VCPU": 3, "consumer_count": 1}, {"VCPU": 1, "consumer_count": 1}
    assert await usages(version="1.9") == {"VCPU": 4}
    assert await usages("&user_id=v", "1.9") == {"VCPU": 1}
    assert await usages() == {"INSTANCE": instances, "unknown": unknown}
    assert await usages("&consumer_type=INSTANCE") == {"INSTANCE": instances}
    assert await usages("&consumer_type=unknown") == {"unknown": unknown}
    assert await usages("&consumer_type=all") == {"all": {"VCPU": 4, "consumer_count": 2}}
    assert await usages("&consumer_type=VOLUME") == {}
    for query, version in (
        ("&consumer_type=INSTANCE", "1.37"), ("&consumer_type=small", "1.38"), ("&colour=red", "1.9"), ("&user_id=", "1.9"),
        ("&user_id=" + "u" * 256, "1.9"),
    ):  # fmt: skip
        status, _ = await usages(query, version)  # type: ignore[misc]
        assert status == 400, query
    missing = await client("GET", "/placement/usages", headers=at("1.9"))
    assert (missing.status, "'project_id' is a required property" in missing.json["errors"][0]["detail"]) == (400, True)
    assert (await client("GET", "/placement/provider_summaries?changed=3")).status == 400

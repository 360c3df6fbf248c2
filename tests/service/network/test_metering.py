"""Metering labels and rules over HTTP, what hosts get of them, and the notifications of what was counted."""

from __future__ import annotations

from typing import Any

import pytest

from kilonova.core.context import service_context
from kilonova.core.notify import Notification, NotificationOptions, Notifier
from kilonova.network.agent.dataplane import Metered
from kilonova.network.agent.interface import NetworkPluginAPI
from kilonova.network.agent.model import MeterRuleModel
from tests.databases import statements_of
from tests.eventually import until
from tests.service.network.conftest import HOST, Cloud
from tests.service.network.test_routers import NOWHERE, external, living, model, refused
from tests.support import OTHER_PROJECT, PROJECT

LABELS, RULES = "/metering/metering-labels", "/metering/metering-label-rules"
READING = "7c1d4b52-0000-4000-8000-000000000001"


async def label(cloud: Cloud, **values: Any) -> Any:
    body = {"metering_label": {"name": "web", "project_id": PROJECT} | values}
    answer = await cloud("POST", LABELS, token="admin", json=body)
    assert answer.status == 201, answer.content
    return answer.json["metering_label"]


async def rule(cloud: Cloud, a_label: Any, token: str = "admin", **values: Any) -> Any:
    body = {"metering_label_id": a_label["id"], "direction": "ingress"} | values
    return await cloud("POST", RULES, token=token, json={"metering_label_rule": body})


async def test_a_label(cloud: Cloud) -> None:
    made = await label(cloud, description="d")
    assert made == {
        "id": made["id"], "name": "web", "description": "d", "project_id": PROJECT, "tenant_id": PROJECT, "shared": False
    }  # fmt: skip
    path = f"{LABELS}/{made['id']}"
    assert (await cloud("GET", path)).json["metering_label"] == made
    refused(await cloud("GET", path, token="foreign"), 404, "MeteringLabelNotFound", made["id"])
    for query, count in (
        ("name=web", 1),
        ("name=x", 0),
        ("shared=true", 0),
        (f"project_id={PROJECT}", 1),
        ("id=33", 0),
    ):
        assert len((await cloud("GET", f"{LABELS}?{query}")).json["metering_labels"]) == count, query
    assert (await cloud("GET", LABELS, token="foreign")).json["metering_labels"] == []
    assert (await cloud("DELETE", path)).status == 403
    assert (await cloud("DELETE", path, token="foreign")).status == 403
    assert (await rule(cloud, made, remote_ip_prefix="10.0.0.0/24")).status == 201
    assert (await cloud("DELETE", path, token="admin")).status == 204
    assert (await cloud("GET", RULES, token="admin")).json["metering_label_rules"] == []


async def test_a_rule(cloud: Cloud) -> None:
    web = await label(cloud)
    made = (await rule(cloud, web, remote_ip_prefix="10.0.0.7/24", excluded=True)).json["metering_label_rule"]
    assert made == {
        "id": made["id"], "metering_label_id": web["id"], "direction": "ingress", "excluded": True,
        "remote_ip_prefix": "10.0.0.0/24", "source_ip_prefix": None, "destination_ip_prefix": None,
    }  # fmt: skip
    path = f"{RULES}/{made['id']}"
    assert (await cloud("GET", path)).json["metering_label_rule"] == made
    refused(await cloud("GET", path, token="foreign"), 404, "MeteringLabelRuleNotFound")
    for query, count in (("direction=ingress", 1), ("excluded=false", 0), (f"metering_label_id={web['id']}", 1)):
        assert len((await cloud("GET", f"{RULES}?{query}")).json["metering_label_rules"]) == count, query
    assert (await cloud("DELETE", path)).status == 403
    assert (await cloud("DELETE", path, token="admin")).status == 204
    refused(await cloud("DELETE", path, token="admin"), 404, "MeteringLabelRuleNotFound")


async def test_rules_that_are_refused(cloud: Cloud) -> None:
    web = await label(cloud)
    assert (await rule(cloud, web, remote_ip_prefix="10.0.0.0/24")).status == 201
    for values, status, kind in (
        ({}, 400, "Invalid"),
        ({"remote_ip_prefix": "10.0.0"}, 400, "Invalid"),
        ({"remote_ip_prefix": "10.1.0.0/24", "source_ip_prefix": "10.2.0.0/24"}, 400, "Invalid"),
        ({"source_ip_prefix": "fd00::/64", "destination_ip_prefix": "10.2.0.0/24"}, 400, "Invalid"),
        ({"direction": "both", "remote_ip_prefix": "10.1.0.0/24"}, 400, "HTTPBadRequest"),
        ({"remote_ip_prefix": "10.0.0.128/25"}, 409, "MeteringLabelRuleOverlaps"),
        ({"metering_label_id": NOWHERE, "remote_ip_prefix": "10.1.0.0/24"}, 404, "MeteringLabelNotFound"),
    ):
        refused(await rule(cloud, web, **values), status, kind)
    assert (await rule(cloud, web, token="member", remote_ip_prefix="10.1.0.0/24")).status == 403
    assert (await rule(cloud, web, token="foreign", remote_ip_prefix="10.1.0.0/24")).status in (403, 404)
    assert (await rule(cloud, web, remote_ip_prefix="10.0.0.128/25", direction="egress")).status == 201
    assert (await rule(cloud, web, remote_ip_prefix="10.0.0.128/25", excluded=True)).status == 201
    assert len((await cloud("GET", RULES, token="admin")).json["metering_label_rules"]) == 3
    too_long = {"metering_label": {"name": "x" * 256}}
    refused(await cloud("POST", LABELS, token="admin", json=too_long), 400, "HTTPBadRequest")


async def test_many_rules_at_once(cloud: Cloud) -> None:
    """All or none, in a number of statements that does not grow."""
    await living(cloud)
    web, every = await label(cloud), await label(cloud, shared=True)

    async def make(first: int, count: int) -> Any:
        bodies = [
            {"metering_label_id": one["id"], "direction": "ingress", "remote_ip_prefix": f"10.{first + n}.0.0/16"}
            for n in range(count)
            for one in (web, every)
        ]
        return await cloud("POST", RULES, token="admin", json={"metering_label_rules": bodies})

    sent = await statements_of(cloud.service.database)
    assert (await make(0, 1)).status == 201
    few = len(sent)
    sent.clear()
    answer = await make(1, 20)
    assert answer.status == 201
    assert [one["remote_ip_prefix"] for one in answer.json["metering_label_rules"][:3]] == ["10.1.0.0/16"] * 2 + [
        "10.2.0.0/16"
    ]
    assert len(sent) == few
    twice = {"metering_label_id": web["id"], "direction": "ingress", "remote_ip_prefix": "10.99.0.0/16"}
    both = {"metering_label_rules": [twice, twice | {"remote_ip_prefix": "10.99.1.0/24"}]}
    refused(await cloud("POST", RULES, token="admin", json=both), 409, "MeteringLabelRuleOverlaps")
    assert len((await cloud("GET", RULES, token="admin")).json["metering_label_rules"]) == 42


async def meters(cloud: Cloud) -> dict[str, set[str]]:
    """By router: the labels that meter it."""
    return {one.id: {meter.id for meter in one.meters} for one in await model(cloud)}


async def test_what_hosts_get(cloud: Cloud) -> None:
    await living(cloud)
    public, _ = await external(cloud)
    outside = {"external_gateway_info": {"network_id": public["id"]}}
    mine, foreign = await cloud.make("router", **outside), await cloud.make("router", "foreign", **outside)
    web, every, empty = await label(cloud), await label(cloud, shared=True), await label(cloud)
    assert await meters(cloud) == {mine["id"]: set(), foreign["id"]: set()}
    for one, values in (
        (web, {"remote_ip_prefix": "10.0.0.0/24"}),
        (web, {"remote_ip_prefix": "10.0.0.0/24", "direction": "egress"}),
        (web, {"source_ip_prefix": "192.0.2.0/24", "destination_ip_prefix": "10.0.0.0/24", "excluded": True}),
        (every, {"destination_ip_prefix": "fd00::/64"}),
    ):
        assert (await rule(cloud, one, **values)).status == 201
    assert await meters(cloud) == {mine["id"]: {web["id"], every["id"]}, foreign["id"]: {every["id"]}}
    (shown,) = [m for one in await model(cloud) for m in one.meters if m.id == web["id"]]
    assert set(shown.rules) == {
        MeterRuleModel(direction="ingress", destination="10.0.0.0/24"),
        MeterRuleModel(direction="egress", source="10.0.0.0/24"),
        MeterRuleModel(direction="ingress", excluded=True, source="192.0.2.0/24", destination="10.0.0.0/24"),
    }
    assert empty["id"] not in {label for labels in (await meters(cloud)).values() for label in labels}


async def test_a_hosts_agent_is_told_of_changes(cloud: Cloud) -> None:
    _, plane = await cloud.agent()
    router = await cloud.make("router", name="a")
    _, subnet = await cloud.network()
    path = f"/routers/{router['id']}/add_router_interface"
    assert (await cloud("PUT", path, json={"subnet_id": subnet["id"]})).status == 200
    await until(lambda: [one.id for one in plane.state.routers or ()] == [router["id"]])
    web = await label(cloud)
    made = (await rule(cloud, web, remote_ip_prefix="10.0.0.0/24")).json["metering_label_rule"]
    await until(lambda: [len(one.rules) for r in plane.state.routers or () for one in r.meters] == [1])
    assert (await rule(cloud, web, remote_ip_prefix="10.1.0.0/24")).status == 201
    await until(lambda: [len(one.rules) for r in plane.state.routers or () for one in r.meters] == [2])
    assert (await cloud("DELETE", f"{RULES}/{made['id']}", token="admin")).status == 204
    await until(lambda: [len(one.rules) for r in plane.state.routers or () for one in r.meters] == [1])
    assert (await cloud("DELETE", f"{LABELS}/{web['id']}", token="admin")).status == 204
    await until(lambda: [r.meters for r in plane.state.routers or ()] == [()])


@pytest.mark.parametrize(("shared", "owner"), [(False, PROJECT), (True, OTHER_PROJECT)])
async def test_notifications(cloud: Cloud, shared: bool, owner: str) -> None:
    await living(cloud)
    router = await cloud.make("router", "foreign" if shared else "member", name="b")
    elsewhere = await cloud.make("router", "member" if shared else "foreign", name="c")
    web = await label(cloud, shared=shared)
    notifier = Notifier(NotificationOptions(format="both"))
    seen: list[Notification] = []
    notifier.observe(seen.append)
    cloud.service._plugin._meters.notifier = notifier
    counted = {"router_id": router["id"], "packets": 7, "bytes": 700, "since": 1000, "until": 1060}
    lies = [] if shared else [Metered(id=READING, label_id=web["id"], **counted | {"router_id": elsewhere["id"]})]
    lies.append(Metered(id=READING, label_id=web["id"], **counted | {"router_id": NOWHERE}))
    plugin = cloud.core.bus.client(NetworkPluginAPI)
    await plugin.metered(service_context("req-1"), "host-2", [Metered(id=READING, label_id=web["id"], **counted)])
    await plugin.metered(
        service_context("req-1"), HOST,
        [
            Metered(id=READING, label_id=web["id"], **counted),
            Metered(id="no-id", label_id=web["id"], **counted),
            Metered(id=READING, label_id=NOWHERE, **counted),
            *lies,
        ],
    )  # fmt: skip
    await until(lambda: seen)
    await notifier.close()
    (only,) = seen
    assert (only.event_type, only.publisher_id, only.priority) == ("l3.meter", f"metering.{HOST}", "INFO")
    assert (only.message_id, only.topic) == (READING, "notifications")
    assert only.payload == {
        "label_id": web["id"], "router_id": router["id"], "project_id": owner, "host": HOST, "pkts": 7, "bytes": 700,
        "time": 60, "first_update": 1000, "last_update": 1060,
    }  # fmt: skip

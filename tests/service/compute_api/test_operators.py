"""Services, hypervisors, zones, aggregates, groups, quotas, limits."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest

from kilonova.core.db.migrate import drift
from tests.service.compute_api.test_routes import add_host
from tests.support import PROJECT


async def admin(cloud, method, path, at="2.104", **more):
    return await cloud(method, path, at, "admin", **more)


async def test_tables_and_migrations_agree(cloud):
    assert await drift(cloud.service.database) == []


async def test_services(cloud):
    service_id, _ = await add_host(cloud)
    await add_host(cloud, "host-2", last_seen=dt.datetime(2020, 1, 1))
    listed = (await admin(cloud, "GET", "/os-services")).json["services"]
    assert [(s["host"], s["state"], s["status"], s["zone"]) for s in listed] == [
        ("host-1", "up", "enabled", "nova"), ("host-2", "down", "enabled", "nova")
    ]  # fmt: skip
    assert listed[0]["id"] == service_id
    old = (await admin(cloud, "GET", "/os-services?host=host-1", "2.10")).json["services"]
    assert (old[0]["id"], "forced_down" in old[0]) == (1, False)
    path = f"/os-services/{service_id}"
    off = await admin(cloud, "PUT", path, json={"status": "disabled", "disabled_reason": "broken"})
    assert (off.json["service"]["status"], off.json["service"]["disabled_reason"]) == ("disabled", "broken")
    down = await admin(cloud, "PUT", path, json={"forced_down": True})
    assert (down.json["service"]["state"], down.json["service"]["forced_down"]) == ("down", True)
    for body, status in (({}, 400), ({"status": "gone"}, 400), ({"status": "enabled", "disabled_reason": "x"}, 400)):
        assert (await admin(cloud, "PUT", path, json=body)).status == status
    assert (await admin(cloud, "PUT", f"/os-services/{uuid.uuid4()}", json={"status": "enabled"})).status == 404
    assert (await admin(cloud, "PUT", "/os-services/1", json={"status": "enabled"})).status == 400
    service = {"host": "host-1", "binary": "nova-compute"}
    on = await admin(cloud, "PUT", "/os-services/enable", "2.52", json=service)
    assert on.json["service"] == service | {"status": "enabled"}
    up = await admin(cloud, "PUT", "/os-services/force-down", "2.52", json=service | {"forced_down": False})
    assert up.json["service"] == service | {"forced_down": False}
    assert (await admin(cloud, "PUT", "/os-services/force-down", "2.10", json=service)).status == 404
    assert (await admin(cloud, "PUT", "/os-services/disable", "2.52", json=service | {"host": "none"})).status == 404
    server_id = await cloud.active()
    assert (await admin(cloud, "DELETE", path)).status == 409
    shown = (await admin(cloud, "GET", f"/servers/{server_id}")).json["server"]
    assert shown["host_status"] == "UP"
    await cloud.row(server_id, host=None)
    assert (await admin(cloud, "DELETE", path)).status == 204
    assert (await admin(cloud, "DELETE", path)).status == 404


async def test_hypervisors(cloud):
    _, node_id = await add_host(cloud)
    await add_host(cloud, "host-2")
    server_id = await cloud.active(flavorRef="2")
    old = (await admin(cloud, "GET", "/os-hypervisors/detail", "2.27")).json["hypervisors"][0]
    assert (old["id"], old["vcpus_used"], old["memory_mb_used"], old["local_gb_used"]) == (1, 1, 2048, 20)
    assert (old["running_vms"], old["free_ram_mb"], old["cpu_info"]) == (1, 6144, '{"arch":"x86_64"}')
    new = (await admin(cloud, "GET", f"/os-hypervisors/{node_id}?with_servers=1")).json["hypervisor"]
    assert set(new) == {
        "id", "hypervisor_hostname", "state", "status", "hypervisor_type", "hypervisor_version", "host_ip", "service",
        "uptime", "servers",
    }  # fmt: skip
    assert new["servers"] == [{"uuid": server_id, "name": "instance-00000001"}]
    assert (await admin(cloud, "GET", "/os-hypervisors/nope")).status == 400
    assert (await admin(cloud, "GET", f"/os-hypervisors/{uuid.uuid4()}")).status == 404
    stats = (await admin(cloud, "GET", "/os-hypervisors/statistics", "2.87")).json["hypervisor_statistics"]
    assert (stats["count"], stats["vcpus"], stats["vcpus_used"]) == (2, 16, 1)
    assert (await admin(cloud, "GET", "/os-hypervisors/statistics")).status == 404
    page = (await admin(cloud, "GET", "/os-hypervisors?limit=1")).json
    assert page["hypervisors"][0]["id"] == node_id
    following = (await admin(cloud, "GET", page["hypervisors_links"][0]["href"].split("/v2.1")[1])).json
    assert following["hypervisors"][0]["hypervisor_hostname"] == "host-2"
    match = (await admin(cloud, "GET", "/os-hypervisors?hypervisor_hostname_pattern=host-2")).json
    assert len(match["hypervisors"]) == 1
    assert (await admin(cloud, "GET", "/os-hypervisors?hypervisor_hostname_pattern=x")).status == 404
    assert (await admin(cloud, "GET", "/os-hypervisors/host/search", "2.52")).status == 200
    held = (await admin(cloud, "GET", "/os-hypervisors/host-1/servers", "2.52")).json["hypervisors"]
    assert held[0]["servers"][0]["uuid"] == server_id
    hosts = (await admin(cloud, "GET", "/os-hosts", "2.42")).json["hosts"]
    assert (await admin(cloud, "GET", "/os-hosts?zone=", "2.42")).json["hosts"] == hosts
    assert hosts[0] == {"host_name": "host-1", "service": "compute", "zone": "nova"}


async def test_aggregates_make_zones(cloud):
    await add_host(cloud)
    await add_host(cloud, "host-2")
    made = await admin(cloud, "POST", "/os-aggregates", json={"aggregate": {"name": "a", "availability_zone": "east"}})
    aggregate = made.json["aggregate"]
    assert ("hosts" in aggregate, aggregate["availability_zone"]) == (False, "east")
    path = f"/os-aggregates/{aggregate['id']}"

    async def act(**action):
        return await admin(cloud, "POST", f"{path}/action", json=action)

    assert (await act(add_host={"host": "host-1"})).json["aggregate"]["hosts"] == ["host-1"]
    assert (await act(add_host={"host": "host-1"})).status == 409
    assert (await act(add_host={"host": "nope"})).status == 404
    assert (await act(fly={})).status == 400
    zones = (await cloud("GET", "/os-availability-zone")).json["availabilityZoneInfo"]
    assert [z["zoneName"] for z in zones] == ["east", "nova"]
    details = (await admin(cloud, "GET", "/os-availability-zone/detail")).json["availabilityZoneInfo"]
    assert details[0]["hosts"]["host-1"]["nova-compute"]["available"] is True
    assert (await cloud("GET", "/os-availability-zone/detail")).status == 403
    assert (await cloud.boot(availability_zone="east")).status == 202
    forced = await cloud.boot(token="admin", availability_zone="east:host-1")
    assert forced.status == 202
    assert (await cloud.boot(token="admin", availability_zone="nova:nope")).status == 400
    assert (await cloud.boot(token="admin", host="host-2")).status == 202
    other = await admin(cloud, "POST", "/os-aggregates", json={"aggregate": {"name": "b", "availability_zone": "west"}})
    clash = await admin(
        cloud, "POST", f"/os-aggregates/{other.json['aggregate']['id']}/action", json={"add_host": {"host": "host-1"}}
    )
    assert clash.status == 409
    kept = (await act(set_metadata={"metadata": {"ssd": "true"}})).json["aggregate"]["metadata"]
    assert kept == {"availability_zone": "east", "ssd": "true"}
    assert (await act(set_metadata={"metadata": {"ssd": None}})).json["aggregate"]["metadata"] == {
        "availability_zone": "east"
    }
    assert (await admin(cloud, "PUT", path, json={"aggregate": {"name": "b"}})).status == 409
    assert (await admin(cloud, "PUT", path, json={"aggregate": {}})).status == 400
    assert (await admin(cloud, "DELETE", path)).status == 400
    assert (await act(remove_host={"host": "host-1"})).status == 200
    assert (await act(remove_host={"host": "host-1"})).status == 404
    assert (await admin(cloud, "DELETE", path)).status == 200
    assert (await admin(cloud, "GET", path)).status == 404
    assert "uuid" not in (await admin(cloud, "GET", "/os-aggregates", "2.40")).json["aggregates"][0]


async def test_server_groups(cloud):
    body = {"name": "g", "policy": "anti-affinity", "rules": {"max_server_per_host": 2}}
    made = (await cloud("POST", "/os-server-groups", json={"server_group": body})).json["server_group"]
    assert (made["policy"], made["rules"], made["members"]) == ("anti-affinity", {"max_server_per_host": 2}, [])
    server = await cloud.boot(top={"os:scheduler_hints": {"group": made["id"]}})
    server_id = server.json["server"]["id"]
    shown = (await cloud("GET", f"/os-server-groups/{made['id']}", "2.63")).json["server_group"]
    assert (shown["policies"], shown["metadata"], shown["members"]) == (["anti-affinity"], {}, [server_id])
    assert (await cloud("GET", f"/servers/{server_id}")).json["server"]["server_groups"] == [made["id"]]
    many = await cloud.boot(min_count=9, flavorRef="42", top={"os:scheduler_hints": {"group": made["id"]}})
    assert many.status == 202
    await admin(cloud, "PUT", f"/os-quota-sets/{PROJECT}", json={"quota_set": {"instances": -1}})
    full = await cloud.boot(top={"os:scheduler_hints": {"group": made["id"]}})
    message = full.json["forbidden"]["message"]
    numbers = "Requested 1, but already used 10 of 10 server_group_members"
    assert (full.status, message) == (403, f"Quota exceeded, too many servers in group. {numbers}")
    for at, wrong in (
        ("2.104", {"name": "g"}), ("2.104", {"name": "g", "policy": "near"}), ("2.104", {"name": "g", "policies": ["affinity"]}),
        ("2.104", {"name": "g", "policy": "affinity", "rules": {"max_server_per_host": 2}}),
        ("2.14", {"name": "g", "policies": ["soft-affinity"]}), ("2.63", {"name": "g", "policies": []}),
    ):  # fmt: skip
        answer = await cloud("POST", "/os-server-groups", at, json={"server_group": wrong})
        assert answer.status == 400, wrong
    assert (
        await cloud(
            "POST", "/os-server-groups", "2.15", json={"server_group": {"name": "s", "policies": ["soft-affinity"]}}
        )
    ).status == 200
    assert len((await cloud("GET", "/os-server-groups")).json["server_groups"]) == 2
    assert (await cloud("GET", "/os-server-groups", token="foreign")).json == {"server_groups": []}
    assert (await cloud("DELETE", f"/os-server-groups/{made['id']}")).status == 204
    assert (await cloud("GET", f"/os-server-groups/{made['id']}")).status == 404


async def test_quota_sets(cloud):
    path = f"/os-quota-sets/{PROJECT}"
    shown = (await cloud("GET", path)).json["quota_set"]
    assert (shown["id"], shown["instances"], "injected_files" in shown) == (PROJECT, 10, False)
    assert (await cloud("GET", path, "2.35")).json["quota_set"]["floating_ips"] == -1
    await cloud.boot(min_count=3)
    detail = (await cloud("GET", f"{path}/detail")).json["quota_set"]
    assert detail["instances"] == {"limit": 10, "in_use": 3, "reserved": 0}
    assert (await cloud("PUT", path, json={"quota_set": {"instances": 5}})).status == 403
    low = await admin(cloud, "PUT", path, json={"quota_set": {"instances": 2}})
    assert low.status == 400
    forced = await admin(cloud, "PUT", path, json={"quota_set": {"instances": 2, "force": True}})
    assert forced.json["quota_set"]["instances"] == 2
    assert (await cloud.boot()).status == 403
    for wrong in ({"instances": "x"}, {"instances": -2}, {"colours": 3}):
        assert (await admin(cloud, "PUT", path, json={"quota_set": wrong})).status == 400, wrong
    assert (await admin(cloud, "DELETE", path)).status == 202
    assert (await cloud("GET", path)).json["quota_set"]["instances"] == 10
    default = "/os-quota-class-sets/default"
    assert (await admin(cloud, "PUT", default, json={"quota_class_set": {"cores": 7}})).json["quota_class_set"][
        "cores"
    ] == 7
    assert (await cloud("GET", f"{path}/defaults")).json["quota_set"]["cores"] == 7
    assert (await cloud("GET", path)).json["quota_set"]["cores"] == 7
    everything = (await admin(cloud, "GET", default, "2.1")).json["quota_class_set"]
    more = {name: limit + 100 for name, limit in everything.items() if name != "id"}
    assert (await admin(cloud, "PUT", default, "2.1", json={"quota_class_set": more})).json["quota_class_set"] == more
    assert (await admin(cloud, "GET", default, "2.1")).json["quota_class_set"] == more | {"id": "default"}
    del everything["id"]
    assert (await admin(cloud, "PUT", default, "2.1", json={"quota_class_set": everything})).status == 200
    assert "server_groups" not in (await admin(cloud, "GET", default, "2.49")).json["quota_class_set"]
    limits = (await cloud("GET", "/limits")).json["limits"]["absolute"]
    assert (limits["maxTotalCores"], limits["totalInstancesUsed"], limits["totalCoresUsed"]) == (7, 3, 3)
    assert "maxImageMeta" not in limits
    assert (await cloud("GET", "/limits?tenant_id=x")).status == 403
    old = (await admin(cloud, "GET", f"/limits?tenant_id={PROJECT}", "2.1")).json["limits"]["absolute"]
    assert (old["totalRAMUsed"], old["maxImageMeta"], old["maxPersonality"]) == (384, 128, 5)


@pytest.mark.parametrize("path", ["/extensions", "/extensions/os-keypairs"])
async def test_extensions(cloud, path):
    assert (await cloud("GET", path)).status == 200
    assert (await cloud("GET", "/extensions/nope")).status == 404

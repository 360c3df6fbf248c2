"""Volume types with all that belongs to them; what operators see of back ends."""

from __future__ import annotations

from typing import Any

from tests.service.volume.conftest import MISSING, Cloud
from tests.support import OTHER_PROJECT, PROJECT


async def _type(cloud: Cloud, name: str = "fast", **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await cloud.ok("POST", "/types", "admin", {"volume_type": {"name": name} | more}))[
        "volume_type"
    ]
    return found


async def test_types_and_who_may_use_them(cloud: Cloud) -> None:
    kind = await _type(
        cloud, **{"os-volume-type-access:is_public": False, "extra_specs": {"a": "1", "multiattach": "x"}}
    )
    path = f"/types/{kind['id']}"
    assert (await cloud("POST", "/types", "admin", {"volume_type": {"name": "fast"}})).status == 409
    assert (await cloud("POST", "/types", "member", {"volume_type": {"name": "x"}})).status == 403
    assert (await cloud("GET", path)).status == 404
    body = {"volume": {"size": 1, "volume_type": "fast"}}
    assert (await cloud("POST", "/volumes", json=body)).status == 404
    give = {"addProjectAccess": {"project": PROJECT}}
    assert (await cloud("POST", f"{path}/action", "admin", give)).status == 202
    assert (await cloud("POST", f"{path}/action", "admin", give)).status == 409
    assert (await cloud("POST", f"{path}/action", "member", give)).status == 403
    shown = (await cloud.ok("GET", path))["volume_type"]
    assert shown["extra_specs"] == {"multiattach": "x"}  # the others are for operators
    assert (await cloud.ok("GET", f"{path}/os-volume-type-access", "admin"))["volume_type_access"] == [
        {"volume_type_id": kind["id"], "project_id": PROJECT}
    ]
    assert (await cloud("GET", path, "foreign")).status == 404
    take = {"removeProjectAccess": {"project": PROJECT}}
    assert (await cloud("POST", f"{path}/action", "admin", take)).status == 202
    assert (await cloud("GET", path)).status == 404
    assert (await cloud("DELETE", path, "admin")).status == 202
    default = (await cloud.ok("GET", "/types/default"))["volume_type"]
    assert default["name"] == "__DEFAULT__"
    assert (await cloud("DELETE", f"/types/{default['id']}", "admin")).status == 400


async def test_extra_specs_choose_the_back_end(cloud: Cloud) -> None:
    kind = await _type(cloud, extra_specs={"volume_backend_name": "fake"})
    path = f"/types/{kind['id']}/extra_specs"
    volume = await cloud.volume(volume_type="fast")
    assert (await cloud("DELETE", f"/types/{kind['id']}", "admin")).status == 400  # in use
    await cloud.ok("PUT", f"{path}/volume_backend_name", "admin", {"volume_backend_name": "other"})
    await cloud.volume(volume_type="fast", wanted="error")
    assert (await cloud("PUT", f"{path}/a", "admin", {"b": "1"})).status == 400
    assert (await cloud("DELETE", f"{path}/volume_backend_name", "admin")).status == 202
    assert (await cloud("DELETE", f"{path}/volume_backend_name", "admin")).status == 404
    await _type(cloud, "slow", extra_specs={"volume_backend_name": "tape"})
    await _type(cloud, "plain")
    assert (await cloud.act(volume["id"], "os-retype", {"new_type": "slow"})).status == 400
    assert (
        await cloud.act(volume["id"], "os-retype", {"new_type": "plain", "migration_policy": "never"})
    ).status == 202
    assert (await cloud.ok("GET", f"/volumes/{volume['id']}"))["volume"]["volume_type"] == "plain"


async def test_a_types_own_quota(cloud: Cloud) -> None:
    await _type(cloud)
    await cloud.ok("PUT", f"/os-quota-sets/{PROJECT}", "admin", {"quota_set": {"volumes_fast": 1}})
    await cloud.volume(volume_type="fast")
    assert (await cloud("POST", "/volumes", json={"volume": {"size": 1, "volume_type": "fast"}})).status == 413
    plain = await cloud.volume()
    assert (await cloud.act(plain["id"], "os-retype", {"new_type": "fast"})).status == 413
    for amounts in ({"nothing": 1}, {"volumes": -2}, {"volumes": "x"}, {"volumes": True}):
        body = {"quota_set": amounts}
        assert (await cloud("PUT", f"/os-quota-sets/{PROJECT}", "admin", body)).status == 400, amounts
    assert (await cloud("DELETE", f"/os-quota-sets/{PROJECT}", "admin")).status == 200
    assert (await cloud.ok("GET", f"/os-quota-sets/{PROJECT}"))["quota_set"]["volumes_fast"] == -1
    await cloud.ok("PUT", "/os-quota-class-sets/default", "admin", {"quota_class_set": {"volumes": 2}})
    assert (await cloud("POST", "/volumes", json={"volume": {"size": 1}})).status == 413


async def test_default_types_of_projects(cloud: Cloud) -> None:
    kind = await _type(cloud)
    path = f"/default-types/{PROJECT}"
    assert (await cloud("GET", path, "admin")).status == 404
    assert (await cloud("PUT", path, "admin", {"default_type": {"volume_type": "nothing"}})).status == 400
    assert (await cloud("PUT", path, "member", {"default_type": {"volume_type": "fast"}})).status == 403
    found = await cloud.ok("PUT", path, "admin", {"default_type": {"volume_type": "fast"}})
    assert found == {"default_type": {"project_id": PROJECT, "volume_type_id": kind["id"]}}
    assert (await cloud.volume())["volume_type"] == "fast"
    assert (await cloud.volume(token="foreign"))["volume_type"] == "__DEFAULT__"
    assert (await cloud("DELETE", path, "admin")).status == 204
    assert (await cloud.volume())["volume_type"] == "__DEFAULT__"


async def test_encryption_is_kept_and_no_plain_volume_made_of_it(cloud: Cloud) -> None:
    kind = await _type(cloud)
    path = f"/types/{kind['id']}/encryption"
    assert await cloud.ok("GET", path, "admin") == {}
    asked = {"provider": "luks", "control_location": "front-end", "cipher": "aes-xts-plain64", "key_size": 256}
    made = (await cloud.ok("POST", path, "admin", {"encryption": asked}))["encryption"]
    assert asked.items() <= made.items()
    assert (await cloud("POST", path, "admin", {"encryption": asked})).status == 400
    assert (await cloud("POST", "/volumes", json={"volume": {"size": 1, "volume_type": "fast"}})).status == 400
    await cloud.ok("PUT", f"{path}/{made['encryption_id']}", "admin", {"encryption": {"key_size": 128}})
    assert (await cloud.ok("GET", path, "admin"))["key_size"] == 128
    assert await cloud.ok("GET", f"{path}/cipher", "admin") == {"cipher": "aes-xts-plain64"}
    assert (await cloud("DELETE", f"{path}/{MISSING}", "admin")).status == 404
    assert (await cloud("DELETE", f"{path}/{made['encryption_id']}", "admin")).status == 202
    await cloud.volume(volume_type="fast")


async def test_qos_specs(cloud: Cloud) -> None:
    body = {"qos_specs": {"name": "gold", "consumer": "front-end", "total_iops_sec": "100"}}
    made = (await cloud.ok("POST", "/qos-specs", "admin", body))["qos_specs"]
    path = f"/qos-specs/{made['id']}"
    assert (made["consumer"], made["specs"]) == ("front-end", {"total_iops_sec": "100"})
    assert (await cloud("POST", "/qos-specs", "admin", body)).status == 409
    assert (await cloud("POST", "/qos-specs", "admin", {"qos_specs": {"name": "x", "consumer": "moon"}})).status == 400
    assert (await cloud("GET", path)).status == 403
    kind = await _type(cloud)
    assert (await cloud("GET", f"{path}/associate?vol_type_id={kind['id']}", "admin")).status == 202
    assert [item["name"] for item in (await cloud.ok("GET", f"{path}/associations", "admin"))["qos_associations"]] == [
        "fast"
    ]
    assert (await cloud("DELETE", path, "admin")).status == 400
    assert (await cloud("PUT", f"{path}/delete_keys", "admin", {"keys": ["total_iops_sec"]})).status == 202
    assert (await cloud("PUT", f"{path}/delete_keys", "admin", {"keys": ["total_iops_sec"]})).status == 404
    assert (await cloud("GET", f"{path}/disassociate_all", "admin")).status == 202
    assert (await cloud("DELETE", path, "admin")).status == 202
    assert (await cloud("GET", path, "admin")).status == 404


async def test_a_volume_is_given_away(cloud: Cloud) -> None:
    volume = await cloud.volume()
    snapshot = await cloud.snapshot(volume["id"])
    body = {"transfer": {"volume_id": volume["id"], "name": "gift"}}
    assert (await cloud("POST", "/volume-transfers", "foreign", body)).status == 404
    made = (await cloud.ok("POST", "/volume-transfers", json=body))["transfer"]
    path = f"/volume-transfers/{made['id']}"
    assert (await cloud.ok("GET", f"/volumes/{volume['id']}"))["volume"]["status"] == "awaiting-transfer"
    assert (await cloud("GET", path, "foreign")).status == 404
    assert "auth_key" not in (await cloud.ok("GET", path))["transfer"]
    wrong = {"accept": {"auth_key": "x"}}
    assert (await cloud("POST", f"{path}/accept", "foreign", wrong)).status == 400
    await cloud.ok("PUT", f"/os-quota-sets/{OTHER_PROJECT}", "admin", {"quota_set": {"gigabytes": 1}})
    right = {"accept": {"auth_key": made["auth_key"]}}
    assert (await cloud("POST", f"{path}/accept", "foreign", right)).status == 413
    await cloud.ok("DELETE", f"/os-quota-sets/{OTHER_PROJECT}", "admin")
    assert (await cloud("POST", f"{path}/accept", "foreign", right)).status == 202
    assert (await cloud("POST", f"{path}/accept", "foreign", right)).status == 404
    assert (await cloud.ok("GET", f"/volumes/{volume['id']}", "foreign"))["volume"]["status"] == "available"
    assert (await cloud.ok("GET", f"/snapshots/{snapshot['id']}", "foreign"))["snapshot"]["volume_id"] == volume["id"]
    assert (await cloud("GET", f"/volumes/{volume['id']}")).status == 404
    back = (await cloud.ok("POST", "/os-volume-transfer", "foreign", body))["transfer"]
    assert (await cloud("DELETE", f"/os-volume-transfer/{back['id']}", "foreign")).status == 202
    await cloud.status("volumes", volume["id"], "available")


async def test_services_pools_and_zones(cloud: Cloud) -> None:
    volume = await cloud.volume(size=3)
    services = (await cloud.ok("GET", "/os-services", "admin"))["services"]
    assert {(item["binary"], item["host"], item["state"]) for item in services} == {
        ("cinder-scheduler", "conductor1", "up"), ("cinder-volume", "node1@fake", "up"),
    }  # fmt: skip
    assert len((await cloud.ok("GET", "/os-services?host=node1", "admin"))["services"]) == 1
    (pool,) = (await cloud.ok("GET", "/scheduler-stats/get_pools?detail=true", "admin"))["pools"]
    assert pool["name"] == volume["os-vol-host-attr:host"]
    assert (await cloud("GET", "/scheduler-stats/get_pools")).status == 403
    assert (await cloud.ok("GET", "/capabilities/node1@fake", "admin"))["volume_backend_name"] == "fake"
    assert (await cloud("GET", "/capabilities/nowhere", "admin")).status == 404
    zones = (await cloud.ok("GET", "/os-availability-zone"))["availabilityZoneInfo"]
    assert zones == [{"zoneName": "nova", "zoneState": {"available": True}}]
    held = (await cloud.ok("GET", "/os-hosts/node1@fake", "admin"))["host"][0]["resource"]
    assert (held["project"], held["volume_count"], held["total_volume_gb"]) == ("(total)", "1", "3")
    off = {"host": "node1@fake", "binary": "cinder-volume", "disabled_reason": "repair"}
    found = await cloud.ok("PUT", "/os-services/disable-log-reason", "admin", off)
    assert (found["status"], found["disabled_reason"]) == ("disabled", "repair")
    await cloud.volume(wanted="error")
    assert (await cloud("PUT", "/os-services/enable", "admin", {"host": "x", "binary": "cinder-volume"})).status == 404


async def test_hints(bare: Cloud) -> None:
    await bare.agent("node1")
    await bare.agent("node2")
    first = await bare.volume()
    for hint, same in (("same_host", True), ("different_host", False)):
        body = {"volume": {"size": 1}, "OS-SCH-HNT:scheduler_hints": {hint: first["id"]}}
        made = (await bare.ok("POST", "/volumes", json=body))["volume"]
        volume = await bare.status("volumes", made["id"], "available")
        assert (volume["os-vol-host-attr:host"] == first["os-vol-host-attr:host"]) is same
    copy = await bare.volume(source_volid=first["id"])
    assert copy["os-vol-host-attr:host"] == first["os-vol-host-attr:host"]


async def test_versions(cloud: Cloud) -> None:
    answer = await cloud.client("GET", "/volume/", token=None)
    assert answer.status == 300
    (version,) = answer.json["versions"]
    assert (version["id"], version["min_version"], version["version"]) == ("v3.0", "3.0", "3.71")
    old = await cloud.client("GET", "/volume/v3/messages", token="member")
    assert old.status == 404  # since 3.3
    assert (
        await cloud.client(
            "GET", "/volume/v3/volumes", token="member", headers={"OpenStack-API-Version": "volume 3.99"}
        )
    ).status == 406
    filters = (await cloud.ok("GET", "/resource_filters?resource=volume"))["resource_filters"]
    assert "status" in filters[0]["filters"]

"""Attachments, and the older single steps."""

from __future__ import annotations

from typing import Any

import pytest

from kilonova.volume.backends.errors import BackendAway
from kilonova.volume.backends.fake import FakeBackend
from kilonova.volume.resources.attachments import logic
from tests.service.volume.conftest import MISSING, Cloud

SERVER, OTHER = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
CONNECTOR = {"host": "compute1", "ip": "10.0.0.1", "initiator": "iqn.x", "mountpoint": "/dev/vdb"}


async def _reserve(cloud: Cloud, volume_id: str, server: str = SERVER, **more):
    body = {"attachment": {"volume_uuid": volume_id, "instance_uuid": server} | more}
    return await cloud("POST", "/attachments", "service", body)


async def test_an_attachment_lives(cloud: Cloud) -> None:
    volume = await cloud.volume()
    made = (await _reserve(cloud, volume["id"])).json["attachment"]
    assert (made["status"], made["instance"], made["connection_info"]) == ("reserved", SERVER, {})
    assert (await cloud.ok("GET", f"/volumes/{volume['id']}"))["volume"]["status"] == "reserved"
    path = f"/attachments/{made['id']}"
    for _ in range(2):  # again is the same
        known = (await cloud.ok("PUT", path, "service", {"attachment": {"connector": CONNECTOR}}))["attachment"]
        assert known["connection_info"]["driver_volume_type"] == "fake"
        assert known["connection_info"]["attachment_id"] == made["id"]
        assert known["status"] == "attaching"
    assert (await cloud("POST", f"{path}/action", "service", {"os-complete": {}})).status == 204
    shown = (await cloud.ok("GET", f"/volumes/{volume['id']}", "admin"))["volume"]
    assert shown["status"] == "in-use"
    (attached,) = shown["attachments"]
    assert (attached["server_id"], attached["device"], attached["host_name"]) == (SERVER, "/dev/vdb", "compute1")
    assert (await cloud.ok("GET", f"/volumes/{volume['id']}"))["volume"]["attachments"][0]["host_name"] is None
    assert (await cloud.ok("GET", path))["attachment"]["connection_info"] == {}  # secrets are for services
    assert (await cloud.ok("GET", path, "service"))["attachment"]["connection_info"]
    assert [item["id"] for item in (await cloud.ok("GET", f"/attachments?instance_id={SERVER}"))["attachments"]] == [
        made["id"]
    ]
    assert (await cloud("GET", path, "foreign")).status == 404
    assert (await cloud("DELETE", f"/volumes/{volume['id']}")).status == 400
    assert (await cloud.ok("DELETE", path, "service")) == {"attachments": []}
    assert (await cloud.ok("GET", f"/volumes/{volume['id']}"))["volume"]["status"] == "available"
    assert (await cloud("GET", path)).status == 404


async def test_a_volume_is_one_servers(cloud: Cloud) -> None:
    volume = await cloud.volume()
    assert (await _reserve(cloud, volume["id"])).status == 200
    assert (await _reserve(cloud, volume["id"], OTHER)).status == 400
    assert (await _reserve(cloud, volume["id"])).status == 200  # the same server: it moves
    assert (await _reserve(cloud, MISSING)).status == 404


async def test_a_volume_may_be_several_servers(cloud: Cloud) -> None:
    kind = {"volume_type": {"name": "shared", "extra_specs": {"multiattach": "<is> True"}}}
    await cloud.ok("POST", "/types", "admin", kind)
    volume = await cloud.volume(volume_type="shared")
    assert volume["multiattach"] is True
    for server in (SERVER, OTHER):
        made = (await _reserve(cloud, volume["id"], server, connector=CONNECTOR)).json["attachment"]
        assert (await cloud("POST", f"/attachments/{made['id']}/action", "service", {"os-complete": {}})).status == 204
    left = (await cloud.ok("DELETE", f"/attachments/{made['id']}", "service"))["attachments"]
    assert [item["instance"] for item in left] == [SERVER]
    assert (await cloud.ok("GET", f"/volumes/{volume['id']}"))["volume"]["status"] == "in-use"


async def test_attachments_of_a_volume_have_an_end(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logic, "MOST", 3)
    volume = await cloud.volume()
    assert [(await _reserve(cloud, volume["id"])).status for _ in range(4)] == [200, 200, 200, 400]
    assert len((await cloud.ok("GET", "/attachments"))["attachments"]) == 3


async def test_without_an_agent_nothing_is_half_attached(cloud: Cloud) -> None:
    volume = await cloud.volume()
    await cloud.agents.pop("node1").stop()
    assert (await _reserve(cloud, volume["id"], connector=CONNECTOR)).status == 503
    assert (await cloud.ok("GET", "/attachments"))["attachments"] == []
    assert (await cloud.ok("GET", f"/volumes/{volume['id']}"))["volume"]["status"] == "available"


async def test_a_connector_without_host(cloud: Cloud) -> None:
    volume = await cloud.volume()
    assert (await _reserve(cloud, volume["id"], connector={"ip": "10.0.0.1"})).status == 400
    assert (await cloud.ok("GET", f"/volumes/{volume['id']}"))["volume"]["status"] == "available"


async def test_single_steps_of_old(cloud: Cloud) -> None:
    volume = await cloud.volume()
    one = volume["id"]
    assert (await cloud.act(one, "os-detach", {"attachment_id": OTHER})).status == 400
    assert (await cloud.act(one, "os-detach")).status == 202
    assert (await cloud.act(one, "os-reserve")).status == 202
    assert (await cloud.act(one, "os-reserve")).status == 400
    info = await cloud.act(one, "os-initialize_connection", {"connector": CONNECTOR})
    assert info.json["connection_info"]["driver_volume_type"] == "fake"
    assert (await cloud("DELETE", f"/volumes/{one}")).status == 400
    given = {"instance_uuid": SERVER, "mountpoint": "/dev/vdc"}
    assert (await cloud.act(one, "os-attach", given)).status == 202
    assert (await cloud.status("volumes", one, "in-use"))["attachments"][0]["device"] == "/dev/vdc"
    assert (await cloud.act(one, "os-begin_detaching")).status == 202
    assert (await cloud.act(one, "os-roll_detaching")).status == 202
    assert (await cloud.act(one, "os-begin_detaching")).status == 202
    assert (await cloud.act(one, "os-terminate_connection", {"connector": CONNECTOR})).status == 202
    assert len((await cloud.ok("GET", "/attachments"))["attachments"]) == 1
    assert (await cloud.act(one, "os-detach")).status == 202
    assert (await cloud.status("volumes", one, "available"))["attachments"] == []
    assert (await cloud.ok("GET", "/attachments"))["attachments"] == []
    assert (await cloud.act(one, "os-reserve")).status == 202
    assert (await cloud.act(one, "os-unreserve")).status == 202
    await cloud.status("volumes", one, "available")


async def test_a_volume_is_in_use_without_a_connection(cloud: Cloud) -> None:
    """As upstream: a server that is on no host (shelved) has its volumes in use."""
    volume = await cloud.volume()
    made = (await _reserve(cloud, volume["id"])).json["attachment"]
    path = f"/attachments/{made['id']}"
    assert (await cloud("POST", f"{path}/action", "service", {"os-complete": {}})).status == 204
    assert (await cloud.ok("GET", f"/volumes/{volume['id']}"))["volume"]["status"] == "in-use"
    assert (await cloud("DELETE", path, "service")).status == 200
    assert (await cloud.ok("GET", f"/volumes/{volume['id']}"))["volume"]["status"] == "available"


async def test_an_operator_says_that_it_is_detached(cloud: Cloud) -> None:
    volume = await cloud.volume()
    assert (await _reserve(cloud, volume["id"], connector=CONNECTOR)).status == 200
    asked = {"status": "available", "attach_status": "detached"}
    assert (await cloud.act(volume["id"], "os-reset_status", asked, "admin")).status == 202
    assert (await cloud.status("volumes", volume["id"], "available"))["attachments"] == []
    (stored,) = await cloud.agents["node1"].backends["node1@fake"].driver.volumes()
    assert stored.attachments == ()


async def test_forced_detaching_brings_a_volume_back(cloud: Cloud) -> None:
    volume = await cloud.volume()
    given = {"instance_uuid": SERVER, "mountpoint": "/dev/vdc"}
    assert (await cloud.act(volume["id"], "os-attach", given)).status == 202
    (held,) = (await cloud.ok("GET", f"/volumes/{volume['id']}"))["volume"]["attachments"]
    assert (await cloud.act(volume["id"], "os-reset_status", {"status": "error"}, "admin")).status == 202
    asked = {"attachment_id": held["attachment_id"], "connector": None}
    assert (await cloud.act(volume["id"], "os-force_detach", asked)).status == 403
    assert (await cloud.act(volume["id"], "os-force_detach", asked, "admin")).status == 202
    assert (await cloud.status("volumes", volume["id"], "available"))["attachments"] == []


async def test_connectors_that_are_none(cloud: Cloud) -> None:
    volume = await cloud.volume()
    for wrong in ({"host": 10**30}, {"host": "h", "ip": -(2**63) - 1}, {"host": {"a": 1}}, [], "h", {"host": 5}):
        assert (await _reserve(cloud, volume["id"], connector=wrong)).status == 400, wrong
        assert (await cloud.act(volume["id"], "os-initialize_connection", {"connector": wrong})).status == 400, wrong
    shown = (await cloud.ok("GET", f"/volumes/{volume['id']}"))["volume"]
    assert shown["attachments"] == []


async def test_a_read_only_volume_is_connected_so(cloud: Cloud) -> None:
    volume = await cloud.volume()
    flag = {"os-update_readonly_flag": {"readonly": True}}
    assert (await cloud("POST", f"/volumes/{volume['id']}/action", "member", flag)).status == 202
    made = (await _reserve(cloud, volume["id"])).json["attachment"]
    path = f"/attachments/{made['id']}"
    known = (await cloud.ok("PUT", path, "service", {"attachment": {"connector": CONNECTOR}}))["attachment"]
    assert (known["attach_mode"], known["connection_info"]["access_mode"]) == ("ro", "ro")


async def test_what_has_a_connection_is_given_to_no_other_project(cloud: Cloud) -> None:
    """Its former owner's host would go on to read and write it."""
    volume = (await cloud.volume())["id"]
    offer = {"transfer": {"volume_id": volume}}
    assert (await cloud.act(volume, "os-initialize_connection", {"connector": CONNECTOR})).status == 200
    assert (await cloud.ok("GET", f"/volumes/{volume}"))["volume"]["status"] == "available"
    assert (await cloud("POST", "/volume-transfers", json=offer)).status == 400
    assert (await cloud.act(volume, "os-terminate_connection", {"connector": CONNECTOR})).status == 202
    made = (await cloud.ok("POST", "/volume-transfers", json=offer))["transfer"]
    assert (await cloud.act(volume, "os-initialize_connection", {"connector": CONNECTOR})).status == 400
    accepted = {"accept": {"auth_key": made["auth_key"]}}
    assert (await cloud("POST", f"/volume-transfers/{made['id']}/accept", "foreign", accepted)).status == 202
    assert (await cloud.act(volume, "os-initialize_connection", {"connector": CONNECTOR})).status == 404


async def test_a_connection_that_may_be_there_is_on_record(cloud: Cloud) -> None:
    volume = (await cloud.volume())["id"]
    agent = cloud.agents.pop("node1")
    await agent.stop()
    assert (await cloud.act(volume, "os-initialize_connection", {"connector": CONNECTOR})).status == 503
    assert len((await cloud.ok("GET", f"/attachments?volume_id={volume}"))["attachments"]) == 1
    assert (await cloud("POST", "/volume-transfers", json={"transfer": {"volume_id": volume}})).status == 400
    await agent.start()
    cloud.agents["node1"] = agent
    assert (await cloud.act(volume, "os-terminate_connection", {"connector": CONNECTOR})).status == 202
    assert (await cloud.ok("GET", f"/attachments?volume_id={volume}"))["attachments"] == []


async def test_what_was_exported_is_withdrawn_though_its_answer_was_lost(cloud: Cloud, monkeypatch: Any) -> None:
    volume, connect = await cloud.volume(), FakeBackend.connect
    made = (await _reserve(cloud, volume["id"])).json["attachment"]

    async def lost(*given: Any) -> Any:
        await connect(*given)
        raise BackendAway("the answer is lost")

    path = f"/attachments/{made['id']}"
    with monkeypatch.context() as losing:
        losing.setattr(FakeBackend, "connect", lost)
        assert (await cloud("PUT", path, "service", {"attachment": {"connector": CONNECTOR}})).status >= 400
    driver = cloud.agents["node1"].backends["node1@fake"].driver
    assert [stored.attachments for stored in await driver.volumes()] == [(made["id"],)]
    assert (await cloud("DELETE", path, "service")).status == 200
    assert [stored.attachments for stored in await driver.volumes()] == [()]

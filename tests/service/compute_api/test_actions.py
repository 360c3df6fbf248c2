"""What can be done to servers, the messages about it, and the timeline afterwards."""

from __future__ import annotations

import datetime as dt
import uuid

import msgspec
import pytest
from sqlalchemy import insert, select

from kilonova.compute import models, tables
from kilonova.compute.models import ExternalEvent, StepRecord
from kilonova.compute.store import steps
from tests.service.compute_api.support import GROUP, port


async def act(cloud, server_id, token="member", at="2.104", **action):
    return await cloud("POST", f"/servers/{server_id}/action", at, token, json=action)


@pytest.mark.parametrize(
    ("action", "state", "name", "task"),
    [
        ({"os-stop": None}, "active", "stop", "powering-off"),
        ({"os-start": None}, "stopped", "start", "powering-on"),
        ({"reboot": {"type": "SOFT"}}, "active", "reboot", "rebooting"),
        ({"reboot": {"type": "hard"}}, "stopped", "reboot_hard", "rebooting_hard"),
        ({"forceDelete": None}, "error", "delete", "deleting"),
        ({"pause": None}, "active", "pause", "pausing"),
        ({"unpause": None}, "paused", "unpause", "unpausing"),
        ({"suspend": None}, "active", "suspend", "suspending"),
        ({"resume": None}, "suspended", "resume", "resuming"),
        ({"trigger_crash_dump": None}, "paused", "trigger_crash_dump", None),
    ],
)
async def test_actions_reach_the_host(cloud, action, state, name, task):
    server_id = await cloud.active()
    await cloud.row(server_id, vm_state=state)
    answer = await act(cloud, server_id, **action)
    assert (answer.status, answer.content) == (202, b"")
    ((got, (ref,)),) = await cloud.agent.wait()
    assert (got, ref.action) == ("run_action", name)
    assert ref.build.server.uuid == server_id
    assert ref.build.server.task_state == task
    assert ref.build.spec.flavor.id == "42"
    assert ref.request_id == answer.headers["x-openstack-request-id"]
    assert cloud.agent.contexts[0].token is None
    shown = (await cloud("GET", f"/servers/{server_id}")).json["server"]
    assert shown["OS-EXT-STS:task_state"] == task
    actions = (await cloud("GET", f"/servers/{server_id}/os-instance-actions")).json["instanceActions"]
    names = {"forceDelete": "delete", "os-stop": "stop", "os-start": "start"}
    wire = next(iter(action))
    assert actions[0]["action"] == names.get(wire, wire)
    assert actions[0]["request_id"] == ref.request_id


@pytest.mark.parametrize(
    ("action", "values", "words"),
    [
        ({"os-start": None}, {"vm_state": "active"}, "Cannot 'start' instance {id} while it is in vm_state active"),
        ({"os-stop": None}, {"vm_state": "stopped"}, "Cannot 'stop' instance {id} while it is in vm_state stopped"),
        (
            {"os-stop": None},
            {"task_state": "rebooting"},
            "Cannot 'stop' instance {id} while it is in task_state rebooting",
        ),
        (
            {"reboot": {"type": "SOFT"}},
            {"vm_state": "stopped"},
            "Cannot 'reboot' instance {id} while it is in vm_state stopped",
        ),
        ({"pause": None}, {"vm_state": "stopped"}, "Cannot 'pause' instance {id} while it is in vm_state stopped"),
        ({"unpause": None}, {"vm_state": "active"}, "Cannot 'unpause' instance {id} while it is in vm_state active"),
        ({"suspend": None}, {"vm_state": "paused"}, "Cannot 'suspend' instance {id} while it is in vm_state paused"),
        (
            {"resume": None},
            {"vm_state": "suspended", "task_state": "resuming"},
            "Cannot 'resume' instance {id} while it is in task_state resuming",
        ),
        ({"suspend": None}, {"locked_by": "admin"}, "Instance {id} is locked"),
        ({"os-stop": None}, {"locked_by": "owner"}, "Instance {id} is locked"),
        ({"forceDelete": None}, {"locked_by": "admin"}, "Instance {id} is locked"),
    ],
)
async def test_the_table_of_states_decides(cloud, action, values, words):
    server_id = await cloud.active()
    await cloud.row(server_id, **values)
    answer = await act(cloud, server_id, **action)
    assert answer.status == 409
    assert answer.json["conflictingRequest"]["message"] == words.format(id=server_id)
    assert cloud.agent.seen == []


@pytest.mark.parametrize(
    ("action", "status"),
    [
        ({"fly": None}, 400), ({}, 400), ({"os-start": None, "os-stop": None}, 400), ({"reboot": {}}, 400),
        ({"reboot": {"type": "GENTLE"}}, 400), ({"resize": {}}, 400), ({"createImage": {"name": ""}}, 400),
        ({"os-getVNCConsole": {"type": "novnc"}}, 404), ({"migrate": None}, 403), ({"addSecurityGroup": {}}, 400),
    ],
)  # fmt: skip
async def test_actions_that_are_none(cloud, action, status):
    server_id = await cloud.active()
    answer = await act(cloud, server_id, **action)
    assert answer.status == status, answer.content
    if "fly" in action:
        assert answer.json["badRequest"]["message"] == "There is no such action: fly"
    if status == 501:
        assert "not available" in answer.json["notImplemented"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "words"),
    [
        ("POST", "shares", "Attaching a share"),
    ],
)
async def test_what_is_not_built_below_a_server_is_501(cloud, method, path, words):
    path = f"/servers/{await cloud.active()}/{path}"
    answer = await cloud(method, path, json={})
    assert answer.status == 501
    assert answer.json["notImplemented"]["message"] == f"{words} is not available in this cloud yet."
    assert (await cloud(method, path, token="foreign", json={})).status == 404


async def test_crash_dumps_since_their_microversion(cloud):
    server_id = await cloud.active()
    assert (await act(cloud, server_id, at="2.16", trigger_crash_dump=None)).status == 404
    answer = await act(cloud, server_id, trigger_crash_dump={})
    assert (answer.status, answer.json["badRequest"]["message"]) == (
        400,
        "Invalid input: the body must be null, not an object",
    )
    await cloud.row(server_id, vm_state="stopped")
    answer = await act(cloud, server_id, at="2.17", trigger_crash_dump=None)
    words = f"Cannot 'trigger_crash_dump' instance {server_id} while it is in vm_state stopped"
    assert (answer.status, answer.json["conflictingRequest"]["message"]) == (409, words)
    assert cloud.agent.seen == []


async def test_network_info_is_read_again_for_administrators(cloud):
    server_id = await cloud.active()
    assert (await act(cloud, server_id, injectNetworkInfo=None)).status == 403
    assert (await act(cloud, server_id, token="admin", injectNetworkInfo=None)).status == 202
    assert (await cloud.conductor.wait(2))[-1] == ("network_changed", ([server_id],))
    answer = await act(cloud, server_id, token="admin", resetNetwork=None)
    words = "This resource is no longer available.  No forwarding address is given."
    assert (answer.status, answer.json) == (410, {"computeFault": {"code": 410, "message": words}})


@pytest.mark.parametrize("wire", ["pause", "unpause", "suspend", "resume", "trigger_crash_dump"])
async def test_a_foreign_server_is_not_there_and_a_reader_may_not(cloud, wire):
    server_id = await cloud.active()
    for token, status in (("foreign", 404), ("reader", 403)):
        assert (await act(cloud, server_id, token=token, **{wire: None})).status == status
    assert cloud.agent.seen == []


async def test_what_is_not_built_is_no_failure_of_ours(cloud, capsys):
    assert (await cloud("POST", f"/servers/{await cloud.active()}/shares", json={})).status == 501
    assert "request failed" not in "".join(capsys.readouterr())


async def test_operators_reset_a_servers_state(cloud):
    server_id = await cloud.active()
    await cloud.row(server_id, task_state="rebooting")
    assert (await act(cloud, server_id, **{"os-resetState": {"state": "error"}})).status == 403
    for state, status in (("error", "ERROR"), ("active", "ACTIVE")):
        path, body = f"/servers/{server_id}/action", {"os-resetState": {"state": state}}
        assert (await cloud("POST", path, token="admin", json=body)).status == 202
        shown = (await cloud("GET", f"/servers/{server_id}")).json["server"]
        assert (shown["status"], shown["OS-EXT-STS:task_state"]) == (status, None)
    wrong = {"os-resetState": {"state": "deleted"}}
    assert (await cloud("POST", f"/servers/{server_id}/action", token="admin", json=wrong)).status == 400
    assert cloud.agent.seen == []


async def test_delete(cloud):
    server_id = await cloud.active()
    for count in (1, 2):  # a second request is harmless
        assert (await cloud("DELETE", f"/servers/{server_id}")).status == 204
        seen = await cloud.agent.wait(count)
        assert [(name, ref.action) for name, (ref,) in seen] == [("run_action", "delete")] * count
    building = (await cloud.boot()).json["server"]["id"]
    await cloud.conductor.wait(2)
    answer = await cloud("DELETE", f"/servers/{building}")
    seen = await cloud.conductor.wait(3)
    assert seen[2] == ("delete_unhosted", (building, answer.headers["x-openstack-request-id"]))
    assert (await cloud("DELETE", f"/servers/{uuid.uuid4()}")).status == 404


async def test_a_server_whose_host_is_down_is_deleted_by_the_conductor(cloud):
    server_id = await cloud.active()
    await cloud.seen("host-1", seconds_ago=3600)
    before = len(cloud.conductor.seen)
    answer = await cloud("DELETE", f"/servers/{server_id}")
    assert answer.status == 204
    seen = await cloud.conductor.wait(before + 1)
    assert seen[-1] == ("delete_unhosted", (server_id, answer.headers["x-openstack-request-id"]))
    assert cloud.agent.seen == []


async def test_what_is_done_at_once_is_recorded_so(cloud):
    """A host that starts asks which action runs on its servers: that is none of these."""
    server_id = await cloud.active()
    for role, body in (
        ("member", {"lock": None}),
        ("member", {"unlock": None}),
        ("admin", {"os-resetState": {"state": "active"}}),
    ):
        assert (await cloud("POST", f"/servers/{server_id}/action", token=role, json=body)).status == 202
    assert (await act(cloud, server_id, **{"os-stop": None})).status == 202
    async with cloud.service.database.reading() as connection:
        records = (await connection.execute(select(tables.server_actions))).all()
    found = {row.action: row.finished_at is not None for row in records}
    assert found.items() >= {"lock": True, "unlock": True, "os-resetState": True, "stop": False}.items()


async def test_locks(cloud):
    server_id = await cloud.active()
    assert (await act(cloud, server_id, lock={"locked_reason": "mine"})).status == 202
    shown = (await cloud("GET", f"/servers/{server_id}")).json["server"]
    assert (shown["locked"], shown["locked_reason"]) == (True, "mine")
    assert (await act(cloud, server_id, unlock=None)).status == 202
    assert (await act(cloud, server_id, "admin", lock=None)).status == 202
    assert (await act(cloud, server_id, unlock=None)).status == 403
    assert (await cloud("POST", f"/servers/{server_id}/metadata", json={"metadata": {"a": "b"}})).status == 409
    assert (await act(cloud, server_id, "admin", **{"os-stop": None})).status == 202  # admins pass locks
    assert (await act(cloud, server_id, "admin", unlock=None)).status == 202


async def test_console_output(cloud):
    server_id = await cloud.active()
    cloud.agent.answers["console_output"] = b"one\ntwo\x1b[0m\nlogin: \xff"
    assert (await act(cloud, server_id, **{"os-getConsoleOutput": {"length": 1}})).json == {"output": "login: \ufffd"}
    everything = await act(cloud, server_id, **{"os-getConsoleOutput": {}})
    assert everything.json == {"output": "one\ntwo[0m\nlogin: \ufffd"}
    assert (await act(cloud, server_id, **{"os-getConsoleOutput": {"length": "x"}})).status == 400
    await cloud.row(server_id, host="host-gone")
    assert (await act(cloud, server_id, **{"os-getConsoleOutput": {}})).status == 409
    await cloud.row(server_id, host=None)
    assert (await act(cloud, server_id, **{"os-getConsoleOutput": {}})).status == 409


async def test_security_groups_of_a_running_server(cloud):
    server_id = await cloud.active()
    refused = await act(cloud, server_id, addSecurityGroup={"name": "web"})
    assert refused.status == 400  # no port yet
    # another project may write the server's id on its own port; that must not come into this project's groups
    strange = port("p0", "10.9.0.5", device_id=server_id, project_id="f" * 32, security_groups=[str(uuid.UUID(int=4))])
    cloud.networks.held_ports = [strange]
    assert (await act(cloud, server_id, addSecurityGroup={"name": "web"})).status == 400
    assert (await cloud("GET", f"/servers/{server_id}/os-security-groups")).json["security_groups"] == []
    cloud.networks.held_ports = [strange, port("p1", "10.0.0.5", device_id=server_id)]
    web = str(uuid.UUID(int=4))
    assert (await act(cloud, server_id, addSecurityGroup={"name": "web"})).status == 202
    assert cloud.networks.updates == [("p1", {"security_groups": [GROUP, web]})]
    assert (await act(cloud, server_id, addSecurityGroup={"name": "nope"})).status == 404
    assert (await act(cloud, server_id, removeSecurityGroup={"name": "web"})).status == 404  # the port has it not
    assert (await act(cloud, server_id, removeSecurityGroup={"name": "default"})).status == 202
    listed = (await cloud("GET", f"/servers/{server_id}/os-security-groups")).json["security_groups"]
    assert [group["name"] for group in listed] == ["default"]
    shown = (await cloud("GET", f"/servers/{server_id}")).json["server"]
    assert shown["security_groups"] == [{"name": "web"}]


async def test_timeline(cloud):
    made = await cloud.boot()
    server_id, request_id = made.json["server"]["id"], made.headers["x-openstack-request-id"]
    moment = cloud.service.core.clock.row_time()
    step = StepRecord(
        key="k", server_uuid=server_id, request_id=request_id, action="create", step="networking", component="compute",
        host="host-1", started_at=moment, finished_at=moment + dt.timedelta(seconds=1), result="Error",
        detail="no address left",
    )  # fmt: skip
    async with cloud.service.database.transaction() as tx:
        await steps.add(tx.connection, [step])
    path = f"/servers/{server_id}/os-instance-actions"
    (listed,) = (await cloud("GET", path)).json["instanceActions"]
    assert (listed["action"], listed["request_id"], listed["message"]) == ("create", request_id, None)
    member = (await cloud("GET", f"{path}/{request_id}")).json["instanceAction"]
    names = ["authenticate", "authorize", "validate", "quota", "record", "hand_over"]
    assert [event["event"] for event in member["events"]] == [f"api_{n}" for n in names] + ["compute_networking"]
    last = member["events"][-1]
    assert (last["result"], "host" in last, "details" in last, len(last["hostId"])) == ("Error", False, False, 56)
    admin = (await cloud("GET", f"{path}/{request_id}", token="admin")).json["instanceAction"]["events"][-1]
    assert (admin["host"], admin["details"], admin["traceback"]) == ("host-1", "no address left", None)
    assert (
        "details"
        not in (await cloud("GET", f"{path}/{request_id}", "2.83", "admin")).json["instanceAction"]["events"][0]
    )
    assert "events" not in (await cloud("GET", f"{path}/{request_id}", "2.50")).json["instanceAction"]
    assert (await cloud("GET", f"{path}/req-{uuid.uuid4()}")).status == 404
    assert (await cloud("GET", f"{path}?limit=1")).json["links"][0]["rel"] == "next"
    assert (await cloud("GET", f"{path}?marker=nope")).status == 400


async def test_decisions_are_for_admins(cloud):
    server_id = await cloud.active()
    decision = models.Decision(
        scheduler="s", chosen="host-1", filters=[models.FilterReason(filter="RamFilter", before=2, after=1)],
        hosts=[models.HostReason(host="host-2", refused_by="RamFilter", saw="needs 128 MB, has 64 MB")],
    )  # fmt: skip
    async with cloud.service.database.transaction() as tx:
        row = {"server_uuid": server_id, "request_id": "req-1", "decision": msgspec.msgpack.encode(decision),
               "created_at": cloud.service.core.clock.row_time()}  # fmt: skip
        await tx.connection.execute(insert(tables.decisions).values(**row))
    path = f"/servers/{server_id}/os-kilonova-decisions"
    assert (await cloud("GET", path)).status == 403
    (shown,) = (await cloud("GET", path, token="admin")).json["decisions"]
    assert shown["decision"]["hosts"][0]["saw"] == "needs 128 MB, has 64 MB"
    assert shown["decision"]["chosen"] == "host-1"


async def test_external_events(cloud):
    here, hostless = await cloud.active(), (await cloud.boot()).json["server"]["id"]
    events = [
        {"name": "network-vif-plugged", "server_uuid": here, "tag": "p1"},
        {"name": "network-vif-plugged", "server_uuid": hostless, "tag": "p2"},
        {"name": "network-vif-plugged", "server_uuid": str(uuid.uuid4()), "tag": "p3"},
        {"name": "volume-extended", "server_uuid": here},
    ]
    path = "/os-server-external-events"
    answer = await cloud("POST", path, token="service", json={"events": events})
    assert answer.status == 207
    assert [event["code"] for event in answer.json["events"]] == [200, 422, 404, 400]
    ((method, (got,)),) = await cloud.agent.wait()
    assert (method, got) == (
        "external_events", [ExternalEvent(name="network-vif-plugged", server_uuid=here, tag="p1")]
    )  # fmt: skip
    assert (await cloud("POST", path, token="service", json={"events": events[:1]})).status == 200
    assert (await cloud("POST", path, "2.50", "service", json={"events": events[3:]})).status == 400
    assert (await cloud("POST", path, token="service", json={"events": []})).status == 400


async def test_changed_ports_are_the_conductors_to_look_at(cloud):
    """Kept until that is done; the host waits for nothing of it."""
    here, hostless = await cloud.active(), (await cloud.boot()).json["server"]["id"]
    names = ("network-changed", "network-vif-deleted", "network-changed", "network-vif-unplugged")
    events = [{"name": name, "server_uuid": here, "tag": "p"} for name in names]
    events.append({"name": "network-changed", "server_uuid": hostless, "tag": "p"})
    answer = await cloud("POST", "/os-server-external-events", token="service", json={"events": events})
    assert [event["code"] for event in answer.json["events"]] == [200, 200, 200, 200, 422]
    ((_, (got,)),) = await cloud.agent.wait()
    assert [event.name for event in got] == ["network-vif-unplugged"]
    sent = [m for m in await cloud.conductor.wait(2) if m[0] == "network_changed"]
    assert sent == [("network_changed", ([here],))]

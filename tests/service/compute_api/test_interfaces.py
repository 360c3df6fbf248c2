"""Giving servers interfaces and taking them, up to the message that their hosts get."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from sqlalchemy import update

from kilonova.compute import tables
from kilonova.compute.port_ids import MOST, port_id_for
from kilonova.compute.resources.server_interfaces import logic
from kilonova.core import errors
from tests.eventually import until
from tests.service.compute_api.support import NETWORK, Cloud, network, port

PORT = str(uuid.UUID(int=77))


async def ended(cloud: Cloud, server_id: str, message: str | None = None) -> None:
    """What the conductor writes when the host has done the action."""
    from kilonova.core.clock import Clock

    table = tables.server_actions
    async with cloud.service.database.transaction() as tx:
        done = update(table).where(table.c.server_uuid == server_id, table.c.finished_at.is_(None))
        await tx.connection.execute(done.values(finished_at=Clock().row_time(), message=message))


async def attach(
    cloud: Cloud, server_id: str, body: Any = None, at: str = "2.104", token: str = "member", *, fails: bool = False
) -> Any:
    """A request, and a host that does at once what it asks."""
    before = len(cloud.agent.seen)
    asked = asyncio.ensure_future(
        cloud("POST", f"/servers/{server_id}/os-interface", at, token, json={"interfaceAttachment": body or {}})
    )
    await until(lambda: asked.done() or len(cloud.agent.seen) > before)
    if not asked.done():
        await ended(cloud, server_id, "Error" if fails else None)
    return await asked


async def interfaces(cloud: Cloud, server_id: str) -> list[str]:
    listed = (await cloud("GET", f"/servers/{server_id}/os-interface")).json["interfaceAttachments"]
    return [item["port_id"] for item in listed]


@pytest.mark.parametrize("state", ["active", "paused", "stopped"])
async def test_an_interface_on_a_network(cloud, state):
    server_id = await cloud.active()
    await cloud.row(server_id, vm_state=state)
    answer = await attach(
        cloud, server_id, {"net_id": NETWORK, "fixed_ips": [{"ip_address": "10.0.0.9"}], "tag": "nic"}
    )
    assert answer.status == 200, answer.content
    made = port_id_for(server_id, 0)
    assert answer.json["interfaceAttachment"] == {
        "net_id": NETWORK, "port_id": made, "mac_addr": "fa:16:3e:00:00:01", "port_state": "DOWN", "tag": "nic",
        "fixed_ips": [{"subnet_id": "subnet", "ip_address": "10.0.0.9"}],
    }  # fmt: skip
    (held,) = cloud.networks.held_ports
    assert (held.id, held.host_id, held.device_id, held.device_owner) == (made, "host-1", server_id, "compute:nova")
    ((name, (ref,)),) = cloud.agent.seen
    assert (name, ref.action) == ("run_action", "attach_interface")
    assert ref.build.arguments == {"port": made, "mac": "fa:16:3e:00:00:01"}
    assert [vif.port_id for vif in ref.build.server.network_info] == [made]
    assert [want.fixed_ip for want in ref.build.spec.networks] == ["10.0.0.9"]
    shown = (await cloud("GET", f"/servers/{server_id}")).json["server"]
    assert [address["addr"] for address in shown["addresses"]["private"]] == ["10.0.0.9"]
    assert shown["OS-EXT-STS:task_state"] is None


async def test_the_only_network_and_a_port_of_the_users(cloud):
    server_id = await cloud.active()
    assert (await attach(cloud, server_id)).json["interfaceAttachment"]["net_id"] == NETWORK
    cloud.networks.held_ports.append(port(PORT, "10.0.0.7"))
    answer = await attach(cloud, server_id, {"port_id": PORT}, at="2.69")
    assert "tag" not in answer.json["interfaceAttachment"]
    assert await interfaces(cloud, server_id) == [port_id_for(server_id, 0), PORT]
    assert cloud.networks.held_ports[-1].device_id == server_id
    answer = await attach(cloud, server_id, {"port_id": PORT})
    assert answer.status == 409
    assert answer.json["conflictingRequest"]["message"] == f"Port {PORT} is still in use."


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"port_id": PORT}, 404, f"Port id {PORT} could not be found."),
        ({"net_id": PORT}, 404, f"Network {PORT} could not be found."),
        ({"net_id": NETWORK, "port_id": PORT}, 400, "Must not input both network_id and port_id"),
        ({"fixed_ips": [{"ip_address": "10.0.0.9"}]}, 400, "Must input network_id when request IP address"),
        ({"net_id": NETWORK, "fixed_ips": [{"ip_address": "10.0.0"}]}, 400, "is not a valid IP address"),
        ({"net_id": NETWORK, "fixed_ips": [{"ip_address": "10.0.0.5"}]}, 409, "Fixed IP address 10.0.0.5 is already in use"),
        ({"net_id": "x"}, 400, "must be a UUID"),
        ({"net_id": NETWORK, "fixed_ips": []}, 400, "must not be empty"),
        ({"net_id": NETWORK, "colour": "red"}, 400, "colour"),
        ({"port_id": str(uuid.UUID(int=78))}, 400, "not usable for instance"),
        ({"port_id": str(uuid.UUID(int=79))}, 400, "requires a FixedIP"),
    ],
)  # fmt: skip
async def test_refusals_change_nothing(cloud, body, status, words):
    server_id = await cloud.active()
    cloud.networks.held_ports += [
        port(str(uuid.UUID(int=76)), "10.0.0.5"), port(str(uuid.UUID(int=78)), "10.0.0.6", project_id="another"),
        port(str(uuid.UUID(int=79)), "", fixed_ips=[]),
    ]  # fmt: skip
    answer = await attach(cloud, server_id, body)
    assert (answer.status, words in answer.content.decode()) == (status, True), answer.content
    assert cloud.agent.seen == []
    assert len(cloud.networks.held_ports) == 3
    actions = (await cloud("GET", f"/servers/{server_id}/os-instance-actions")).json["instanceActions"]
    assert [entry["action"] for entry in actions] == ["create"]


async def test_several_networks_are_ambiguous_and_none_is_not_enough(cloud):
    server_id = await cloud.active()
    cloud.networks.held_networks.append(network(str(uuid.UUID(int=9)), name="other"))
    answer = await attach(cloud, server_id)
    assert (answer.status, "Multiple possible networks" in answer.json["badRequest"]["message"]) == (400, True)
    cloud.networks.held_networks.clear()
    answer = await attach(cloud, server_id)
    assert (answer.status, "none are available" in answer.json["badRequest"]["message"]) == (400, True)


@pytest.mark.parametrize(
    ("kind", "status"),
    [("IpAddressGenerationFailure", 400), ("IpAddressInUse", 409), ("OverQuota", 403), ("InvalidIpForSubnet", 400)],
)
async def test_what_the_network_service_refuses_is_undone(cloud, kind, status):
    server_id = await cloud.active()
    cloud.networks.refusal = errors.Conflict("the network service's words", type=kind)
    answer = await attach(cloud, server_id)
    assert (answer.status, b"the network service's words" in answer.content) == (status, True)
    assert await interfaces(cloud, server_id) == []
    newest = (await cloud("GET", f"/servers/{server_id}/os-instance-actions")).json["instanceActions"][0]
    assert (newest["action"], newest["message"]) == ("attach_interface", "Error")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"vm_state": "suspended"}, "Cannot 'attach_interface' instance {id} while it is in vm_state suspended"),
        ({"task_state": "rebooting"}, "Cannot 'attach_interface' instance {id} while it is in task_state rebooting"),
        ({"locked_by": "owner"}, "Instance {id} is locked"),
        ({"host": "gone"}, "Unable to contact the host of instance {id}"),
    ],
)
async def test_states_that_forbid_it(cloud, values, words):
    server_id = await cloud.active()
    await cloud.row(server_id, **values)
    answer = await attach(cloud, server_id)
    assert (answer.status, answer.json["conflictingRequest"]["message"]) == (409, words.format(id=server_id))
    assert cloud.networks.held_ports == []


@pytest.mark.parametrize("task", ["resize_prep", "shelving", "deleting"])
async def test_what_began_while_the_port_was_made_goes_first(cloud, monkeypatch, task):
    """A host that loses the server meanwhile must not be asked for its interface."""
    server_id = await cloud.active()
    usual = cloud.networks.create_ports

    async def create_ports(*args: Any, **more: Any) -> Any:
        await cloud.row(server_id, task_state=task)
        return await usual(*args, **more)

    monkeypatch.setattr(cloud.networks, "create_ports", create_ports)
    answer = await attach(cloud, server_id)
    words = f"Cannot 'attach_interface' instance {server_id} while it is in task_state {task}"
    assert (answer.status, answer.json["conflictingRequest"]["message"]) == (409, words)
    assert (cloud.networks.held_ports, cloud.agent.seen) == ([], [])


async def test_a_host_that_fails_is_told(cloud):
    server_id = await cloud.active()
    answer = await attach(cloud, server_id, fails=True)
    assert (answer.status, answer.json["computeFault"]["message"]) == (
        500,
        f"Failed to attach network adapter device to {server_id}",
    )


async def test_a_slow_host_does_not_hold_the_answer(cloud, monkeypatch):
    monkeypatch.setattr(logic, "PATIENCE", 0.0)
    server_id = await cloud.active()
    answer = await cloud("POST", f"/servers/{server_id}/os-interface")
    assert (answer.status, answer.json["interfaceAttachment"]["port_state"]) == (200, "DOWN")


async def test_detaching(cloud):
    server_id = await cloud.active()
    await attach(cloud, server_id)
    (held,) = await interfaces(cloud, server_id)
    answer = await cloud("DELETE", f"/servers/{server_id}/os-interface/{held}")
    assert (answer.status, answer.content) == (202, b"")
    _, (_, (ref,)) = await cloud.agent.wait(2)
    assert (ref.action, ref.build.arguments["port"]) == ("detach_interface", held)
    assert await interfaces(cloud, server_id) == [held]  # until the host is rid of it
    for wrong in (PORT, "x"):
        answer = await cloud("DELETE", f"/servers/{server_id}/os-interface/{wrong}")
        assert answer.status == 404
    await cloud.row(server_id, vm_state="suspended")
    assert (await cloud("DELETE", f"/servers/{server_id}/os-interface/{held}")).status == 409
    assert len(cloud.agent.seen) == 2


async def test_places_of_ports_that_are_gone_are_used_again(cloud):
    """An id of a port is derived from its place, and there are only so many that are known as ours."""
    server_id = await cloud.active()
    for _ in range(MOST):
        assert (await attach(cloud, server_id)).status == 200
    answer = await attach(cloud, server_id)
    assert (answer.status, f"has {MOST} interfaces" in answer.json["badRequest"]["message"]) == (400, True)
    held = await interfaces(cloud, server_id)
    vif = {"network_id": NETWORK, "network_name": "private", "mac_address": "fa:16:3e:00:00:01"}
    await cloud.row(server_id, network_info=[vif | {"port_id": port_id} for port_id in held if port_id != held[5]])
    assert (await attach(cloud, server_id)).json["interfaceAttachment"]["port_id"] == port_id_for(server_id, 5)


@pytest.mark.parametrize(("method", "path"), [("POST", ""), ("DELETE", f"/{PORT}")])
async def test_only_members_of_its_project_may(cloud, method, path):
    server_id = await cloud.active()
    for token, status in (("foreign", 404), ("reader", 403)):
        assert (await cloud(method, f"/servers/{server_id}/os-interface{path}", token=token)).status == status

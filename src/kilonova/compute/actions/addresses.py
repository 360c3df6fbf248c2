"""Addresses of servers for clients of before 2.44: fixed ones on a port of the server, and floating ones that lead to it."""

from __future__ import annotations

from kilonova.compute.actions.base import Action, Api, R, Runs, Wanted
from kilonova.compute.resources.server_actions.schemas import FixedIpOn, FloatingIpFor, OneAddress
from kilonova.core.web.call import Reply
from kilonova.core.web.wire import Version, present

LAST = Version(2, 43)


async def _add_fixed(api: Api, wanted: Wanted) -> Reply:
    await api.network.add_fixed_ip(wanted.call.ctx, wanted.row, str(wanted.body.network_id))
    return Reply()


async def _remove_fixed(api: Api, wanted: Wanted) -> Reply:
    await api.network.remove_fixed_ip(wanted.call.ctx, wanted.row, wanted.body.address)
    return Reply()


async def _add_floating(api: Api, wanted: Wanted) -> Reply:
    asked = wanted.body
    await api.floating_ips.associate(wanted.call.ctx, wanted.row, asked.address, present(asked.fixed_address, None))
    return Reply()


async def _remove_floating(api: Api, wanted: Wanted) -> Reply:
    await api.floating_ips.disassociate(wanted.call.ctx, wanted.row, wanted.body.address)
    return Reply()


ACTIONS = tuple(
    Action(
        name=wire, wire=wire, rule=f"{R}:{rule}", runs=Runs.API, handler=handler, until=LAST, body=body, example=example,
        task_states=None,
    )
    for wire, rule, handler, body, example in (
        ("addFixedIp", "os-multinic:add", _add_fixed, FixedIpOn, {"networkId": "70a599e0-31e7-49b7-b260-868f441e862b"}),
        ("removeFixedIp", "os-multinic:remove", _remove_fixed, OneAddress, {"address": "10.0.0.9"}),
        ("addFloatingIp", "os-floating-ips:add", _add_floating, FloatingIpFor, {"address": "203.0.113.9"}),
        ("removeFloatingIp", "os-floating-ips:remove", _remove_floating, OneAddress, {"address": "203.0.113.9"}),
    )
)  # fmt: skip

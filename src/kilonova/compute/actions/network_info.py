"""What a server's row knows of its ports, read again; and what upstream removed together with its Xen driver."""

from __future__ import annotations

from kilonova.compute import errors
from kilonova.compute.actions.base import Action, Api, R, Runs, Wanted
from kilonova.core.web.call import Reply


async def _inject(api: Api, wanted: Wanted) -> Reply:
    await api.actions.read_ports(wanted.call.ctx, wanted.row.uuid)
    return Reply()


async def _reset(api: Api, wanted: Wanted) -> Reply:
    raise errors.Removed


ACTIONS = (
    Action(
        name="injectNetworkInfo", wire="injectNetworkInfo", rule=f"{R}:os-admin-actions:inject_network_info", runs=Runs.API,
        handler=_inject, task_states=None,
    ),
    Action(
        name="resetNetwork", wire="resetNetwork", rule=f"{R}:os-admin-actions:reset_state", runs=Runs.API, handler=_reset,
        task_states=None,
    ),
)  # fmt: skip

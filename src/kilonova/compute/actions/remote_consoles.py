"""Consoles as clients of earlier microversions ask for them; since 2.6 they are a resource of their own."""

from __future__ import annotations

from kilonova.compute.actions.base import Action, Api, Handler, R, Runs, Wanted
from kilonova.compute.resources.remote_consoles.errors import NotAtThisVersion
from kilonova.compute.resources.remote_consoles.schemas import (
    Console,
    ConsoleBody,
    SerialConsole,
    SpiceConsole,
    VncConsole,
)
from kilonova.core.web.call import Reply
from kilonova.core.web.wire import Version

RULE, LAST = f"{R}:os-remote-consoles", Version(2, 5)


def _console(protocol: str) -> Handler:
    async def create(api: Api, wanted: Wanted) -> Reply:
        kind = wanted.body.type
        url = await api.consoles.create(wanted.call.ctx, wanted.row, protocol, kind)
        return Reply(ConsoleBody(console=Console(type=kind, url=url)), status=200)

    return create


async def _refused(api: Api, wanted: Wanted) -> Reply:
    """Upstream has removed the only hypervisor that had these, and answers so."""
    raise NotAtThisVersion()


ACTIONS = (
    *(
        Action(
            name=f"os-get{name}Console", wire=f"os-get{name}Console", rule=RULE, runs=Runs.API, handler=_console(name.lower()),
            body=body, reply=ConsoleBody, example={"type": kind}, task_states=None, until=LAST,
        )
        for name, body, kind in (
            ("VNC", VncConsole, "novnc"), ("SPICE", SpiceConsole, "spice-html5"), ("Serial", SerialConsole, "serial"),
        )
    ),
    Action(
        name="os-getRDPConsole", wire="os-getRDPConsole", rule=RULE, runs=Runs.API, handler=_refused, task_states=None,
        until=LAST,
    ),
)  # fmt: skip

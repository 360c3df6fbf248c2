"""Read the serial console's text."""

from __future__ import annotations

from kilonova.compute.actions.base import Action, Api, R, Runs, Wanted
from kilonova.compute.resources.server_actions.schemas import ConsoleOutput, ConsoleText
from kilonova.core.web.call import Reply


async def _output(api: Api, wanted: Wanted) -> Reply:
    length = wanted.body.length
    text = await api.console.output(wanted.call.ctx, wanted.row.uuid, int(length) if length is not None else None)
    return Reply(ConsoleText(output=text), status=200)


ACTIONS = (
    Action(
        name="os-getConsoleOutput", wire="os-getConsoleOutput", rule=f"{R}:os-console-output", runs=Runs.API, handler=_output,
        body=ConsoleOutput, reply=ConsoleText, optional_body=True, example={"length": 10}, task_states=None,
    ),
)  # fmt: skip

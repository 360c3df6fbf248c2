"""What the volume conductor does for the API and for the agents, which have no access to the database."""

from __future__ import annotations

from kilonova.core.bus import Interface, call, cast, from_host
from kilonova.core.bus.base import Undelivered
from kilonova.core.context import RequestContext
from kilonova.volume.models import AgentReport, Order, Outcome


class VolumeConductorAPI(Interface):
    """What is marked `from_host` is for the agents."""

    topic = "volume-conductor"

    @cast
    async def run_task(self, ctx: RequestContext, task_id: str) -> None:
        """Choose a back end for the task where it has none, and send it there. Repeating it is harmless."""

    @cast
    async def tell_extended(self, ctx: RequestContext, volume_id: str) -> None:
        """A volume that servers have has grown: compute tells their guests. Repeating it is harmless."""

    @from_host("host")
    @call(timeout=60)
    async def task_wanted(self, ctx: RequestContext, host: str, task_id: str, pool: str) -> bool:
        """Whether the task is still to be done by this back end: a message may come late, or twice."""

    @from_host("outcome.host")
    @call(timeout=60)
    async def task_ended(self, ctx: RequestContext, outcome: Outcome) -> bool:
        """How a task ended. False: nothing waits for it any more, and the volume is not (or no more) to be at this back end: what
        was made is to be removed. Repeating it is harmless: the answer of a volume that is there stays True."""

    @from_host("report.host")
    @call(timeout=60)
    async def report_agent(self, ctx: RequestContext, report: AgentReport) -> None:
        """Heartbeat; makes back ends and pools known when new."""

    @from_host("host")
    @call(timeout=60)
    async def tasks_of(self, ctx: RequestContext, host: str) -> list[Order]:
        """What an agent that starts has still to do."""

    @call(timeout=60)
    async def undelivered(self, ctx: RequestContext) -> list[Undelivered]:
        """For `kilonova verify`: the messages that the volume service's outbox still keeps."""

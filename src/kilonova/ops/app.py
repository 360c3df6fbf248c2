"""Operations as a service: what an operator asks of a whole cloud."""

from __future__ import annotations

from kilonova.core.policy import ADMIN
from kilonova.core.service import Core
from kilonova.core.web.app import Route, build_app
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.errors import compute_format
from kilonova.core.web.wire import View
from kilonova.ops.checks import CHECKS, Finding, counted
from kilonova.ops.facts import gather

RULES = {"ops:verify": ADMIN}


class Report(View):
    """`counted` says how many objects of each kind were compared; `unexplained` are those that nothing explains."""

    counted: dict[str, int]
    unexplained: list[Finding]


class OpsService:
    prefix = "/ops"

    def __init__(self, core: Core) -> None:
        self.core = core
        web = core.web("ops", compute_format, core.policy("ops", RULES))
        self.routes = [
            Route(
                "GET", "/verify", self.verify, "ops:verify", reply=Report,
                summary="Compare databases, hosts and devices, and list what nothing explains.",
            )
        ]  # fmt: skip
        self.app = build_app(web, self.routes)

    async def start(self) -> None:
        return None

    async def stop(self) -> None:
        return None

    async def verify(self, call: Call) -> Reply:
        """Everything that nothing explains; an empty list is a clean cloud."""
        facts = await gather(self.core, call.ctx)
        findings = [finding for check in CHECKS for finding in check(facts)]
        return Reply(Report(counted=counted(facts), unexplained=findings))

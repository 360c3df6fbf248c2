"""Security groups over HTTP."""

from __future__ import annotations

from kilonova.core.web.call import Call, Reply
from kilonova.network.projects import ensure_default_group
from kilonova.network.resources.base.shared_handlers import SharedHandlers
from kilonova.network.resources.security_groups.logic import SecurityGroupLogic


class SecurityGroups(SharedHandlers[SecurityGroupLogic]):
    async def list(self, call: Call) -> Reply:
        """A project has its default group as soon as it looks."""
        await ensure_default_group(self.logic.deps, call.ctx.project_id)
        return await super().list(call)

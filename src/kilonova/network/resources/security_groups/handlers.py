"""Security groups over HTTP."""

from __future__ import annotations

import re

from kilonova.core.web.call import Call, Reply
from kilonova.network.projects import ensure_default_group
from kilonova.network.resources.base.shared_handlers import SharedHandlers
from kilonova.network.resources.security_groups.logic import SecurityGroupLogic

PROJECT = re.compile(r"[0-9A-Za-z_-]{1,64}")


class SecurityGroups(SharedHandlers[SecurityGroupLogic]):
    async def list(self, call: Call) -> Reply:
        """A project has its default group as soon as it looks, or an administrator looks at what it has."""
        named = call.query.get("project_id") or call.query.get("tenant_id")
        project_id = named if named and PROJECT.fullmatch(named) and call.ctx.is_admin else call.ctx.project_id
        await ensure_default_group(self.logic.deps, project_id)
        return await super().list(call)

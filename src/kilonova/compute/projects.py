"""Whether a project that an operator names exists: the identity service is asked on the operator's behalf."""

from __future__ import annotations

import re

from kilonova.compute.errors import UnknownProject
from kilonova.compute.peers import ProjectReader
from kilonova.core import errors as core_errors
from kilonova.core import log
from kilonova.core.context import RequestContext

ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
logger = log.get("compute")


async def check_project(client: ProjectReader, ctx: RequestContext, project_id: str) -> None:
    """Raises UnknownProject when identity says that there is none. As upstream, where identity is unreachable or does not let the
    caller look, the project is taken to exist."""
    if not ID.fullmatch(project_id):
        raise UnknownProject(project_id=project_id)
    if project_id == ctx.project_id:
        return
    try:
        await client.project(project_id, ctx=ctx)
    except core_errors.NotFound:
        raise UnknownProject(project_id=project_id) from None
    except core_errors.KilonovaError as error:
        logger.warning("project not checked", project_id=project_id, reason=error.message)

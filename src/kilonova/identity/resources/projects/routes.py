"""Routes of projects and their tags."""

from __future__ import annotations

from kilonova.core.web.app import Route
from kilonova.identity.resources.base import Deps
from kilonova.identity.resources.projects import schemas as shapes
from kilonova.identity.resources.projects.handlers import Projects
from kilonova.identity.resources.projects.logic import ProjectLogic
from kilonova.identity.resources.projects.policies import RULES
from kilonova.identity.web.resource import Resource, crud


def routes(deps: Deps) -> list[Route]:
    api = Projects(ProjectLogic(deps))
    tags = "/v3/projects/{project_id:str}/tags"
    tag = tags + "/{value:str}"
    return [
        *crud(
            "/v3/projects", "project", api,
            one=shapes.ProjectBody, shown=shapes.ProjectInTreeBody, several=shapes.Projects,
            create=shapes.ProjectCreateBody, update=shapes.ProjectUpdateBody,
        ),
        Route(
            "GET", tags, api.tags, "identity:list_project_tags",
            reply=shapes.ProjectTags, summary="List a project's tags.",
        ),
        Route(
            "PUT", tags, api.set_tags, "identity:update_project_tags",
            body=shapes.TagsPut, reply=shapes.ProjectTags, summary="Replace a project's tags.",
        ),
        Route("DELETE", tags, api.clear_tags, "identity:delete_project_tags", 204, summary="Remove all tags of a project."),
        Route("GET", tag, api.check_tag, "identity:get_project_tag", 204, summary="Check whether a project has a tag."),
        Route("PUT", tag, api.add_tag, "identity:create_project_tag", 201, summary="Add a tag to a project."),
        Route("DELETE", tag, api.remove_tag, "identity:delete_project_tag", 204, summary="Remove a tag from a project."),
    ]  # fmt: skip


PROJECTS = Resource(routes, RULES)

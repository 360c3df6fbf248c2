"""Projects and their tags over HTTP."""

from __future__ import annotations

from urllib.parse import quote

from kilonova.core.web.call import Call, Reply
from kilonova.identity import errors
from kilonova.identity.resources.projects import schemas as shapes
from kilonova.identity.resources.projects import views
from kilonova.identity.resources.projects.logic import ProjectLogic
from kilonova.identity.store.projects import ProjectRow
from kilonova.identity.web.body import changes, columns, domain_of, given_options, read
from kilonova.identity.web.query import flag, given
from kilonova.identity.web.views import list_links

MAX_TAGS = 80


class Projects:
    def __init__(self, projects: ProjectLogic) -> None:
        self.projects = projects

    async def list(self, call: Call) -> Reply:
        query = call.query
        filters = given(
            name=query.get("name"),
            domain_id=query.get("domain_id"),
            parent_id=query.get("parent_id"),
            enabled=flag(call, "enabled"),
        )
        rows = await self.projects.list(**filters, is_domain=flag(call, "is_domain") or False)
        rows = [row for row in rows if _tags_match(call, row)]
        return Reply(views.projects(call, "/v3/projects", rows))

    async def show(self, call: Call, project_id: str) -> Reply:
        row = await self.projects.get(project_id)
        parents = await self.projects.parents(project_id) if "parents_as_list" in call.query else None
        subtree = await self.projects.children(project_id) if "subtree_as_list" in call.query else None
        return Reply(views.body_in_tree(call, row, parents=parents, subtree=subtree))

    async def create(self, call: Call) -> Reply:
        body, extra = await read(call, shapes.ProjectCreateBody)
        project = body.project
        if project.is_domain:
            raise errors.Invalid(reason="Projects that act as domains are made as domains.")
        values = columns(project, "options", "is_domain") | {"extra": extra, "options": given_options(project.options)}
        if project.domain_id is None and project.parent_id is None:
            values["domain_id"] = domain_of(call)
        return Reply(views.body(call, await self.projects.create(values)))

    async def update(self, call: Call, project_id: str) -> Reply:
        body, extra = await read(call, shapes.ProjectUpdateBody)
        return Reply(views.body(call, await self.projects.update(project_id, changes(body.project), extra)))

    async def delete(self, call: Call, project_id: str) -> Reply:
        await self.projects.delete(project_id)
        return Reply()

    async def tags(self, call: Call, project_id: str) -> Reply:
        row = await self.projects.get(project_id)
        links = list_links(call, f"/v3/projects/{project_id}/tags")
        return Reply(shapes.ProjectTags(tags=row.tags, links=links))

    async def set_tags(self, call: Call, project_id: str) -> Reply:
        body = await call.decode(shapes.TagsPut)
        await self.projects.update(project_id, {"tags": list(dict.fromkeys(body.tags))}, {})
        return await self.tags(call, project_id)

    async def clear_tags(self, call: Call, project_id: str) -> Reply:
        await self.projects.update(project_id, {"tags": []}, {})
        return Reply()

    async def check_tag(self, call: Call, project_id: str, value: str) -> Reply:
        if value not in (await self.projects.get(project_id)).tags:
            raise errors.TagNotFound(tag=value)
        return Reply()

    async def add_tag(self, call: Call, project_id: str, value: str) -> Reply:
        row = await self.projects.get(project_id)
        if not value or len(value) > 255 or "," in value or "\x00" in value or len(row.tags) >= MAX_TAGS:
            raise errors.Invalid(reason="Invalid project tag, or too many of them.")
        if value not in row.tags:
            await self.projects.update(project_id, {"tags": [*row.tags, value]}, {})
        return Reply(headers={"Location": f"{call.base_url}/v3/projects/{project_id}/tags/{quote(value, safe='')}"})

    async def remove_tag(self, call: Call, project_id: str, value: str) -> Reply:
        row = await self.projects.get(project_id)
        if value not in row.tags:
            raise errors.TagNotFound(tag=value)
        await self.projects.update(project_id, {"tags": [tag for tag in row.tags if tag != value]}, {})
        return Reply()


def _tags_match(call: Call, row: ProjectRow) -> bool:
    """`tags` all of them, `tags-any` one of them, and the two with `not-` for the opposite."""
    held = set(row.tags)
    for name, met in (("tags", held.issuperset), ("tags-any", lambda asked: not held.isdisjoint(asked))):
        for prefix, wanted in (("", True), ("not-", False)):
            asked = call.query.get(prefix + name)
            if asked and bool(met(asked.split(","))) is not wanted:
                return False
    return True

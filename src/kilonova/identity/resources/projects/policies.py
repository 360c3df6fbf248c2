"""Policy rules of projects and their tags."""

from __future__ import annotations

from kilonova.identity.web.checks import ADMIN, READER, crud_rules

PROJECT_READ = f"{READER} or project_id:%(target.project.id)s"

RULES = crud_rules("project", "projects", read=PROJECT_READ) | {
    "identity:list_project_tags": PROJECT_READ,
    "identity:get_project_tag": PROJECT_READ,
    "identity:update_project_tags": ADMIN,
    "identity:create_project_tag": ADMIN,
    "identity:delete_project_tags": ADMIN,
    "identity:delete_project_tag": ADMIN,
}

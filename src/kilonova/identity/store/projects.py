"""SQL of projects, and of domains, which are projects too."""

from __future__ import annotations

from kilonova.identity import tables
from kilonova.identity.store.records import OptionsRow, Records


class ProjectRow(OptionsRow):
    domain_id: str
    parent_id: str | None
    is_domain: bool
    enabled: bool
    description: str | None
    tags: list[str]


projects = Records(tables.projects, ProjectRow)

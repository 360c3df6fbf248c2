"""Wire shapes of role assignments."""

from __future__ import annotations

from msgspec import UNSET, UnsetType, field

from kilonova.core.web.wire import View
from kilonova.identity.web.views import ListLinks


class AssignedDomain(View):
    id: str
    name: str


class Assigned(View):
    """A role, the user or group that has it, or where it has it. `name` and `domain` are there with `include_names`."""

    id: str
    name: str | UnsetType | None = UNSET
    domain: AssignedDomain | UnsetType = UNSET


class AssignmentScope(View):
    """Where a role is granted: one of project, domain and system."""

    project: Assigned | UnsetType = UNSET
    domain: Assigned | UnsetType = UNSET
    system: dict[str, bool] | UnsetType = UNSET
    inherited_to: str | UnsetType = field(name="OS-INHERIT:inherited_to", default=UNSET)


class AssignmentLinks(View):
    assignment: str
    membership: str | UnsetType = UNSET


class Assignment(View, kw_only=True):
    """Which user or group has a role where."""

    role: Assigned
    user: Assigned | UnsetType = UNSET
    group: Assigned | UnsetType = UNSET
    scope: AssignmentScope
    links: AssignmentLinks


class Assignments(View):
    role_assignments: list[Assignment]
    links: ListLinks

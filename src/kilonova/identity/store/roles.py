"""SQL of roles, and of which implies which."""

from __future__ import annotations

from kilonova.core.db import TypedRow
from kilonova.identity import tables
from kilonova.identity.store.records import OptionsRow, Records


class RoleRow(OptionsRow):
    """`domain_id` is "" for a role of the whole cloud."""

    domain_id: str
    description: str | None


class ImpliedRoleRow(TypedRow):
    prior_id: str
    implied_id: str


roles = Records(tables.roles, RoleRow)
implied_roles = Records(tables.implied_roles, ImpliedRoleRow)

"""SQL of users."""

from __future__ import annotations

from kilonova.identity import tables
from kilonova.identity.store.records import OptionsRow, Records


class UserRow(OptionsRow):
    domain_id: str
    default_project_id: str | None
    enabled: bool
    password_hash: str | None


users = Records(tables.users, UserRow)

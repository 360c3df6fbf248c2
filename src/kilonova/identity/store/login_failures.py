"""SQL of wrong passwords."""

from __future__ import annotations

from kilonova.core.db import TypedRow
from kilonova.identity import tables
from kilonova.identity.store.records import Records


class LoginFailuresRow(TypedRow):
    subject: str
    failures: int
    expires_at: int


login_failures = Records(tables.login_failures, LoginFailuresRow)

"""SQL of application credentials and their roles."""

from __future__ import annotations

from kilonova.core.db import TypedRow
from kilonova.identity import tables
from kilonova.identity.store.records import Records


class ApplicationCredentialRow(TypedRow):
    id: str
    user_id: str
    project_id: str
    name: str
    description: str | None
    secret_hash: str
    expires_at: int | None
    unrestricted: bool


class ApplicationCredentialRoleRow(TypedRow):
    credential_id: str
    role_id: str


application_credentials = Records(tables.application_credentials, ApplicationCredentialRow)
application_credential_roles = Records(tables.application_credential_roles, ApplicationCredentialRoleRow)

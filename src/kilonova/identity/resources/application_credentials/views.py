"""How application credentials look on the wire."""

from __future__ import annotations

from msgspec import UNSET

from kilonova.core.web.call import Call
from kilonova.identity import timestamps
from kilonova.identity.resources.application_credentials import schemas as shapes
from kilonova.identity.resources.application_credentials.logic import Held
from kilonova.identity.web.views import SelfLink


def application_credential(call: Call, held: Held) -> shapes.ApplicationCredential:
    row = held.row
    return shapes.ApplicationCredential(
        id=row.id,
        name=row.name,
        description=row.description,
        user_id=row.user_id,
        project_id=row.project_id,
        expires_at=timestamps.text(row.expires_at)[:-1] if row.expires_at is not None else None,
        unrestricted=row.unrestricted,
        roles=[shapes.HeldRole(id=role.id, name=role.name, domain_id=role.domain_id or None) for role in held.roles],
        links=SelfLink(href=f"{call.base_url}/v3/users/{row.user_id}/application_credentials/{row.id}"),
        secret=UNSET if held.secret is None else held.secret,
    )


def body(call: Call, held: Held) -> shapes.ApplicationCredentialBody:
    return shapes.ApplicationCredentialBody(application_credential=application_credential(call, held))

"""How credentials look on the wire."""

from __future__ import annotations

import msgspec

from kilonova.core.web.call import Call
from kilonova.identity.resources.credentials import schemas as shapes
from kilonova.identity.resources.credentials.logic import Held
from kilonova.identity.web.views import SelfLink


def credential(call: Call, held: Held) -> shapes.Credential:
    row = held.row
    return shapes.Credential(
        id=row.id,
        type=row.type,
        user_id=row.user_id,
        project_id=row.project_id,
        blob=held.blob,
        links=SelfLink(href=f"{call.base_url}/v3/credentials/{row.id}"),
    )


def body(call: Call, held: Held) -> shapes.CredentialBody:
    return shapes.CredentialBody(credential=credential(call, held))


def ec2_credential(call: Call, held: Held) -> shapes.Ec2Credential:
    keys = msgspec.json.decode(held.blob)
    path = f"/v3/users/{held.row.user_id}/credentials/OS-EC2/{keys['access']}"
    return shapes.Ec2Credential(
        access=keys["access"],
        secret=keys.get("secret"),
        user_id=held.row.user_id,
        tenant_id=held.row.project_id,
        trust_id=keys.get("trust_id"),
        links=SelfLink(href=call.base_url + path),
    )


def ec2_body(call: Call, held: Held) -> shapes.Ec2CredentialBody:
    return shapes.Ec2CredentialBody(credential=ec2_credential(call, held))

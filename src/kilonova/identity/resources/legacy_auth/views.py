"""How v2.0 shows tokens."""

from __future__ import annotations

from kilonova.identity import timestamps
from kilonova.identity.resources.auth.views import catalog_view
from kilonova.identity.resources.legacy_auth import schemas as shapes
from kilonova.identity.tokens.lifecycle import Token


def access_body(text: str, token: Token) -> shapes.AccessReply:
    return shapes.AccessReply(access=access_view(text, token))


def access_view(text: str, token: Token) -> shapes.Access:
    payload, subject = token.payload, token.subject
    view = shapes.TokenV2(
        id=text,
        expires=timestamps.text(payload.expires_at),
        issued_at=timestamps.text(payload.issued_at),
        audit_ids=list(payload.audit_ids),
    )
    if payload.scope == "project":
        view.tenant = shapes.Tenant(id=subject.target_id or "", name=subject.target_name or "")
    return shapes.Access(
        token=view,
        user=shapes.UserV2(
            id=subject.user_id,
            name=subject.user_name,
            username=subject.user_name,
            roles=[shapes.RoleV2(name=role.name) for role in token.roles],
        ),
        service_catalog=_catalog(token) if payload.scope == "project" else [],
        metadata=shapes.Metadata(is_admin=0, roles=[role.id for role in token.roles]),
    )


def _catalog(token: Token) -> list[shapes.ServiceV2]:
    """One entry a region, with the three URLs side by side."""
    found: list[shapes.ServiceV2] = []
    for service in catalog_view(token):
        regions: dict[str | None, shapes.EndpointV2] = {}
        for endpoint in service.endpoints:
            new = shapes.EndpointV2(id=endpoint.id, region=endpoint.region, tenant_id=token.subject.target_id or "")
            place = regions.setdefault(endpoint.region, new)
            setattr(place, f"{endpoint.interface}_url", endpoint.url)
        if regions:
            found.append(shapes.ServiceV2(type=service.type, name=service.name, endpoints=list(regions.values())))
    return found

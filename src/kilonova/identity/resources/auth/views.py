"""How tokens look on the wire."""

from __future__ import annotations

import re

from msgspec import UNSET

from kilonova.identity import timestamps
from kilonova.identity.resources.auth import schemas as shapes
from kilonova.identity.tokens.lifecycle import Token

PLACEHOLDER = re.compile(r"[$%]\((project_id|tenant_id|user_id)\)s")


def token_body(token: Token) -> shapes.TokenReply:
    return shapes.TokenReply(token=token_view(token))


def token_view(token: Token) -> shapes.TokenView:
    payload, subject = token.payload, token.subject
    user_domain = shapes.Named(id=subject.user_domain_id, name=subject.user_domain_name)
    view = shapes.TokenView(
        methods=list(payload.methods),
        user=shapes.Owned(domain=user_domain, id=subject.user_id, name=subject.user_name, password_expires_at=None),
        audit_ids=list(payload.audit_ids),
        expires_at=timestamps.text(payload.expires_at),
        issued_at=timestamps.text(payload.issued_at),
    )
    if payload.scope == "project":
        owner = shapes.Named(id=subject.target_domain_id or "", name=subject.target_domain_name)
        view.project = shapes.Owned(domain=owner, id=subject.target_id or "", name=subject.target_name or "")
        view.is_domain = bool(subject.target_is_domain)
    elif payload.scope == "domain":
        view.domain = shapes.Named(id=subject.target_id or "", name=subject.target_name)
    elif payload.scope == "system":
        view.system = {"all": True}
    if payload.scope != "unscoped":
        view.roles = [shapes.Named(id=role.id, name=role.name) for role in token.roles]
        view.catalog = catalog_view(token) if token.catalog is not None else UNSET
    if payload.credential_id is not None:
        view.application_credential = shapes.ApplicationCredentialView(
            id=payload.credential_id, name=subject.credential_name or "", restricted=not subject.credential_unrestricted
        )
    return view


def catalog_view(token: Token) -> list[shapes.CatalogService]:
    """The catalog as this token's user sees it: with the project's id in URLs that have room for it."""
    facts = {"user_id": token.payload.user_id}
    if token.payload.scope == "project":
        facts |= {"project_id": token.payload.scope_id or "", "tenant_id": token.payload.scope_id or ""}
    services: dict[str, shapes.CatalogService] = {}
    for row in token.catalog or ():
        service = services.setdefault(
            row.service_id,
            shapes.CatalogService(endpoints=[], id=row.service_id, type=row.service_type, name=row.service_name or ""),
        )
        if any(name not in facts for name in PLACEHOLDER.findall(row.url)):
            continue
        url = PLACEHOLDER.sub(lambda found: facts[found.group(1)], row.url)
        service.endpoints.append(
            shapes.CatalogEndpoint(
                id=row.id, interface=row.interface, region_id=row.region_id, url=url, region=row.region_id
            )
        )
    return list(services.values())

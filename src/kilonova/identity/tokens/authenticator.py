"""Validation of tokens without HTTP: for identity's own routes, and for the process that holds identity."""

from __future__ import annotations

from kilonova.core.context import RequestContext
from kilonova.identity import errors, timestamps
from kilonova.identity.tokens.lifecycle import Token, TokenLogic

SERVICE_ROLE = "service"


class LocalAuthenticator:
    """An Authenticator (see core/web/auth) straight on identity's logic; nothing is remembered, so that a revocation
    counts at once."""

    def __init__(self, tokens: TokenLogic) -> None:
        self._tokens = tokens

    async def authenticate(self, token: str) -> RequestContext | None:
        try:
            return context_of(await self._tokens.validate(token))
        except errors.TokenNotFound:
            return None


def context_of(token: Token) -> RequestContext:
    """The caller that a token authenticates."""
    subject, payload = token.subject, token.payload
    roles = tuple(role.name for role in token.roles)
    project = payload.scope == "project"
    return RequestContext(
        request_id="",
        user_id=subject.user_id,
        user_name=subject.user_name,
        user_domain_id=subject.user_domain_id,
        project_id=subject.target_id if project else None,
        project_name=subject.target_name if project else None,
        project_domain_id=subject.target_domain_id if project else None,
        domain_id=subject.target_id if payload.scope == "domain" else None,
        system_scope="all" if payload.scope == "system" else None,
        roles=roles,
        expires_at=timestamps.text(payload.expires_at),
        is_service=SERVICE_ROLE in roles,
    )

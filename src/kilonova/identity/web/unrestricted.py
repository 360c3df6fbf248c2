"""What a restricted application credential may not do."""

from __future__ import annotations

from kilonova.core.web.call import Call
from kilonova.identity import errors
from kilonova.identity.tokens.lifecycle import Token, TokenLogic
from kilonova.identity.tokens.providers import DELEGATED


async def unrestricted(call: Call, tokens: TokenLogic) -> Token:
    """The caller's token. A program that acts with a restricted application credential must neither make itself further
    ones nor read secrets that give more rights than it has."""
    token = await tokens.validate(call.ctx.token or "")
    if DELEGATED in token.payload.methods:
        raise errors.NotAllowed(action=f"Using method '{DELEGATED}' is not allowed for managing credentials")
    if token.payload.credential_id is not None and not token.subject.credential_unrestricted:
        raise errors.NotAllowed(
            action="Using method 'application_credential' is not allowed for managing additional application credentials"
        )
    return token

"""Token providers: how a token's payload becomes the text a client holds, and back."""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Protocol
from uuid import UUID

import msgspec

from kilonova.core.clock import Clock
from kilonova.core.db import Database, retried
from kilonova.identity.keys import KeyRepository
from kilonova.identity.store import tokens as store

DELEGATED = "ec2credential"
"""The method of tokens that were got with an EC2 credential: they make no further credentials and get no other tokens."""
METHODS = ("password", "token", "application_credential", "v1", DELEGATED)  # bit numbers: only ever append
MAX_TOKEN = 255
Packed = Any  # 16 bytes for an id of 32 hex digits, the text of another, or None


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says. `scope` is unscoped, project, domain or system; `audit_ids` are the token's own and, for one got
    with another token, the first one's of that chain."""

    user_id: str
    methods: tuple[str, ...]
    scope: str = "unscoped"
    scope_id: str | None = None
    issued_at: int
    expires_at: int
    audit_ids: tuple[str, ...]
    credential_id: str | None = None


class _Compact(msgspec.Struct, array_like=True):
    version: int
    methods: int
    user_id: Packed
    scope: int
    scope_id: Packed
    issued_at: int
    lifetime: int
    audit_ids: list[bytes]
    credential_id: Packed = None


SCOPES = ("unscoped", "project", "domain", "system")


def _squeeze(text: str | None) -> Packed:
    """An id of 32 hex digits in 16 bytes."""
    try:
        return UUID(hex=text).bytes if text is not None and text == UUID(hex=text).hex else text
    except ValueError:
        return text


def _stretch(packed: Packed) -> str | None:
    return UUID(bytes=packed).hex if isinstance(packed, bytes) else packed


def pack(payload: Payload) -> bytes:
    compact = _Compact(
        version=1,
        methods=sum(1 << METHODS.index(method) for method in payload.methods),
        user_id=_squeeze(payload.user_id),
        scope=SCOPES.index(payload.scope),
        scope_id=_squeeze(payload.scope_id),
        issued_at=payload.issued_at,
        lifetime=payload.expires_at - payload.issued_at,
        audit_ids=[base64.urlsafe_b64decode(audit_id + "==") for audit_id in payload.audit_ids],
        credential_id=_squeeze(payload.credential_id),
    )
    return msgspec.msgpack.encode(compact)


def unpack(packed: bytes) -> Payload:
    compact = msgspec.msgpack.decode(packed, type=_Compact)
    return Payload(
        user_id=_stretch(compact.user_id) or "",
        methods=tuple(method for bit, method in enumerate(METHODS) if compact.methods >> bit & 1),
        scope=SCOPES[compact.scope],
        scope_id=_stretch(compact.scope_id),
        issued_at=compact.issued_at,
        expires_at=compact.issued_at + compact.lifetime,
        audit_ids=tuple(base64.urlsafe_b64encode(raw).rstrip(b"=").decode() for raw in compact.audit_ids),
        credential_id=_stretch(compact.credential_id),
    )


class TokenProvider(Protocol):
    async def make(self, payload: Payload) -> str: ...
    async def read(self, token: str) -> Payload | None:
        """None for a text that is no token of ours."""


class FernetProvider:
    """The token carries its payload, encrypted; nothing is stored."""

    def __init__(self, keys: KeyRepository) -> None:
        self.keys = keys

    async def make(self, payload: Payload) -> str:
        return self.keys.seal(pack(payload)).rstrip(b"=").decode()

    async def read(self, token: str) -> Payload | None:
        if not token.isascii() or len(token) > MAX_TOKEN:
            return None
        packed = self.keys.open(token.encode() + b"=" * (-len(token) % 4))
        return unpack(packed) if packed is not None else None


class UuidProvider:
    """The token is random, its payload in the database under the token's hash."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database, self.clock = database, clock

    @retried
    async def make(self, payload: Payload) -> str:
        token = self.clock.random_bytes(16).hex()
        async with self.database.transaction() as tx:
            await store.keep(tx.connection, _digest(token), pack(payload), payload.expires_at)
        return token

    async def read(self, token: str) -> Payload | None:
        if len(token) > MAX_TOKEN:
            return None
        async with self.database.reading() as connection:
            packed = await store.kept(connection, _digest(token))
        return unpack(packed) if packed is not None else None


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()

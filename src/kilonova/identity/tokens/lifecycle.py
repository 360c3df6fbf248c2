"""Tokens: issued, checked and revoked. What a token grants is looked up at every check, never carried in it."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import msgspec

from kilonova.core.clock import Clock
from kilonova.core.db import Connection, Database, retried
from kilonova.identity import errors, timestamps
from kilonova.identity.catalog_cache import CatalogCache
from kilonova.identity.options import IdentityOptions
from kilonova.identity.resource_options import suffices
from kilonova.identity.store import assignments as assignment_store
from kilonova.identity.store import tokens as store
from kilonova.identity.store.assignments import RoleNameRow
from kilonova.identity.store.catalog import CatalogRow
from kilonova.identity.store.tokens import SubjectRow
from kilonova.identity.tokens.providers import Payload, TokenProvider
from kilonova.identity.tokens.revocation import Revocations


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A valid token. The catalog is None when it was not asked for."""

    payload: Payload
    subject: SubjectRow
    roles: Sequence[RoleNameRow]
    catalog: Sequence[CatalogRow] | None


class Scope(msgspec.Struct, frozen=True):
    """`kind` is unscoped, project, domain or system."""

    kind: str = "unscoped"
    id: str | None = None


class TokenLogic:
    def __init__(
        self,
        database: Database,
        clock: Clock,
        options: IdentityOptions,
        provider: TokenProvider,
        revocations: Revocations,
        catalog: CatalogCache,
    ) -> None:
        self.database, self.clock, self.options = database, clock, options
        self.provider, self.revocations, self.catalog = provider, revocations, catalog

    async def issue(
        self, user_id: str, methods: tuple[str, ...], scope: Scope, *, began: int, parent: Payload | None = None,
        credential_id: str | None = None, ends_at: int | None = None, catalog: bool = True,
    ) -> tuple[str, Token]:  # fmt: skip
        """(the token's text, what it says); NotAuthenticated when the user may not have that scope, or
        needs further methods. A token got with
        another one ends when that one does, and at `ends_at` at the latest. `began` is the moment before the proof was looked
        at: what is revoked while a login is on its way counts for its token too."""
        ends = [parent.expires_at if parent else began + self.options.token_ttl * timestamps.SECOND, ends_at]
        own = base64.urlsafe_b64encode(self.clock.random_bytes(16)).rstrip(b"=").decode()
        payload = Payload(
            user_id=user_id,
            methods=tuple(dict.fromkeys([*methods, *(parent.methods if parent else ())])),
            scope=scope.kind,
            scope_id=scope.id,
            issued_at=began,
            expires_at=min(end for end in ends if end is not None),
            audit_ids=(own, parent.audit_ids[-1]) if parent else (own,),
            credential_id=credential_id,
        )
        async with self.database.reading() as connection:
            token = await self._check(connection, payload, catalog=catalog)
        if token is None or not suffices(token.subject.user_options, payload.methods):
            raise errors.NotAuthenticated
        return await self.provider.make(payload), token

    async def validate(self, text: str, *, catalog: bool = False) -> Token:
        """At most four statements. Raises TokenNotFound for whatever is no valid token (any more)."""
        payload = await self.provider.read(text)
        if payload is None or payload.expires_at <= timestamps.now(self.clock):
            raise errors.TokenNotFound
        async with self.database.reading() as connection:
            token = await self._check(connection, payload, catalog=catalog)
        if token is None:
            raise errors.TokenNotFound
        return token

    @retried
    async def revoke(self, text: str) -> None:
        """This token alone; those got with it stay. Raises TokenNotFound."""
        token = await self.validate(text)
        async with self.database.transaction() as tx:
            own = token.payload.audit_ids[0]
            void = await self.revocations.record(tx.connection, f"audit:{own}", audit_ids=[own])
        await self.revocations.publish(void)

    async def _check(self, connection: Connection, payload: Payload, *, catalog: bool) -> Token | None:
        target_id = payload.scope_id if payload.scope in ("project", "domain") else None
        subject = await store.subject(
            connection, payload.user_id, target_id, payload.credential_id, _revocable(payload), payload.issued_at
        )
        if subject is None or not self._alive(payload, subject):
            return None
        roles: Sequence[RoleNameRow] = ()
        if payload.scope != "unscoped":
            target = payload.scope_id if target_id else "all"
            roles = await assignment_store.effective(
                connection, payload.user_id, payload.scope, target or "", payload.credential_id
            )
            if not roles:
                return None
        return Token(
            payload=payload,
            subject=subject,
            roles=roles,
            catalog=await self.catalog.rows(connection) if catalog else None,
        )

    def _alive(self, payload: Payload, subject: SubjectRow) -> bool:
        if subject.revoked or not (subject.user_enabled and subject.user_domain_enabled):
            return False
        if payload.credential_id is not None:
            expires = subject.credential_expires_at
            if subject.credential_id is None or (expires is not None and expires <= timestamps.now(self.clock)):
                return False
        if payload.scope == "project":
            # a project that acts as a domain has no domain of its own
            return bool(subject.target_enabled and (subject.target_is_domain or subject.target_domain_enabled))
        if payload.scope == "domain":
            return bool(subject.target_enabled and subject.target_is_domain)
        return True


def _revocable(payload: Payload) -> list[str]:
    subjects = [f"user:{payload.user_id}", f"audit:{payload.audit_ids[0]}", f"chain:{payload.audit_ids[-1]}"]
    if payload.scope_id is not None:
        subjects.append(f"{payload.scope}:{payload.scope_id}")
    if payload.credential_id is not None:
        subjects.append(f"credential:{payload.credential_id}")
    return subjects

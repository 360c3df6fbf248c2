"""Logins: the user (by methods) and the scope. Every refusal is the same 401, at the same cost. `source` is the client's
address: logins of each source wait in a queue of their own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from kilonova.core.db import retried
from kilonova.identity import errors, timestamps
from kilonova.identity.logins.lockout import subject_of
from kilonova.identity.resources.auth import schemas as shapes
from kilonova.identity.resources.base import Deps
from kilonova.identity.store import tokens as store
from kilonova.identity.store.application_credentials import application_credentials
from kilonova.identity.store.records import Records
from kilonova.identity.store.users import users
from kilonova.identity.tokens.lifecycle import Scope, Token
from kilonova.identity.tokens.providers import DELEGATED, METHODS, Payload


class Proof(msgspec.Struct, kw_only=True):
    """What a method found out, and the moment it began to look. `forced` is the only scope it may be used for, `default`
    the one meant when none is asked for and it can be had. `ends_at` is when what proved the user expires."""

    user_id: str
    began: int
    default: str | None = None
    parent: Payload | None = None
    credential_id: str | None = None
    ends_at: int | None = None
    forced: Scope | None = None


class AuthLogic:
    def __init__(self, deps: Deps) -> None:
        self.database, self.tokens = deps.database, deps.tokens
        self.passwords, self.lockout = deps.passwords, deps.lockout
        self._methods: dict[str, Callable[[shapes.Identity, str], Awaitable[Proof]]] = {
            "password": self._by_password,
            "token": self._by_token,
            "application_credential": self._by_credential,
        }

    async def login(self, request: shapes.Auth, *, source: str, catalog: bool = True) -> tuple[str, Token]:
        """The v3 login."""
        proof = await self._prove(request.identity, source)
        asked = await self._scope(request.scope)
        if proof.forced is not None and asked not in (None, proof.forced):
            raise errors.NotAuthenticated
        methods = tuple(dict.fromkeys(request.identity.methods))
        return await self._issue(proof, methods, proof.forced or asked, catalog=catalog)

    async def login_password(
        self, password: str, *, user_id: str | None, name: str | None, domain: dict[str, str], project: dict[str, str],
        source: str, method: str = "password",
    ) -> tuple[str, Token]:  # fmt: skip
        """The older logins: `project` is {"id"} or {"name"} in the user's domain, or empty for the default."""
        proof = await self._check_password(password, source, user_id=user_id, name=name, domain=domain)
        return await self._issue(proof, (method,), await self._project(project, domain))

    async def login_token(self, text: str, *, project: dict[str, str], domain: dict[str, str]) -> tuple[str, Token]:
        proof = await self._by_token(shapes.Identity(methods=["token"], token=shapes.TokenRef(id=text)), "")
        return await self._issue(proof, ("token",), await self._project(project, domain))

    async def check_user_password(self, user_id: str, password: str, *, source: str) -> None:
        """Raises NotAuthenticated unless it is the user's password."""
        await self._check_password(password, source, user_id=user_id, name=None, domain={})

    async def _issue(
        self, proof: Proof, methods: tuple[str, ...], scope: Scope | None, *, catalog: bool = True
    ) -> tuple[str, Token]:
        if scope is None and proof.default is not None and proof.parent is None:
            try:
                return await self._issue(proof, methods, Scope("project", proof.default), catalog=catalog)
            except errors.NotAuthenticated:
                pass  # upstream too then gives an unscoped one
        return await self.tokens.issue(
            proof.user_id,
            methods,
            scope or Scope(),
            began=proof.began,
            parent=proof.parent,
            credential_id=proof.credential_id,
            ends_at=proof.ends_at,
            catalog=catalog,
        )

    async def _prove(self, identity: shapes.Identity, source: str) -> Proof:
        if not identity.methods:
            raise errors.NotAuthenticated
        if any(method not in self._methods or method not in METHODS for method in identity.methods):
            raise errors.UnsupportedMethod
        found: Proof | None = None
        for method in dict.fromkeys(identity.methods):
            if getattr(identity, method) is None:
                raise errors.Missing(attribute=method, target="identity")
            proof = await self._methods[method](identity, source)
            if found is not None:
                if found.user_id != proof.user_id or found.forced != proof.forced:
                    raise errors.NotAuthenticated
                proof.began = min(found.began, proof.began)
                proof.default = found.default or proof.default
                proof.parent = found.parent or proof.parent
                proof.credential_id = found.credential_id or proof.credential_id
                proof.ends_at = found.ends_at or proof.ends_at
            found = proof
        if found is None:
            raise errors.NotAuthenticated
        return found

    async def _by_password(self, identity: shapes.Identity, source: str) -> Proof:
        if identity.password is None:
            raise errors.Missing(attribute="password", target="identity")
        user = identity.password.user
        domain = {} if user.id else domain_key(user.domain, "user")
        return await self._check_password(user.password, source, user_id=user.id, name=user.name, domain=domain)

    async def _check_password(
        self, password: str, source: str, *, user_id: str | None, name: str | None, domain: dict[str, str]
    ) -> Proof:
        if user_id is None and name is None:
            raise errors.Missing(attribute="id or name", target="user")
        began = timestamps.now(self.tokens.clock)
        asked = f"id {user_id}" if user_id is not None else f"name {name} of domain {domain}"
        async with self.passwords.slots.slot(source, asked):
            async with self.database.reading() as connection:
                user = await store.login(connection, user_id=user_id, name=name, domain=domain)
            right = await self.passwords.verify(user.password_hash if user is not None else None, password)
            if user is None or not right or self.lockout.holds(user):
                await self.lockout.failed(user.user_id if user is not None else subject_of(asked))
                raise errors.NotAuthenticated
            if not (user.user_enabled and user.user_domain_enabled):
                raise errors.NotAuthenticated
            await self.lockout.succeeded(user)
            await self._renew_hash(users, user.user_id, "password_hash", user.password_hash, password)
        return Proof(user_id=user.user_id, began=began, default=user.default_project_id)

    @retried
    async def _renew_hash(
        self, table: Records[Any], record_id: str, column: str, known: str | None, secret: str
    ) -> None:
        """Where the parameters of hashes have changed."""
        if known is not None and self.passwords.outdated(known):
            fresh = await self.passwords.hash(secret)
            async with self.database.transaction() as tx:
                await table.change(tx.connection, {column: fresh}, id=record_id, **{column: known})

    async def _by_token(self, identity: shapes.Identity, _source: str) -> Proof:
        if identity.token is None:
            raise errors.Missing(attribute="token", target="identity")
        began = timestamps.now(self.tokens.clock)
        try:
            token = await self.tokens.validate(identity.token.id)
        except errors.TokenNotFound:
            raise errors.NotAuthenticated from None
        if token.payload.credential_id is not None or DELEGATED in token.payload.methods:
            raise errors.NotAllowed(action="rescope a scoped token")
        return Proof(user_id=token.payload.user_id, began=began, parent=token.payload)

    async def _by_credential(self, identity: shapes.Identity, source: str) -> Proof:
        given = identity.application_credential
        if given is None or (given.id is None and (given.name is None or given.user is None)):
            raise errors.Missing(attribute="id, or name and user,", target="application_credential")
        user: dict[str, str] = {}
        domain: dict[str, str] = {}
        if given.id is None and given.user is not None:
            user = {"id": given.user.id} if given.user.id else {"name": given.user.name or ""}
            domain = {} if given.user.id else domain_key(given.user.domain, "user")
        began = timestamps.now(self.tokens.clock)
        asked = f"credential {given.id}" if given.id is not None else f"credential {given.name} of {user} {domain}"
        async with self.passwords.slots.slot(source, asked):
            async with self.database.reading() as connection:
                found = await store.credential(
                    connection, credential_id=given.id, name=given.name, user=user, domain=domain
                )
            right = await self.passwords.verify(found.secret_hash if found is not None else None, given.secret)
            if found is None or not right:
                raise errors.NotAuthenticated
            await self._renew_hash(application_credentials, found.id, "secret_hash", found.secret_hash, given.secret)
        return Proof(
            user_id=found.user_id, began=began, credential_id=found.id, ends_at=found.expires_at,
            forced=Scope("project", found.project_id),
        )  # fmt: skip

    async def _scope(self, asked: Any) -> Scope | None:
        """None when the client leaves it to the user's default project."""
        if asked is msgspec.UNSET:
            return None
        if asked == "unscoped" or asked.unscoped is not None:
            return Scope()
        parts = [part for part in (asked.project, asked.domain, asked.system) if part is not None]
        if len(parts) != 1:
            raise errors.Missing(attribute="one of project, domain or system", target="scope")
        if asked.system is not None:
            if not asked.system.all:
                raise errors.Missing(attribute="all", target="system")
            return Scope("system")
        if asked.domain is not None:
            return await self._domain(domain_key(asked.domain, "scope"))
        if asked.project.id is not None:
            return Scope("project", asked.project.id)
        if asked.project.name is None:
            raise errors.Missing(attribute="id or name", target="project")
        return await self._project({"name": asked.project.name}, domain_key(asked.project.domain, "project"))

    async def _domain(self, domain: dict[str, str]) -> Scope:
        if "id" in domain:
            return Scope("domain", domain["id"])
        async with self.database.reading() as connection:
            found = await store.domain(connection, domain["name"])
        return Scope("domain", found or "")

    async def _project(self, project: dict[str, str], domain: dict[str, str]) -> Scope | None:
        if "id" in project:
            return Scope("project", project["id"])
        if "name" not in project:
            return None
        async with self.database.reading() as connection:
            found = await store.project(connection, name=project["name"], domain=domain)
        return Scope("project", found or "")


def domain_key(domain: shapes.DomainRef | None, target: str) -> dict[str, str]:
    """{"id"} or {"name"}; raises Missing."""
    if domain is not None and domain.id is not None:
        return {"id": domain.id}
    if domain is not None and domain.name is not None:
        return {"name": domain.name}
    raise errors.Missing(attribute="domain", target=target)

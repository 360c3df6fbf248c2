"""SQL of tokens: everything a check needs of the token's subject in one row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    String,
    and_,
    bindparam,
    exists,
    insert,
    literal,
    null,
    or_,
    select,
    update,
)

from kilonova.core.db import Connection, TypedRow, rows
from kilonova.identity.store.application_credentials import ApplicationCredentialRow
from kilonova.identity.tables import (
    application_credentials,
    login_failures,
    projects,
    revocation_events,
    revocation_generation,
    revocations,
    tokens,
    users,
)

_domain = projects.alias("user_domain")
_target = projects.alias("target")
_target_domain = projects.alias("target_domain")


class AccountRow(TypedRow):
    """A user, with the user's domain; the target of a token (a project or domain) with its domain; the application credential."""

    user_id: str
    user_name: str
    user_domain_id: str
    user_enabled: bool
    password_hash: str | None
    default_project_id: str | None
    user_options: dict[str, Any] | None
    user_domain_name: str
    user_domain_enabled: bool
    target_id: str | None
    target_name: str | None
    target_is_domain: bool | None
    target_enabled: bool | None
    target_domain_id: str | None
    target_domain_name: str | None
    target_domain_enabled: bool | None
    credential_id: str | None
    credential_name: str | None
    credential_unrestricted: bool | None
    credential_expires_at: int | None


class SubjectRow(AccountRow):
    revoked: bool


class LoginRow(AccountRow):
    """With the wrong passwords of late."""

    failures: int | None
    failures_expire_at: int | None


class RevocationEventRow(TypedRow):
    generation: int
    event: bytes


# parameters of the statements that are made once and used at every check of a token
USER, TARGET, CREDENTIAL = (bindparam(name, type_=String) for name in ("user", "target", "credential"))


def _subject(target: ColumnElement[bool], revoked: Any) -> Select[Any]:
    held = application_credentials.c
    return (
        select(
            users.c.id.label("user_id"),
            users.c.name.label("user_name"),
            users.c.domain_id.label("user_domain_id"),
            users.c.enabled.label("user_enabled"),
            users.c.password_hash,
            users.c.default_project_id,
            users.c.options.label("user_options"),
            _domain.c.name.label("user_domain_name"),
            _domain.c.enabled.label("user_domain_enabled"),
            _target.c.id.label("target_id"),
            _target.c.name.label("target_name"),
            _target.c.is_domain.label("target_is_domain"),
            _target.c.enabled.label("target_enabled"),
            _target_domain.c.id.label("target_domain_id"),
            _target_domain.c.name.label("target_domain_name"),
            _target_domain.c.enabled.label("target_domain_enabled"),
            held.id.label("credential_id"),
            held.name.label("credential_name"),
            held.unrestricted.label("credential_unrestricted"),
            held.expires_at.label("credential_expires_at"),
            revoked.label("revoked"),
        )
        .join(_domain, _domain.c.id == users.c.domain_id)
        .outerjoin(_target, target)
        .outerjoin(_target_domain, _target_domain.c.id == _target.c.domain_id)
        .outerjoin(application_credentials, and_(held.id == CREDENTIAL, held.user_id == users.c.id))
    )


_revoked = exists().where(
    or_(
        revocations.c.subject.in_(bindparam("revocable", expanding=True)),
        revocations.c.subject == literal("domain:") + users.c.domain_id,
        revocations.c.subject == literal("domain:") + _target.c.domain_id,
    ),
    revocations.c.issued_before >= bindparam("issued_at", type_=BigInteger),
)
SUBJECT = _subject(_target.c.id == TARGET, _revoked).where(users.c.id == USER)
LOGIN = (
    _subject(_target.c.id == users.c.default_project_id, null())
    .add_columns(login_failures.c.failures, login_failures.c.expires_at.label("failures_expire_at"))
    .outerjoin(login_failures, login_failures.c.subject == users.c.id)
)


async def subject(
    connection: Connection, user_id: str, target_id: str | None, credential_id: str | None,
    revocable: list[str], issued_at: int,
) -> SubjectRow | None:  # fmt: skip
    """The user, the project or domain a token is for, and whether any of `revocable` (or their domains) was revoked at or
    after `issued_at`."""
    values = {
        "user": user_id,
        "target": target_id,
        "credential": credential_id,
        "revocable": revocable,
        "issued_at": issued_at,
    }
    return rows.first(await connection.execute(SUBJECT, values), SubjectRow)


async def login(
    connection: Connection, *, user_id: str | None, name: str | None, domain: dict[str, str]
) -> LoginRow | None:
    """The user by id, or by name and `domain` ({"id"} or {"name"}), with the user's default project as target and the wrong
    passwords of late."""
    query = LOGIN
    if user_id is not None:
        query = query.where(users.c.id == user_id)
    else:
        query = query.where(users.c.name == name, *[_domain.c[key] == value for key, value in domain.items()])
    return rows.first(await connection.execute(query, {"credential": None}), LoginRow)


async def credential(
    connection: Connection, *, credential_id: str | None, name: str | None, user: dict[str, str], domain: dict[str, str]
) -> ApplicationCredentialRow | None:
    """An application credential by id, or by name and its user ({"id"} or {"name"} and the user's domain)."""
    query = (
        select(application_credentials)
        .join(users, users.c.id == application_credentials.c.user_id)
        .join(_domain, _domain.c.id == users.c.domain_id)
    )
    if credential_id is not None:
        query = query.where(application_credentials.c.id == credential_id)
    else:
        conditions = [users.c[key] == value for key, value in user.items()]
        conditions += [_domain.c[key] == value for key, value in domain.items()]
        query = query.where(application_credentials.c.name == name, *conditions)
    return rows.first(await connection.execute(query), ApplicationCredentialRow)


async def project(connection: Connection, *, name: str, domain: dict[str, str]) -> str | None:
    """The id of a project by name and domain ({"id"} or {"name"})."""
    query = select(projects.c.id).join(_domain, _domain.c.id == projects.c.domain_id)
    query = query.where(projects.c.name == name, *[_domain.c[key] == value for key, value in domain.items()])
    found: str | None = (await connection.execute(query)).scalar()
    return found


async def domain(connection: Connection, name: str) -> str | None:
    """The id of a domain by name."""
    found: str | None = (
        await connection.execute(select(projects.c.id).where(projects.c.name == name, projects.c.is_domain))
    ).scalar()
    return found


async def revoke(connection: Connection, rows: list[dict[str, Any]]) -> None:
    await connection.execute(insert(revocations), rows)


async def next_generation(connection: Connection) -> int:
    """The number of a new event; the next one waits until this transaction ends."""
    table = revocation_generation.c
    await connection.execute(update(revocation_generation).values(generation=table.generation + 1))
    return await generation(connection)


async def generation(connection: Connection) -> int:
    found: int = (await connection.execute(select(revocation_generation.c.generation))).scalar_one()
    return found


async def add_event(connection: Connection, row: dict[str, Any]) -> None:
    await connection.execute(insert(revocation_events).values(row))


async def events_after(connection: Connection, after: int, limit: int) -> Sequence[RevocationEventRow]:
    """(generation, event) of the events after a generation, the newest first."""
    table = revocation_events.c
    query = select(table.generation, table.event).where(table.generation > after)
    return rows.every(
        await connection.execute(query.order_by(table.generation.desc()).limit(limit)), RevocationEventRow
    )


async def keep(connection: Connection, id_hash: str, payload: bytes, expires_at: int) -> None:
    await connection.execute(insert(tokens).values(id_hash=id_hash, payload=payload, expires_at=expires_at))


async def kept(connection: Connection, id_hash: str) -> bytes | None:
    found: bytes | None = (
        await connection.execute(select(tokens.c.payload).where(tokens.c.id_hash == id_hash))
    ).scalar()
    return found

"""What an operator may set for identity."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec


def _said(description: str, *, least: int | None = None) -> msgspec.Meta:
    return msgspec.Meta(description=description, ge=least)


class IdentityOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The names of lock-out's settings are upstream's (`[security_compliance]` there)."""

    token_ttl: Annotated[
        int, _said("Seconds that a token lives, unless what proved the user ends before.", least=1)
    ] = 86400
    token_provider: Annotated[
        Literal["fernet", "uuid"], _said("fernet stores nothing; uuid stores each token in the database.")
    ] = "fernet"  # noqa: S105
    key_dir: Annotated[
        str | None, _said("Folder of the keys that seal tokens; not set: a folder in the state directory.")
    ] = None
    credential_key_dir: Annotated[
        str | None, _said("Folder of the keys that seal credentials; not set: a folder in the state directory.")
    ] = None
    max_active_keys: Annotated[int, _said("Keys that open tokens: more live through more rotations.", least=2)] = 3
    password_memory_kib: Annotated[int, _said("Memory in KiB that argon2id takes for a hash.", least=8)] = 19456
    password_passes: Annotated[int, _said("Passes of argon2id.", least=1)] = 2
    password_lanes: Annotated[int, _said("Lanes of argon2id.", least=1)] = 1
    hash_workers: Annotated[
        int, _said("Passwords checked at once, which bounds the memory and the CPU that logins take.", least=1)
    ] = 4
    max_waiting_logins: Annotated[
        int,
        _said(
            "Logins of one user that may wait for their turn; of one client address: four times as many. More: 429.",
            least=1,
        ),
    ] = 256
    proxies: Annotated[
        list[str],
        _said("Addresses of proxies, whose X-Forwarded-For tells the client's address; logins of one take turns."),
    ] = []
    lockout_failure_attempts: Annotated[
        int, _said("Wrong passwords in a row after which an account is locked; 0: it never is.", least=0)
    ] = 10
    lockout_duration: Annotated[
        int, _said("Seconds that an account stays locked, and that a wrong password counts.", least=1)
    ] = 300
    flush_interval: Annotated[
        int,
        _said(
            "Seconds between two removals of expired tokens and revocations; 0: `kilonova token-flush` alone.", least=0
        ),
    ] = 600
    default_domain_id: Annotated[str, _said("Id of the domain of users and projects whose domain is not named.")] = (
        "default"
    )
    max_application_credentials: Annotated[
        int, _said("Application credentials that a user may have; -1: any number.", least=-1)
    ] = 100
    max_credentials: Annotated[
        int, _said("EC2 keys and other credentials that a user may have; -1: any number.", least=-1)
    ] = 100
    max_credential_blob: Annotated[int, _said("Bytes that the content of a credential may have.", least=1)] = 16384

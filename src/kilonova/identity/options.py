"""What an operator may set for identity."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from kilonova.core.addresses import parse_address
from kilonova.core.config import doc


class IdentityOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The names of lock-out's settings are upstream's (`[security_compliance]` there)."""

    token_ttl: Annotated[int, doc("Seconds until a token expires; earlier where its credential does.", ge=1)] = 86400
    token_provider: Annotated[
        Literal["fernet", "uuid"], doc("fernet stores nothing; uuid stores each token in the database.")
    ] = "fernet"  # noqa: S105
    key_dir: Annotated[
        str | None, doc("Folder of the keys that encrypt tokens; not set: a folder in the state directory.")
    ] = None
    credential_key_dir: Annotated[
        str | None, doc("Folder of the keys that encrypt credentials; not set: a folder in the state directory.")
    ] = None
    max_active_keys: Annotated[
        int, doc("Keys that decrypt tokens: with more keys, tokens outlast more rotations.", ge=2)
    ] = 3
    password_memory_kib: Annotated[int, doc("Memory in KiB that argon2id takes for a hash.", ge=8)] = 19456
    password_passes: Annotated[int, doc("Passes of argon2id.", ge=1)] = 2
    password_lanes: Annotated[int, doc("Lanes of argon2id.", ge=1)] = 1
    hash_workers: Annotated[
        int, doc("Passwords checked at once, which bounds the memory and the CPU that logins take.", ge=1)
    ] = 4
    max_waiting_logins: Annotated[
        int,
        doc(
            "Logins of one user that may wait in the queue; of one client address: four times as many. More: 429.",
            ge=1,
        ),
    ] = 256
    proxies: Annotated[
        list[str],
        doc(
            "Addresses of proxies, whose X-Forwarded-For has the client's address; logins of each client have a queue."
        ),
    ] = []
    lockout_failure_attempts: Annotated[
        int, doc("Wrong passwords in a row after which an account is locked; 0: it never is.", ge=0)
    ] = 10
    lockout_duration: Annotated[
        int, doc("Seconds that an account stays locked, and that a wrong password counts.", ge=1)
    ] = 300
    flush_interval: Annotated[
        int,
        doc("Seconds between two removals of expired tokens and revocations; 0: `kilonova token-flush` alone.", ge=0),
    ] = 600
    default_domain_id: Annotated[str, doc("Id of the domain of users and projects whose domain is not named.")] = (
        "default"
    )
    max_application_credentials: Annotated[
        int, doc("Application credentials that a user may have; -1: any number.", ge=-1)
    ] = 100
    max_credentials: Annotated[
        int, doc("EC2 keys and other credentials that a user may have; -1: any number.", ge=-1)
    ] = 100
    max_credential_blob: Annotated[int, doc("Bytes that the content of a credential may have.", ge=1)] = 16384

    def __post_init__(self) -> None:
        for text in self.proxies:
            if (right := str(parse_address(text))) != text:  # compared as text with the connection's address
                raise ValueError(f"proxies: write {text!r} as {right!r}")

"""What an operator may set for identity."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Natural = Annotated[int, msgspec.Meta(ge=1)]


class IdentityOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`token_ttl` in seconds. `key_dir` and `credential_key_dir` default to folders of the state directory.

    The password parameters are argon2id's: memory in KiB, passes, lanes; `hash_workers` bounds how many are computed at
    once, and so the memory that logins can take.
    """

    token_ttl: Natural = 86400
    token_provider: Literal["fernet", "uuid"] = "fernet"  # noqa: S105
    key_dir: str | None = None
    credential_key_dir: str | None = None
    max_active_keys: Annotated[int, msgspec.Meta(ge=2)] = 3
    password_memory_kib: Annotated[int, msgspec.Meta(ge=8)] = 19456
    password_passes: Natural = 2
    password_lanes: Natural = 1
    hash_workers: Natural = 4
    default_domain_id: str = "default"
    max_application_credentials: int = 100  # a user's; -1 is without limit
    max_credentials: int = 100  # a user's EC2 keys and others together; -1 is without limit
    max_credential_blob: Natural = 16384  # bytes

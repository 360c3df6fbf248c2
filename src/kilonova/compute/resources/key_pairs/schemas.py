"""Wire shapes of key pairs."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from kilonova.compute.web.fields import Line, Link, Name
from kilonova.core.web.wire import Body, View, versions

UserId = Annotated[Line, Meta(min_length=1)]
KeyType = Literal["ssh", "x509"]
PublicKey = Annotated[str, Meta(max_length=65535)]


class KeyPairIn(Body, kw_only=True):
    name: Name
    public_key: PublicKey | UnsetType = UNSET
    type: Annotated[KeyType, versions("2.2")] = "ssh"
    user_id: Annotated[UserId | UnsetType, versions("2.10")] = UNSET


class KeyPairCreate(Body, kw_only=True):
    keypair: KeyPairIn


class KeyPair(View, kw_only=True):
    name: str
    public_key: str
    fingerprint: str
    type: Annotated[str, versions("2.2")]
    user_id: str | UnsetType = UNSET
    private_key: str | UnsetType = UNSET
    created_at: str | UnsetType = UNSET
    deleted: bool | UnsetType = UNSET
    deleted_at: UnsetType | None = UNSET
    updated_at: UnsetType | None = UNSET
    id: int | UnsetType = UNSET


class KeyPairBody(View, kw_only=True):
    keypair: KeyPair


class KeyPairs(View, kw_only=True):
    keypairs: list[KeyPairBody]
    keypairs_links: Annotated[list[Link] | UnsetType, versions("2.35")] = UNSET

"""A cache on a server that is not trusted: without the secret, values can be neither read nor forged."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kilonova.core.cache.base import Cache
from kilonova.core.clock import SYSTEM

NONCE = 12  # bytes, random for each value
PREFIX = "kilonova:"


class SealedCache(Cache):
    """Names become keyed hashes. Values are encrypted, and bound to their names: one that was made without the secret, changed,
    or copied from another name is missing. An attacker still can remove a value, or put back an old one of the same
    name; readers must not trust a value for longer than the time in it."""

    def __init__(self, inner: Cache, secret: str) -> None:
        self._inner, self.shared = inner, inner.shared
        self._name_key = hmac.digest(secret.encode(), b"kilonova cache names", "sha256")
        self._cipher = AESGCM(hmac.digest(secret.encode(), b"kilonova cache values", "sha256"))

    def key(self, name: str) -> str:
        """The key of the name in the cache."""
        digest = hmac.digest(self._name_key, name.encode(errors="surrogatepass"), "sha256")
        return PREFIX + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    async def get_many(self, names: Sequence[str]) -> dict[str, bytes]:
        keys = {self.key(name): name for name in names}
        found = await self._inner.get_many(list(keys))
        opened = {keys[key]: self._open(key, sealed) for key, sealed in found.items()}
        return {name: value for name, value in opened.items() if value is not None}

    async def set(self, name: str, value: bytes, ttl: float) -> None:
        key = self.key(name)
        nonce = SYSTEM.random_bytes(NONCE)
        await self._inner.set(key, nonce + self._cipher.encrypt(nonce, value, key.encode()), ttl)

    async def delete(self, name: str) -> None:
        await self._inner.delete(self.key(name))

    def reachable(self, name: str) -> bool:
        return self._inner.reachable(self.key(name))

    async def close(self) -> None:
        await self._inner.close()

    def _open(self, key: str, sealed: bytes) -> bytes | None:
        try:
            return self._cipher.decrypt(sealed[:NONCE], sealed[NONCE:], key.encode())
        except (InvalidTag, ValueError):
            return None

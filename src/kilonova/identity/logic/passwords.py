"""Passwords and other secrets, as argon2id hashes computed in a bounded number of threads."""

from __future__ import annotations

import asyncio
import ctypes

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from kilonova.identity import errors
from kilonova.identity.options import IdentityOptions

MAX_LENGTH = 4096
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
LARGE = 8 << 20


class Passwords:
    def __init__(self, options: IdentityOptions) -> None:
        self._hasher = PasswordHasher(
            time_cost=options.password_passes,
            memory_cost=options.password_memory_kib,
            parallelism=options.password_lanes,
        )
        self._slots = asyncio.Semaphore(options.hash_workers)
        self._decoy: str | None = None
        _large_blocks_go_back()

    async def hash(self, secret: str) -> str:
        if len(secret) > MAX_LENGTH:
            raise errors.Invalid(reason=f"The password length must be less than or equal to {MAX_LENGTH}.")
        async with self._slots:
            return await asyncio.to_thread(self._hasher.hash, secret)

    async def verify(self, known: str | None, secret: str) -> bool:
        """Whether `secret` is what `known` was made from. Without `known` the effort is the same and the answer no."""
        if len(secret) > MAX_LENGTH:
            secret, known = "", None
        if known is None and self._decoy is None:
            self._decoy = await self.hash("decoy")
        async with self._slots:
            right = await asyncio.to_thread(self._check, known or self._decoy or "", secret)
        return right and known is not None

    def _check(self, known: str, secret: str) -> bool:
        try:
            return self._hasher.verify(known, secret)
        except (Argon2Error, InvalidHashError):
            return False

    def outdated(self, known: str) -> bool:
        """Whether a hash was made with other parameters than are set now."""
        return self._hasher.check_needs_rehash(known)

    async def prepare(self) -> None:
        """Make the decoy ahead, so that the first unknown user takes no longer than the next."""
        if self._decoy is None:
            self._decoy = await self.hash("decoy")


def _large_blocks_go_back() -> None:
    """A hash takes `password_memory_kib`. Left to itself glibc learns from the first one to keep such blocks: 20 MB for every
    thread that ever computed one. Other libraries have no such function and need none."""
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(M_MMAP_THRESHOLD, LARGE)
        mallopt(M_TRIM_THRESHOLD, LARGE)

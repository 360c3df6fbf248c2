"""Passwords and other secrets, as argon2id hashes computed in a bounded number of threads."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from kilonova.identity import errors
from kilonova.identity.logins.fair_slots import FairSlots
from kilonova.identity.options import IdentityOptions

MAX_LENGTH = 4096
NICENESS = 5  # of the threads: the event loop, which checks tokens, comes first on a busy machine


def _yield_to_others() -> None:
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


class Passwords:
    """`slots` bound how much of it clients can ask for at once; whatever a client may repeat takes one."""

    def __init__(self, options: IdentityOptions) -> None:
        self._hasher = PasswordHasher(
            time_cost=options.password_passes,
            memory_cost=options.password_memory_kib,
            parallelism=options.password_lanes,
        )
        # its own threads, as few as are needed at once: each keeps a hash's `password_memory_kib` for the next
        self._threads = ThreadPoolExecutor(options.hash_workers, "password", initializer=_yield_to_others)
        self.slots = FairSlots(options.hash_workers, options.max_waiting_logins)
        self._decoy: str | None = None

    async def hash(self, secret: str) -> str:
        if len(secret) > MAX_LENGTH:
            raise errors.Invalid(reason=f"The password length must be less than or equal to {MAX_LENGTH}.")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._hasher.hash, secret)

    async def verify(self, known: str | None, secret: str) -> bool:
        """Whether `secret` is what `known` was made from. Without `known` the effort is the same and the answer no."""
        if len(secret) > MAX_LENGTH:
            secret, known = "", None
        if known is None and self._decoy is None:
            self._decoy = await self.hash("decoy")
        loop = asyncio.get_running_loop()
        right = await loop.run_in_executor(self._threads, self._check, known or self._decoy or "", secret)
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

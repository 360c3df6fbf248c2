"""A repository of Fernet keys on disk: files named by number, 0 staged for the next rotation, the highest one primary.

Every process of one cloud shares the keys. A new key is staged first, so that all of them can read what it seals before
any of them encrypts with it.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from kilonova.core.clock import Clock

RECHECK = 5.0  # seconds between looks for rotated keys


class KeyRepository:
    """`seal` and `open` follow rotations made by other processes."""

    def __init__(self, folder: Path, clock: Clock, *, max_active: int) -> None:
        self.folder, self.clock, self.max_active = folder, clock, max_active
        self._crypt: MultiFernet | None = None
        self._names: list[int] = []
        self._looked = 0.0

    def create(self) -> None:
        """Make the folder and its first two keys where they are missing; harmless to repeat, and in a race."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._numbers():
            self._write(0)
            self._write(1)
        self._load()

    def rotate(self) -> int:
        """The staged key becomes primary, a new one is staged, the oldest beyond `max_active` go. The primary's number.
        A rotation that was cut off half way is finished by the next one."""
        numbers = self._numbers()
        primary = max(numbers)
        if 0 in numbers:  # else a rotation was cut off after this
            primary += 1
            os.rename(self.folder / "0", self.folder / str(primary))
        self._write(0)
        kept = sorted({*numbers, primary} - {0})
        for number in kept[: max(0, len(kept) + 1 - self.max_active)]:
            (self.folder / str(number)).unlink()
        self._load()
        return primary

    def seal(self, plain: bytes) -> bytes:
        return self._current().encrypt(plain)

    def open(self, sealed: bytes) -> bytes | None:
        """None for what none of the keys made. Another process may just have made the first ones, or rotated."""
        try:
            return self._current().decrypt(sealed)
        except InvalidToken:
            if sorted(self._numbers()) == self._names:
                return None
        try:
            return self._load().decrypt(sealed)
        except InvalidToken:
            return None

    def _numbers(self) -> list[int]:
        return [int(entry.name) for entry in self.folder.iterdir() if entry.name.isascii() and entry.name.isdecimal()]

    def _write(self, number: int) -> None:
        """A key file appears whole or not at all; one that is there already stays."""
        handle, scratch = tempfile.mkstemp(dir=self.folder, prefix=".new-")  # made with mode 0600
        with os.fdopen(handle, "wb") as file:
            file.write(Fernet.generate_key())
        try:
            os.link(scratch, self.folder / str(number))
        except FileExistsError:
            pass
        finally:
            os.unlink(scratch)

    def _read(self) -> dict[int, Fernet]:
        return {number: Fernet((self.folder / str(number)).read_bytes()) for number in self._numbers()}

    def _load(self) -> MultiFernet:
        try:
            keys = self._read()
        except FileNotFoundError:  # a rotation came between the listing and the reading
            keys = self._read()
        numbers = sorted(keys)
        if not numbers:
            raise FileNotFoundError(f"no keys in {self.folder}")
        order = sorted(numbers[1:] or numbers, reverse=True) + (numbers[:1] if len(numbers) > 1 else [])
        self._crypt = MultiFernet([keys[number] for number in order])
        self._names, self._looked = numbers, self.clock.monotonic()
        return self._crypt

    def _current(self) -> MultiFernet:
        if self._crypt is None:
            return self._load()
        if self.clock.monotonic() - self._looked > RECHECK:
            self._looked = self.clock.monotonic()
            if sorted(self._numbers()) != self._names:
                return self._load()
        return self._crypt

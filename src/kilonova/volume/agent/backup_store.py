"""Backups as files of a folder: one folder a backup, with the pieces that its parents do not have, and a manifest that names all
pieces. What is not finished has another name, so there is no half of a backup."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import msgspec

from kilonova.volume.backends.errors import BackendError
from kilonova.volume.backends.local.records import durable

PIECE = 1 << 20  # bytes
MANIFEST = "manifest.json"
HEX = frozenset("0123456789abcdef-")


class Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


class Missing(BackendError):
    """This machine does not keep the backup; the text names it."""


class Piece(msgspec.Struct, frozen=True, array_like=True):
    """`holder` is the backup whose folder has it; "" for zeros alone."""

    holder: str
    digest: str
    size: int


class Manifest(msgspec.Struct):
    """`size` in bytes; `digest` (SHA-512) of all of the content."""

    size: int
    digest: str
    pieces: list[Piece]


class BackupStore:
    """Every method may be repeated."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _place(self, backup_id: str) -> Path:
        if not backup_id or not set(backup_id) <= HEX:  # ids become names of folders
            raise Missing(f"no backup {backup_id!r}")
        return self.folder / backup_id

    def manifest(self, backup_id: str) -> Manifest:
        try:
            return msgspec.json.decode((self._place(backup_id) / MANIFEST).read_bytes(), type=Manifest)
        except FileNotFoundError:
            raise Missing(f"this machine does not keep backup {backup_id}") from None

    async def write(self, backup_id: str, content: AsyncIterator[bytes], parent_id: str | None) -> Manifest:
        """Keep what the parent does not have."""
        known = await asyncio.to_thread(self._known, parent_id) if parent_id is not None else {}
        place = self._place(backup_id)
        begun = _part(place)
        await asyncio.to_thread(self._begin, begun)
        manifest, whole = Manifest(0, "", []), hashlib.sha512()
        try:
            async for data in _pieces(content):
                manifest.pieces.append(await asyncio.to_thread(self._keep, begun, backup_id, data, known, whole))
                manifest.size += len(data)
            manifest.digest = whole.hexdigest()
            await asyncio.to_thread(self._finish, begun, place, manifest)
        except Exception as error:
            await asyncio.to_thread(shutil.rmtree, begun, ignore_errors=True)  # the disk may be full
            if isinstance(error, OSError):
                raise BackendError(f"backup {backup_id}: {error.strerror}") from error
            raise
        return manifest

    def _known(self, parent_id: str) -> dict[str, Piece]:
        return {piece.digest: piece for piece in self.manifest(parent_id).pieces}

    def _begin(self, begun: Path) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.rmtree(begun, ignore_errors=True)
        begun.mkdir(mode=0o700)

    def _keep(self, begun: Path, backup_id: str, data: bytes, known: dict[str, Piece], whole: Digest) -> Piece:
        whole.update(data)
        if not any(data):
            return Piece("", "", len(data))
        digest = hashlib.sha256(data).hexdigest()
        if (found := known.get(digest)) is not None:
            return found
        (begun / digest).write_bytes(zlib.compress(data, 1))
        piece = known[digest] = Piece(backup_id, digest, len(data))
        return piece

    def _finish(self, begun: Path, place: Path, manifest: Manifest) -> None:
        """It is on the medium before it has its name."""
        (begun / MANIFEST).write_bytes(msgspec.json.encode(manifest))
        for path in (*begun.iterdir(), begun):
            durable(path)
        shutil.rmtree(place, ignore_errors=True)
        begun.rename(place)
        durable(self.folder)

    async def read(self, backup_id: str) -> AsyncIterator[bytes]:
        manifest = await asyncio.to_thread(self.manifest, backup_id)
        for piece in manifest.pieces:
            yield await asyncio.to_thread(self._piece, piece)

    def _piece(self, piece: Piece) -> bytes:
        if not piece.holder:
            return bytes(piece.size)
        try:
            return zlib.decompress((self._place(piece.holder) / piece.digest).read_bytes())
        except FileNotFoundError:
            raise Missing(f"backup {piece.holder}, which later ones add to, lacks the piece {piece.digest}") from None

    async def delete(self, backup_id: str) -> None:
        """Nothing happens when there is none."""
        place = self._place(backup_id)
        for folder in (place, _part(place)):
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _part(place: Path) -> Path:
    """Of a backup that is being made."""
    return place.with_name(place.name + ".part")


async def _pieces(content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in pieces of one size; the last one may be shorter."""
    held = bytearray()
    async for data in content:
        held += data
        while len(held) >= PIECE:
            yield bytes(held[:PIECE])
            del held[:PIECE]
    if held:
        yield bytes(held)

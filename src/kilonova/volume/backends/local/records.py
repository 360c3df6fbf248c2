"""Where a back end's volumes are: a folder each, which appears whole or not at all.

FOLDER/volumes/ID/record          size, whether it is encrypted, who may use it
FOLDER/volumes/ID/volume          its bytes: a sparse raw file
FOLDER/volumes/ID/snapshots/ID    what they were, likewise
FOLDER/work/…                     what is being made or removed; emptied at the start"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from kilonova.core.clock import SYSTEM
from kilonova.volume.backends.errors import BackendError, SnapshotMissing, VolumeMissing

GIB = 1 << 30


class Attachment(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who may use a volume: a guest of `host`. `key`: its pre-shared key in hex, where that is another host."""

    host: str
    mode: str = "rw"
    key: str = ""


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a volume. `header`: bytes before its content, of one that is encrypted. `port`: where other hosts reach
    it; kept as long as one is attached."""

    size_gb: int
    header: int = 0
    attachments: dict[str, Attachment] = {}
    port: int | None = None

    @property
    def file_size(self) -> int:
        return self.header + self.size_gb * GIB


class Records:
    """All methods block."""

    def __init__(self, folder: Path) -> None:
        self.root, self.work = folder / "volumes", folder / "work"

    def open(self) -> None:
        """Make the folders, and remove what a crash left half made."""
        shutil.rmtree(self.work, ignore_errors=True)
        for folder in (self.root, self.work):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def clear(self) -> None:
        """All volumes are gone."""
        for folder in (self.root, self.work):
            shutil.rmtree(folder, ignore_errors=True)

    def folder(self, volume_id: str) -> Path:
        return self.root / as_uuid(volume_id)

    def data(self, volume_id: str) -> Path:
        return self.folder(volume_id) / "volume"

    def snapshot(self, volume_id: str, snapshot_id: str) -> Path:
        return self.folder(volume_id) / "snapshots" / as_uuid(snapshot_id)

    def held_snapshot(self, volume_id: str, snapshot_id: str) -> Path:
        path = self.snapshot(volume_id, snapshot_id)
        if not path.exists():
            raise SnapshotMissing(f"snapshot {snapshot_id} of volume {volume_id}: there is none")
        return path

    def snapshots(self, volume_id: str) -> tuple[str, ...]:
        with suppress(FileNotFoundError):
            return tuple(sorted(entry.name for entry in os.scandir(self.folder(volume_id) / "snapshots")))
        return ()

    def find(self, volume_id: str) -> Record | None:
        try:
            return msgspec.json.decode((self.folder(volume_id) / "record").read_bytes(), type=Record)
        except FileNotFoundError:
            return None

    def get(self, volume_id: str) -> Record:
        record = self.find(volume_id)
        if record is None:
            raise VolumeMissing(f"volume {volume_id}: there is none")
        return record

    def put(self, volume_id: str, record: Record) -> None:
        write(self.folder(volume_id) / "record", record)

    def ids(self) -> list[str]:
        return sorted(entry.name for entry in os.scandir(self.root))

    @contextmanager
    def making(self, id: str) -> Iterator[Path]:
        """A folder to make something in, and to move it from."""
        folder = self.work / f"{as_uuid(id)}.{SYSTEM.hex_id()}"
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def appear(self, made: Path, volume_id: str, record: Record) -> None:
        """The folder `made`, with the bytes in `volume`, is the volume's from now on."""
        durable(made / "volume")
        (made / "snapshots").mkdir()
        write(made / "record", record)
        made.rename(self.folder(volume_id))
        durable(self.root)

    def settle(self, fresh: Path, final: Path) -> None:
        """`fresh` is `final` from now on."""
        durable(fresh)
        fresh.replace(final)
        durable(final.parent)

    def remove(self, volume_id: str) -> None:
        gone = self.work / f"gone.{SYSTEM.hex_id()}"
        with suppress(FileNotFoundError):
            self.folder(volume_id).rename(gone)
            durable(self.root)
        shutil.rmtree(gone, ignore_errors=True)


def write(path: Path, record: Record) -> None:
    """Whole or not at all, and on the medium."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(msgspec.json.encode(record))
    fresh.chmod(0o600)
    durable(fresh)
    fresh.replace(path)
    durable(path.parent)


def durable(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def as_uuid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise BackendError(f"{text!r} is not a UUID") from None

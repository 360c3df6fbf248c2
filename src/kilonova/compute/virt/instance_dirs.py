"""Where a host's disks are: directories, ownership and files that appear whole or not at all.

STATE_DIR/_base/<image id>            checked base images, with <image id>.json beside each
STATE_DIR/instances/<server uuid>/    disk (qcow2) or disk.raw, disk.config, disk.<name>, kernel, ramdisk, console.log;
                                      while it is rescued: disk.rescue, kernel.rescue, ramdisk.rescue;
                                      while an image is made of it: snapshot.copy, snapshot.image
STATE_DIR/instances/<server>.<move>/  what was set aside for a move (movable_files.py)
STATE_DIR/instances/.storage          the id of this storage: hosts that share it read the same one
STATE_DIR/_inject/                    work in progress
"""

from __future__ import annotations

import asyncio
import os
import pwd
import uuid
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from kilonova.core.block.errors import DiskError
from kilonova.core.block.files import KeyedLocks, must_reach, os_errors
from kilonova.core.clock import SYSTEM
from kilonova.core.folders import searchable


def as_uuid(text: str, what: str) -> str:
    """The canonical form of a uuid that is going to be a file name; DiskError for anything else."""
    try:
        return str(uuid.UUID(text))
    except (ValueError, AttributeError, TypeError) as error:
        raise DiskError(f"{what} {text!r} is not a UUID") from error


class InstanceDirs:
    """The directories of one host. `owner` is the user the hypervisor runs as; None: ourselves."""

    def __init__(self, state_dir: Path, owner: str | None) -> None:
        self.root = state_dir.absolute()
        self.base = self.root / "_base"
        self.instances = self.root / "instances"
        self.work = self.root / "_inject"
        self.owner = owner
        self._made = False
        self._locks = KeyedLocks()

    def make(self) -> None:
        """Make the directories once and check that the hypervisor's user can reach them; blocking."""
        if self._made:
            return
        with os_errors(f"making the state directory {self.root}"):
            searchable(self.root, self.base, self.instances)
            self.work.mkdir(mode=0o700, exist_ok=True)
        if self.owner is not None:
            must_reach(self.instances, self.owner)
            must_reach(self.base, self.owner)
        self._made = True

    def server(self, server_uuid: str) -> Path:
        """The server's directory, made or not."""
        return self.instances / as_uuid(server_uuid, "server")

    def hand_over(self, path: Path) -> None:
        """Let the hypervisor's user, and as few others as possible, use a file; blocking."""
        if self.owner is not None and os.geteuid() == 0:
            entry = pwd.getpwnam(self.owner)
            os.chown(path, entry.pw_uid, entry.pw_gid)
            os.chmod(path, 0o640)
        elif self.owner is None:
            os.chmod(path, 0o600)
        else:
            os.chmod(path, 0o644)

    @asynccontextmanager
    async def making(self, server_uuid: str, name: str, step: str) -> AsyncIterator[tuple[Path, Path]]:
        """(final, temporary) of one file of a server: the temporary one replaces the final one if it exists at the end
        of a block that did not fail, else it is removed. One maker at a time; what a crash left is overwritten."""
        directory = self.server(server_uuid)
        final, temporary = directory / name, directory / f".{name}.tmp"
        async with self._locks[str(final)]:
            with os_errors(step):
                await asyncio.to_thread(self._prepare, directory, temporary)
                try:
                    yield final, temporary
                    if temporary.exists():
                        self.hand_over(temporary)
                        temporary.replace(final)
                finally:
                    temporary.unlink(missing_ok=True)

    def _prepare(self, directory: Path, temporary: Path) -> None:
        self.make()
        searchable(directory)
        temporary.unlink(missing_ok=True)

    def remove_files(self, server_uuid: str, names: Iterable[str]) -> None:
        """Delete these files of the server, where they are; blocking."""
        directory = self.server(server_uuid)
        with os_errors(f"removing files of server {server_uuid}"):
            for name in names:
                (directory / name).unlink(missing_ok=True)

    def empty(self, server_uuid: str, keep: Collection[str]) -> None:
        """Delete all files in the server's directory but those named; blocking."""
        with os_errors(f"removing the disks of server {server_uuid}"), suppress(FileNotFoundError):
            for entry in os.scandir(self.server(server_uuid)):
                if entry.name not in keep:
                    Path(entry.path).unlink(missing_ok=True)

    def servers(self) -> set[str]:
        """Names under `instances` that are uuids; blocking."""
        found = set()
        with suppress(FileNotFoundError):
            for entry in os.scandir(self.instances):
                with suppress(ValueError):
                    if str(uuid.UUID(entry.name)) == entry.name:
                        found.add(entry.name)
        return found

    def storage(self) -> str:
        """What is the same on all hosts that share these disks, and on no other; blocking. "" where there are none yet."""
        note = self.instances / ".storage"
        with suppress(FileNotFoundError, FileExistsError), note.open("x") as fresh:
            fresh.write(SYSTEM.hex_id())
            note.chmod(0o644)  # shared storage may take our root for another account
        return note.read_text() if note.exists() else ""

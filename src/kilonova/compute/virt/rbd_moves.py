"""Servers' disks in Ceph that move: all hosts see the same pool, so disks are renamed, and a copy is a clone.

The root disk is set aside, and comes back, after all others of its server, and it is what tells: what was cut off in the
middle is done again.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import TypeVar

from kilonova.compute.virt.file_disks import FileDisks, FileDisksOptions
from kilonova.compute.virt.instance_dirs import as_uuid
from kilonova.core.block.errors import DiskError
from kilonova.core.block.files import KeyedLocks
from kilonova.core.ceph import ImageMissing, Pool

ASIDE, GONE, MOVE = ".aside.", ".gone", "move"
ELSEWHERE = "server {}: of the two hosts only one has its disks in this pool of Ceph"
T = TypeVar("T")


class MovableRbd(FileDisks):
    """What `RbdDisks` does for moves."""

    _pool: Pool

    def __init__(self, options: FileDisksOptions) -> None:
        super().__init__(options)
        self._locks = KeyedLocks()

    @abstractmethod
    async def _run(self, step: str, act: Callable[[], T]) -> T: ...

    @abstractmethod
    async def _freed(self, step: str, act: Callable[[], T]) -> T: ...

    def root(self, server_uuid: str) -> str:
        return f"{as_uuid(server_uuid, 'server')}_disk"

    def disks_of(self, server_uuid: str) -> list[str]:
        """What the server has now, the root disk last; blocking."""
        root = self.root(server_uuid)
        return _last(root, [n for n in self._pool.names() if n.startswith(root) and ASIDE not in n and GONE not in n])

    def aside_of(self, server_uuid: str, migration: str | None = None) -> list[str]:
        """What was set aside, the root disk last; without a move, of one of them; blocking."""
        root = self.root(server_uuid)
        names = sorted(n for n in self._pool.names() if n.startswith(root) and ASIDE in n)
        if migration is None:
            migration = next((n.split(ASIDE)[1] for n in names if n.startswith(root + ASIDE)), "-")
        end = ASIDE + migration
        return _last(root + end, [n for n in names if n.endswith(end)])

    def drop(self, name: str) -> None:
        """The image goes; what is cloned of it is made independent before, and what it was cloned of loses the snapshot."""
        with suppress(ImageMissing):
            for snapshot in self._pool.snapshots(name):
                for _, child in self._pool.children(name, snapshot):
                    self._pool.flatten(child)
            parent = self._pool.parent(name)
            self._pool.remove(name)
            if parent is not None and parent.snapshot == MOVE and parent.pool == self._pool.name:
                self._pool.drop_snapshot(parent.image, MOVE)

    async def set_aside(self, server_uuid: str, migration: str) -> None:
        step, end = f"setting aside the disks of server {server_uuid}", ASIDE + as_uuid(migration, "migration")

        def rename() -> None:
            names = self.disks_of(server_uuid)
            if not names and not self.aside_of(server_uuid, migration):
                raise DiskError(f"{step}: No such file or directory")
            for name in names:
                if name.endswith(".rescue"):
                    self.drop(name)
                else:
                    self._pool.rename(name, name + end)

        await self._run(step, rename)
        with suppress(DiskError):  # files of the host are made anew
            await super().set_aside(server_uuid, migration)

    async def is_aside(self, server_uuid: str, migration: str) -> bool:
        name = self.root(server_uuid) + ASIDE + as_uuid(migration, "migration")
        return await self._run(f"looking for the disks of server {server_uuid}", lambda: self._pool.exists(name))

    async def put_back(self, server_uuid: str, migration: str | None = None) -> None:
        def rename() -> None:
            aside = self.aside_of(server_uuid, migration)
            if migration is None and self._pool.exists(self.root(server_uuid)):
                return
            for name in aside:
                self.drop(name.split(ASIDE)[0])  # one that came back before, in a call that was cut off, is not aside
                self._pool.rename(name, name.split(ASIDE)[0])

        await self._freed(f"putting back the disks of server {server_uuid}", rename)
        await super().put_back(server_uuid, migration)

    async def drop_aside(self, server_uuid: str, migration: str) -> None:
        def drop() -> None:
            for name in self.aside_of(server_uuid, as_uuid(migration, "migration")):
                self.drop(name)

        await self._freed(f"removing the disks of server {server_uuid}", drop)
        await super().drop_aside(server_uuid, migration)

    async def discard(self, server_uuid: str, *, aside: str | None = None) -> None:
        """Another host may put back what is aside at any moment, so each disk gets a name that no one else uses before it is
        looked at: a copy goes, any other is the server's and gets its name back."""

        def discard() -> None:
            for name in [*self._gone(server_uuid), *self.disks_of(server_uuid)]:
                name = name.removesuffix(GONE)
                with suppress(ImageMissing):
                    self._pool.rename(name, name + GONE)
                if aside is None or self._is_copy(name + GONE) or self._pool.exists(name):
                    self.drop(name + GONE)
                else:
                    self._pool.rename(name + GONE, name)

        await self._freed(f"removing the disks of server {server_uuid}", discard)
        await super().discard(server_uuid, aside=aside)

    def _gone(self, server_uuid: str) -> list[str]:
        root = self.root(server_uuid)
        return _last(root + GONE, [n for n in self._pool.names() if n.startswith(root) and n.endswith(GONE)])

    def _is_copy(self, name: str) -> bool:
        with suppress(ImageMissing):
            parent = self._pool.parent(name)
            return parent is not None and parent.snapshot == MOVE
        return True

    async def remove(self, server_uuid: str) -> None:
        def drop() -> None:
            for name in self._pool.names():
                if name.startswith(self.root(server_uuid)):
                    self.drop(name)

        await self._freed(f"removing the disks of server {server_uuid}", drop)
        await super().remove(server_uuid)

    async def take_aside(self, server_uuid: str, migration: str) -> bool:
        root = self.root(server_uuid)

        def clone() -> bool:
            if self._pool.exists(root):
                return True
            aside = self.aside_of(server_uuid, as_uuid(migration, "migration"))
            if not any(name.startswith(root + ASIDE) for name in aside):
                return False
            for name in aside:
                self._pool.snapshot(name, MOVE)
                self._pool.clone(name.split(ASIDE)[0], name, MOVE)
            return True

        return await self._run(f"copying the disks of server {server_uuid}", clone)

    async def pack(self, server_uuid: str, migration: str) -> AsyncIterator[bytes]:
        raise DiskError(ELSEWHERE.format(server_uuid))
        yield b""

    async def unpack(self, server_uuid: str, stream: AsyncIterator[bytes], *, most: int | None = None) -> None:
        """The files of a host whose guest comes here while it runs; its disks are in the pool."""
        if not await self.present(server_uuid):
            raise DiskError(ELSEWHERE.format(server_uuid))
        await super().unpack(server_uuid, stream, most=most)


def _last(root: str, names: list[str]) -> list[str]:
    return sorted(names, key=lambda name: (name == root, name))

"""What the compute agent asks of a host's disks: base images, overlays, config drives, injected files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path

import msgspec

from kilonova.compute.virt.block import BlockSource
from kilonova.core.block.errors import DiskError
from kilonova.core.block.images import Fetch, ImageSource


class BaseImage(msgspec.Struct, frozen=True, kw_only=True):
    """A checked image in the host's cache. `virtual_size` in bytes, `format` raw or qcow2."""

    path: Path
    format: str
    virtual_size: int


class InjectedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file to write into a guest's root file system; parents are made."""

    path: str
    content: bytes
    mode: int = 0o644


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """A disk as one image that needs no other; `size` in bytes. `open` begins to read it."""

    size: int
    open: Callable[[], AsyncIterator[bytes]]


class FileRefused(DiskError):
    """A file that the user gave can't be written where the user said; the text is the user's to read."""


class DiskStore(ABC):
    """The disks of one host. Every method is idempotent; a partial result of a crashed call is never used."""

    @abstractmethod
    async def fetch(self, image: ImageSource, fetch: Fetch) -> BaseImage:
        """The cached base image, downloaded once per host however many ask at once: written to a temporary file,
        checked against size and hash, inspected (format_inspector), renamed into place. Raises DiskFull, ImageRefused."""

    @abstractmethod
    async def overlay(self, server_uuid: str, base: BaseImage, *, size_gb: int) -> BlockSource:
        """The server's root disk: copy-on-write on `base`, grown to `size_gb` (0: the base's size)."""

    @abstractmethod
    async def own_root(self, server_uuid: str, *, size_gb: int) -> BlockSource | None:
        """The server's root disk if it is there and needs no base image; grown as `overlay` does."""

    @abstractmethod
    async def full_root(self, server_uuid: str, base: BaseImage, *, size_gb: int) -> BlockSource:
        """The same, as a copy of `base`, which leaves the cache: no other server is made of it."""

    @abstractmethod
    async def blank(self, server_uuid: str, name: str, *, size_gb: float, filesystem: str | None) -> BlockSource:
        """An empty disk (ephemeral0, swap)."""

    @abstractmethod
    async def kernel(self, server_uuid: str, name: str, base: BaseImage) -> Path:
        """A kernel or ramdisk of the server where the hypervisor may open it; `name` is `kernel`, `ramdisk`, `kernel.rescue` or
        `ramdisk.rescue`."""

    @abstractmethod
    async def config_drive(self, server_uuid: str, files: dict[str, bytes]) -> BlockSource:
        """An ISO image labelled config-2 holding `files` (relative path → bytes)."""

    @abstractmethod
    async def inject(self, disk: BlockSource, files: list[InjectedFile]) -> None:
        """Write files into the disk's root file system without mounting it on the host; raises DiskError naming what
        could not be written."""

    @abstractmethod
    async def read(self, disk: BlockSource, path: str) -> bytes | None:
        """A file of the disk's root file system; None where there is none."""

    @abstractmethod
    async def rescue(self, server_uuid: str, base: BaseImage) -> BlockSource:
        """A disk to rescue the server with: copy-on-write on `base`, of its size."""

    @abstractmethod
    async def drop_rescue(self, server_uuid: str) -> None:
        """That disk goes, with its kernel and ramdisk; nothing happens when there is none."""

    @abstractmethod
    async def copy_target(self, server_uuid: str) -> tuple[BlockSource, BlockSource]:
        """(root disk, an empty disk of its size): for a hypervisor that copies the disk of a guest that is not off."""

    @abstractmethod
    async def export(self, server_uuid: str, disk_format: str) -> Export:
        """The root disk as an image of this format (raw or qcow2), from the copy that the hypervisor made, else from the disk
        itself: then the guest is off. Raises DiskFull."""

    @abstractmethod
    async def drop_export(self, server_uuid: str) -> None:
        """Copy and image go; nothing happens when there are none."""

    @abstractmethod
    def console_log(self, server_uuid: str) -> Path:
        """Where the server's serial console is logged."""

    @abstractmethod
    async def remove(self, server_uuid: str) -> None:
        """All the server's files, also what was set aside; nothing happens when there are none."""

    # ---- moves: `migration` is the uuid of one

    @abstractmethod
    async def set_aside(self, server_uuid: str, migration: str) -> None:
        """Keep the disks of a guest that is off under the move's name: the server has none here then. Raises DiskError where
        there are none."""

    @abstractmethod
    async def is_aside(self, server_uuid: str, migration: str) -> bool:
        """Whether they are, on this host's storage."""

    @abstractmethod
    async def put_back(self, server_uuid: str, migration: str | None = None) -> None:
        """What was set aside is the server's again, in place of what is there; nothing happens when nothing is aside. Without
        a move: what was set aside last, if the server has no disks here."""

    @abstractmethod
    async def drop_aside(self, server_uuid: str, migration: str) -> None:
        """Remove what was set aside."""

    @abstractmethod
    async def discard(self, server_uuid: str, *, aside: str | None = None) -> None:
        """Remove the server's disks, but for what was set aside. With a move, they are its copy of what is aside on this
        storage: once another host has put that back, the disks are the server's and stay."""

    @abstractmethod
    async def take_aside(self, server_uuid: str, migration: str) -> bool:
        """Make the server's disks a copy of what was set aside on this storage; True also where they are there already, False
        where nothing is aside."""

    @abstractmethod
    def pack(self, server_uuid: str, migration: str) -> AsyncIterator[bytes]:
        """What was set aside, for another host's `unpack`."""

    @abstractmethod
    def pack_form(self, server_uuid: str) -> AsyncIterator[bytes]:
        """The same of a server whose guest runs: its disks without what is in them, as the hypervisor carries that, and its other
        files."""

    @abstractmethod
    def pack_log(self, server_uuid: str) -> AsyncIterator[bytes]:
        """What the console has shown here, for another host's `take_log`."""

    @abstractmethod
    async def take_log(self, server_uuid: str, stream: AsyncIterator[bytes]) -> None:
        """Keep what the console has shown on another host before what it shows here; nothing happens when there is some."""

    @abstractmethod
    async def unpack(self, server_uuid: str, stream: AsyncIterator[bytes], *, most: int | None = None) -> None:
        """Make the server's disks what another host has packed; nothing happens when there are some. A stream that was cut off,
        or has more than `most` bytes of data (None: no bound is known), leaves nothing: raises DiskError."""

    @abstractmethod
    async def wipe(self, server_uuid: str, *, keep: Collection[str] = ()) -> None:
        """All but its console's log and the blank disks that are named."""

    @abstractmethod
    async def present(self, server_uuid: str) -> bool:
        """Is the server's root disk here?"""

    @abstractmethod
    async def servers(self) -> set[str]:
        """Servers that have files here (for `kilonova verify`)."""

    async def total_gb(self) -> int | None:
        """Size of the storage in GiB, where it is not the file system of the state directory."""
        return None

    async def storage(self) -> str:
        """The same for all hosts that share their disks, and for no other; "" where they are this host's alone."""
        return ""

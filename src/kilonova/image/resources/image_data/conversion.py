"""Disk images that are made raw on the way in, for stores whose images are cloned. What is uploaded, and what it becomes, are
files without a name meanwhile: a process that is killed leaves nothing."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from kilonova.core.block.errors import DiskError, DiskFull
from kilonova.core.block.qemu_img import COPYING
from kilonova.core.block.sandbox import must_run
from kilonova.image import errors
from kilonova.image.resources.images.schemas import ImageRecord
from kilonova.image.stores.base import StoreFull, Upload

QEMU_NAMES = {"qcow2": "qcow2", "vmdk": "vmdk", "vdi": "vdi", "vhd": "vpc", "vhdx": "vhdx"}
"""Disk formats that are converted → what qemu-img calls them."""
NO_SPACE = 28


class Spool(Upload):
    """Takes the place of a store's upload until the whole disk is there; its methods block, as those do."""

    def __init__(self, image: ImageRecord, folder: Path) -> None:
        self._image, self._folder = image, folder
        self._given: IO[bytes] | None = None
        self._raw: IO[bytes] | None = None

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._given, self._raw = (tempfile.TemporaryFile(dir=self._folder) for _ in range(2))  # noqa: SIM115

    def write(self, data: bytes) -> None:
        if self._given is not None:
            try:
                self._given.write(data)
            except OSError as error:
                raise (StoreFull() if error.errno == NO_SPACE else error) from error

    def commit(self) -> None:
        if self._given is not None:
            self._given.flush()

    def abort(self) -> None:
        self.close()

    def close(self) -> None:
        for file in (self._given, self._raw):
            if file is not None:
                file.close()
        self._given = self._raw = None

    async def convert(self) -> None:
        """The image's inspection has found it harmless."""
        given, raw = self._given, self._raw
        if given is None or raw is None:
            return
        name = QEMU_NAMES[self._image.disk_format or ""]
        argv = ["qemu-img", "convert", "-q", "-f", name, "-O", "raw", _path(given), _path(raw)]
        try:
            await must_run(argv, COPYING, step=f"image {self._image.id}")
        except DiskFull as error:
            raise StoreFull from error
        except DiskError as error:
            raise errors.InvalidImageData(reason=f"The image can't be converted to raw: {error}") from error

    def pieces(self, size: int) -> Iterator[bytes]:
        """The raw disk; blocking."""
        if self._raw is not None:
            for offset in range(0, os.fstat(self._raw.fileno()).st_size, size):
                yield os.pread(self._raw.fileno(), size, offset)


def _path(file: IO[Any]) -> str:
    return f"/proc/{os.getpid()}/fd/{file.fileno()}"

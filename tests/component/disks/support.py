"""Images made of bytes, downloads that count themselves, disks with file systems and partition tables."""

from __future__ import annotations

import asyncio
import hashlib
import struct
import subprocess
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

from kilonova.compute.virt.block import FileSource
from kilonova.core.block.images import ImageSource

MIB = 1 << 20
GIB = 1 << 30


def image(data: bytes, disk_format: str = "raw", **changes: object) -> ImageSource:
    fields: dict[str, object] = {
        "id": str(uuid.uuid4()), "disk_format": disk_format, "container_format": "bare", "size": len(data),
        "hash_algo": "sha512", "hash_value": hashlib.sha512(data).hexdigest()}  # fmt: skip
    return ImageSource(**{**fields, **changes})  # type: ignore[arg-type]


class Download:
    """A `Fetch` of some bytes; `opened` counts; `fail_at` bytes in, it breaks off; `pause` s before each chunk."""

    def __init__(self, data: bytes, *, fail_at: int | None = None, pause: float = 0.0, chunk: int = 65536) -> None:
        self.data, self.fail_at, self.pause, self.chunk = data, fail_at, pause, chunk
        self.opened = self.closed = 0

    async def __call__(self) -> AsyncIterator[bytes]:
        self.opened += 1
        try:
            for start in range(0, len(self.data), self.chunk):
                await asyncio.sleep(self.pause)
                if self.fail_at is not None and start >= self.fail_at:
                    raise ConnectionResetError(104, "Connection reset by peer")
                yield self.data[start : start + self.chunk]
        finally:
            self.closed += 1


def tool(*argv: str | Path) -> str:
    return subprocess.run([str(a) for a in argv], check=True, capture_output=True, text=True, timeout=60).stdout


def qcow2(path: Path, *options: str | Path, size: str = "10M") -> bytes:
    tool("qemu-img", "create", "-q", "-f", "qcow2", *options, path, size)
    return path.read_bytes()


def ext4(path: Path, size: int = 16 * MIB, *, etc: bool = True) -> Path:
    """A file system of its own on an unpartitioned disk, with /root, and /etc if asked."""
    tree = path.with_suffix(".tree")
    (tree / "root").mkdir(parents=True)
    if etc:
        (tree / "etc").mkdir()
        (tree / "etc" / "motd").write_text("hello\n")
    with path.open("wb") as file:
        file.truncate(size)
    tool("mke2fs", "-q", "-t", "ext4", "-d", tree, path)
    return path


def dos_table(partitions: list[tuple[int, int, int]]) -> bytes:
    """An MBR of (type, first sector, sectors)."""
    entries = b"".join(struct.pack("<B3sB3sII", 0, b"", kind, b"", first, count) for kind, first, count in partitions)
    return (bytes(446) + entries).ljust(510, b"\0") + b"\x55\xaa"


def gpt_table(partitions: list[tuple[str, int, int]]) -> bytes:
    """A protective MBR, a header and entries of (type GUID, first sector, last sector); no checksums."""
    mbr = bytearray(dos_table([(0xEE, 1, 0xFFFFFFFF)]))
    mbr[447:450] = b"\x00\x02\x00"
    header = (b"EFI PART" + struct.pack("<IIIIQQQQ16sQII", 0x10000, 92, 0, 0, 1, 99, 34, 99, b"", 2, 128, 128)).ljust(
        512, b"\0"
    )
    entries = b"".join(
        uuid.UUID(kind).bytes_le + uuid.uuid4().bytes_le + struct.pack("<QQQ72s", first, last, 0, b"")
        for kind, first, last in partitions
    )
    return bytes(mbr) + header + entries.ljust(128 * 128, b"\0")


def disk_of(path: Path, table: bytes, parts: list[tuple[int, Path]], size: int) -> Path:
    """A raw disk with a partition table and file systems at sectors."""
    with path.open("wb") as file:
        file.truncate(size)
        file.write(table)
        for sector, source in parts:
            file.seek(sector * 512)
            file.write(source.read_bytes())
    return path


def file_at(path: Path, format: str = "raw") -> FileSource:
    return FileSource(path=path, format=format)

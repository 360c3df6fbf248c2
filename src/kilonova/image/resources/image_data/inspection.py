"""What the bytes of an image really are, judged by oslo's format inspector while they stream by."""

from __future__ import annotations

from typing import Any

from oslo_utils.imageutils import format_inspector

from kilonova.image import errors

PLAIN_CONTAINERS = frozenset({"bare", "ami", "ari", "aki"})
UNSTRUCTURED = frozenset({"ami", "ari", "aki", "ploop"})
# a raw disk normally begins with a partition table, and a bootable ISO may be used as a disk
ACCEPTED_AS = {"raw": frozenset({"raw", "gpt", "iso"})} | {name: frozenset({"raw", "gpt"}) for name in UNSTRUCTURED}
MBR_MAY_BE_ODD = frozenset({"aki", "ari"})  # kernels carry a boot sector signature without partitions
MAX_SIZE = (1 << 63) - 1
# the inspector follows one pointer inside a piece, so headers are fed in small ones
HEAD, SMALL, LARGE = 4 << 20, 4096, 64 << 10


class _Chunk:
    """The file object that the inspector wraps: it gives what was put there."""

    def __init__(self) -> None:
        self.data = b""

    def read(self, _size: int) -> bytes:
        return self.data


class Inspection:
    """Feed every byte in order, then ask for the verdict. CPU-bound: use it in a worker thread."""

    def __init__(self, disk_format: str, container_format: str) -> None:
        self._disk_format = disk_format
        self._wrapped = container_format not in PLAIN_CONTAINERS
        self._chunk = _Chunk()
        source: Any = self._chunk
        self._inspector = format_inspector.InspectWrapper(source)
        self._size = 0

    def feed(self, data: bytes) -> None:
        step = SMALL if self._size < HEAD else LARGE
        for start in range(0, len(data), step):
            self._chunk.data = data[start : start + step]
            self._inspector.read(step)
        self._size += len(data)

    def verdict(self) -> int | None:
        """The virtual size in bytes, None where the format has none. Raises InvalidImageData."""
        self._inspector.close()
        try:
            found = self._detected()
            name = str(found)
            self._check_declared(name)
            self._check_safe(found, name)
            return self._virtual_size(found, name)
        except format_inspector.ImageFormatError as error:
            raise errors.InvalidImageData(reason=str(error)) from error

    def _detected(self) -> Any:
        matches = {str(found): found for found in self._inspector.formats or []}
        if matches.keys() == {"iso", "gpt"}:
            return matches["iso"]  # an ISO that also boots from a stick
        return self._inspector.format

    def _check_declared(self, name: str) -> None:
        accepted = ACCEPTED_AS.get(self._disk_format, frozenset({self._disk_format}))
        if self._wrapped:  # an archive around the disk: nothing we know by its first bytes
            accepted |= {"raw"}
        if name not in accepted:
            raise errors.InvalidImageData(
                reason=f"Image disk_format {self._disk_format} does not match stream data {name}"
            )

    def _check_safe(self, found: Any, name: str) -> None:
        try:
            found.safety_check()
        except format_inspector.SafetyCheckFailed as error:
            failures = {check: str(why) for check, why in error.failures.items()}
            if name == "gpt" and self._disk_format in MBR_MAY_BE_ODD:
                failures.pop("mbr", None)
            if failures:
                reasons = ", ".join(f"{check}: {why}" for check, why in sorted(failures.items()))
                raise errors.InvalidImageData(reason=f"Image failed safety checks ({reasons})") from error

    def _virtual_size(self, found: Any, name: str) -> int | None:
        if self._disk_format == "raw":
            return self._size
        if name != self._disk_format:
            return None
        size = int(found.virtual_size)
        if not 0 <= size <= MAX_SIZE:
            raise errors.InvalidImageData(reason=f"Image has an impossible virtual size of {size} bytes")
        return size or None

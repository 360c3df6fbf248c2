"""Is an image's file what its record says, and harmless? oslo.utils' format inspector decides, qemu-img confirms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
from oslo_utils.imageutils import format_inspector

from kilonova.core.block import qemu_img
from kilonova.core.block.errors import ImageRefused

# What a declared disk format may be detected as. A whole disk or a Linux kernel has a boot sector's signature, which
# the inspector reports as gpt; installation media often are an ISO and a disk at once.
PLAIN = frozenset({"raw", "gpt"})
DETECTABLE: Mapping[str, frozenset[str]] = {
    "raw": PLAIN,
    "ami": PLAIN,
    "aki": PLAIN,
    "ari": PLAIN,
    "iso": frozenset({"iso", "gpt"}),
    "qcow2": frozenset({"qcow2"}),
}
BLOCK = 1 << 16


class Inspected(msgspec.Struct, frozen=True, kw_only=True):
    """A file that passed: the format to name to qemu, and the guest's view of its size in bytes."""

    format: str
    virtual_size: int


def detect(path: Path) -> list[format_inspector.FileInspector]:
    """Every format the file matches (raw only alone); reads no more than the inspectors need. Blocking."""
    with path.open("rb") as file:
        wrapper = format_inspector.InspectWrapper(file)
        try:
            while wrapper.formats is None and wrapper.read(BLOCK):
                pass
        finally:
            wrapper.close()
        return list(wrapper.formats or [])


def inspect(path: Path, declared: str, *, name: str) -> Inspected:
    """Detect and check the file; ImageRefused with the reason. Blocking."""
    allowed = DETECTABLE.get(declared)
    if allowed is None:
        supported = ", ".join(sorted(DETECTABLE))
        raise ImageRefused(f"image {name}: disk format {declared} is not supported by this host ({supported} are)")
    try:
        matches = detect(path)
    except Exception as error:  # inspectors parse hostile bytes
        raise ImageRefused(f"image {name}: its format can't be determined") from error
    found = {str(match) for match in matches}
    if not found or not found <= allowed or (declared == "iso" and "iso" not in found):
        detected = " and ".join(sorted(found)) or "unknown"
        raise ImageRefused(f"image {name}: declared as {declared}, but its content is {detected}")
    if declared != "qcow2":
        return Inspected(format="raw", virtual_size=path.stat().st_size)
    _check_safety(matches[0], name)
    return Inspected(format="qcow2", virtual_size=matches[0].virtual_size)


def _check_safety(inspector: format_inspector.FileInspector, name: str) -> None:
    try:
        inspector.safety_check()
    except format_inspector.SafetyCheckFailed as error:
        reasons = "; ".join(str(failure) for failure in error.failures.values())
        raise ImageRefused(f"image {name}: unsafe: {reasons}") from error
    except format_inspector.ImageFormatError as error:
        raise ImageRefused(f"image {name}: {error}") from error


async def confirm_qcow2(path: Path, found: Inspected, *, name: str) -> None:
    """Ask qemu-img the same questions, so that a file the two read differently is refused, and a damaged one too."""
    info = await qemu_img.info(path, "qcow2")
    if info.backing_filename or info.full_backing_filename:
        raise ImageRefused(f"image {name}: unsafe: Image has a backing file")
    if info.virtual_size != found.virtual_size:
        raise ImageRefused(f"image {name}: its size is {found.virtual_size} or {info.virtual_size} bytes: ambiguous")
    await qemu_img.check_qcow2(path, name=name)

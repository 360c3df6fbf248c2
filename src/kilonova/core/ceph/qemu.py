"""Block images as QEMU's tools reach them. They read the user's key themselves, so that no command line has it."""

from __future__ import annotations

from kilonova.core.block.qemu_img import COPYING
from kilonova.core.block.sandbox import Limits, must_run
from kilonova.core.ceph.options import CephOptions

LIMITS = Limits(
    address_space=None, cpu_seconds=COPYING.cpu_seconds, timeout=COPYING.timeout
)  # Ceph's threads take much


def url(options: CephOptions, pool: str, name: str) -> str:
    words = {"id": options.user, "conf": str(options.conf)} | ({"keyring": options.keyring} if options.keyring else {})
    return ":".join([f"rbd:{pool}/{name}", *(f"{key}={_escaped(value)}" for key, value in words.items())])


async def convert(source: str, source_format: str, target: str, target_format: str, *, step: str) -> None:
    """A full copy; either side is a file or a URL. Needs qemu-block-extra. Raises DiskError."""
    argv = ["qemu-img", "convert", "-q", "-f", source_format, "-O", target_format, source, target]
    await must_run(argv, LIMITS, step=step)


def _escaped(value: str) -> str:
    return "".join(f"\\{c}" if c in ":@=\\" else c for c in value)

"""Files with LUKS: a header, which a passphrase opens, and then as many encrypted bytes as the disk has.

Passphrases are read from a file in memory: no list of processes, log or folder has them."""

from __future__ import annotations

from pathlib import Path

from kilonova.core.block.qemu_img import COPYING
from kilonova.core.block.sandbox import Limits, must_run
from kilonova.core.secret import Secret

HEADER = 2 << 20
"""Bytes before the content."""
ITERATIONS = (
    100_000  # they slow down the guessing of passphrases; ours are random, so that more would only slow down guests
)
FORMAT = (
    "cryptsetup", "luksFormat", "--batch-mode", "--type", "luks1", "--cipher", "aes-xts-plain64", "--key-size", "512",
    "--hash", "sha256", "--pbkdf-force-iterations", str(ITERATIONS), "--align-payload", str(HEADER // 512),
    "--use-urandom", "--key-file", "-",
)  # fmt: skip


async def format_luks(path: Path, key: Secret, *, step: str) -> None:
    """Write the header into a file that is large enough. Not by `qemu-img create`: it measures for seconds how many iterations to
    take, and fails where the clock of CPU time is coarse."""
    await must_run([*FORMAT, str(path)], Limits(), step=step, stdin=key.reveal)


async def fill(source: Path, source_format: str, target: Path, key: Secret, *, step: str) -> None:
    """Encrypt a disk into a file that `format_luks` made."""
    opened = f"driver=luks,key-secret=key,file.driver=file,file.filename={target}"
    argv = ["qemu-img", "convert", "-q", "-n", "-f", source_format, "--object", "secret,id=key,file=/dev/stdin"]
    await must_run([*argv, str(source), "--target-image-opts", opened], COPYING, step=step, stdin=key.reveal)

"""Boot a guest with plain qemu and follow its serial console."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

BOOT_TIMEOUT = 300.0


class Machine:
    """A running guest; `serial` is its console's log so far."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process, self._log = process, log

    @property
    def serial(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    async def wait_for(self, pattern: str) -> re.Match[str]:
        async with asyncio.timeout(BOOT_TIMEOUT):
            while not (found := re.search(pattern, self.serial)):
                assert self._process.returncode is None, self.serial
                await asyncio.sleep(0.1)
        return found


@asynccontextmanager
async def booted(
    work: Path, disks: Sequence[tuple[Path, str]], *arguments: str | Path, nics: int = 0
) -> AsyncIterator[Machine]:
    """A guest with virtio disks (path, format) and, of NICs, so many on qemu's user network."""
    log = work / "serial.log"
    argv = ["-nodefaults", "-no-user-config", "-display", "none", "-serial", f"file:{log}", "-M", "q35", "-accel", "tcg",
            "-m", "128", "-device", "virtio-rng-pci", *map(str, arguments)]  # fmt: skip
    for number, (path, format) in enumerate(disks):
        argv += ["-drive", f"if=none,id=d{number},file={path},format={format}"]
        argv += ["-device", f"virtio-blk-pci,drive=d{number}"]
    for number in range(nics):
        argv += ["-netdev", f"user,id=n{number},net=10.{number}.2.0/24"]
        argv += ["-device", f"virtio-net-pci,netdev=n{number},romfile="]
    process = await asyncio.create_subprocess_exec("qemu-system-x86_64", *argv)
    try:
        yield Machine(process, log)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()

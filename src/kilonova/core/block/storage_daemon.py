"""A qemu-storage-daemon that serves one disk by NBD, in a folder of its own, and runs on when this process ends.

    FOLDER/nbd       unix socket of its NBD server (or TCP)    FOLDER/qmp       socket of its monitor
    FOLDER/keys.psk  keys of those who may connect by TCP      FOLDER/pid
    FOLDER/served    what it serves, by which any process may start it again

One process a disk: what goes wrong with one does not reach another, and a key opens one disk alone. Started again, it serves
the disk with the size that the disk has then; those that connect again see it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pwd
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from kilonova.core import log
from kilonova.core.block import qmp
from kilonova.core.block.files import os_errors
from kilonova.core.block.sandbox import Limits, must_run
from kilonova.core.folders import searchable
from kilonova.core.processes import command_line, stop

NODE = "disk"
"""Name of the block node, for orders."""
KEYS = "keys.psk"  # QEMU looks for this name
STARTING = Limits(address_space=None, cpu_seconds=None, timeout=30.0, powerless=True)
STOP_PATIENCE, LOOK_AGAIN = 10.0, 0.02  # seconds

LOG = log.get(__name__)


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """`disk`: options of the block node, without a name. `port` None: on the unix socket, which the user `owner` may open;
    else on TCP at `listen`, by TLS. `keys`: user → key (hex), of those that may connect, or, with a `user`, the one with which
    the disk itself is reached. With `flushes` each write is on the medium before it is answered."""

    name: str
    disk: Mapping[str, Any]
    writable: bool = True
    flushes: bool = False
    port: int | None = None
    listen: str = ""
    keys: Mapping[str, str] = {}
    user: str = ""
    owner: str = ""


class StorageDaemon:
    """The daemon of a folder, whichever process started it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket, self.monitor = folder / "nbd", folder / "qmp"

    def served(self) -> Served | None:
        """What it serves, or is to serve again; None: nothing. Blocking."""
        try:
            return msgspec.json.decode((self.folder / "served").read_bytes(), type=Served)
        except (FileNotFoundError, msgspec.DecodeError):  # torn by a crash: it never served that
            return None

    def pid(self) -> int | None:
        """Of the daemon that runs; blocking."""
        try:
            pid = int((self.folder / "pid").read_text())
        except (OSError, ValueError):
            return None
        return pid if str(self.folder / "pid") in command_line(pid) else None

    async def serve(self, served: Served) -> None:
        """It serves this; nothing happens when it does. New keys count for connections from now on. Raises DiskError."""
        async with self._alone(served.name):
            held = await asyncio.to_thread(self.served)
            if held != served:
                await asyncio.to_thread(self._note, served)
            if held is not None and msgspec.structs.replace(held, keys=served.keys) != served:
                await asyncio.to_thread(self._end)
            await self._run(served)

    async def restart(self) -> None:
        """Serve the same again: each connection is cut, and the disk's size is read again. Nothing happens where nothing was
        served."""
        async with self._alone(self.folder.name):
            served = await asyncio.to_thread(self.served)
            if served is not None:
                await asyncio.to_thread(self._end)
                await self._run(served)

    async def ensure(self) -> bool:
        """Whether it is to serve something; it runs then."""
        async with self._alone(self.folder.name):
            served = await asyncio.to_thread(self.served)
            if served is not None:
                await self._run(served)
            return served is not None

    async def remove(self) -> None:
        """The daemon ends, and its folder goes."""
        if await asyncio.to_thread(self.folder.exists):
            async with self._alone(self.folder.name):
                await asyncio.to_thread((self.folder / "served").unlink, missing_ok=True)
                await asyncio.to_thread(self._end)
                await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)

    def orders(self) -> AbstractAsyncContextManager[qmp.Qmp]:
        """Its monitor, which serves one at a time."""
        return qmp.connected(self.monitor, f"export of disk {self.folder.name}")

    # inside

    @asynccontextmanager
    async def _alone(self, name: str) -> AsyncIterator[None]:
        """No other task or process starts or ends it meanwhile."""
        with os_errors(f"export of disk {name}"):
            await asyncio.to_thread(searchable, self.folder)
            with (self.folder / "lock").open("w") as lock:
                while True:
                    try:
                        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        break
                    except BlockingIOError:
                        await asyncio.sleep(LOOK_AGAIN)
                yield

    def _note(self, served: Served) -> None:
        _write(self.folder / "served", msgspec.json.encode(served))
        _write(self.folder / KEYS, "".join(f"{user}:{key}\n" for user, key in served.keys.items()).encode())

    async def _run(self, served: Served) -> None:
        fresh = await asyncio.to_thread(self.pid) is None
        if fresh:
            await must_run(self._command(served), STARTING, step=f"export of disk {served.name}")
        await asyncio.to_thread(self._hand_over, served)  # one that started it may have died before
        if fresh:
            LOG.info("disk exported", disk=served.name, port=served.port)

    def _end(self) -> None:
        if (pid := self.pid()) is not None:
            stop(pid, patience=STOP_PATIENCE)

    def _hand_over(self, served: Served) -> None:
        if served.owner and served.port is None and os.geteuid() == 0:
            with contextlib.suppress(KeyError):  # no such user here: only root's guests reach it
                os.chown(self.socket, pwd.getpwnam(served.owner).pw_uid, os.getegid())
                self.socket.chmod(0o660)  # a daemon of root without its powers connects as the group

    def _command(self, served: Served) -> list[str]:
        server: dict[str, Any] = {"addr": {"type": "unix", "path": str(self.socket)}}
        tls = {"qom-type": "tls-creds-psk", "id": "tls", "dir": str(self.folder)}
        objects = []
        if served.user:
            objects.append({**tls, "endpoint": "client", "username": served.user})
        elif served.port is not None:
            objects.append({**tls, "endpoint": "server"})
            server = {"addr": {"type": "inet", "host": served.listen, "port": str(served.port)}, "tls-creds": "tls"}
        export = {"type": "nbd", "id": "export", "node-name": NODE, "name": served.name, "writable": served.writable,
                  "writethrough": served.flushes}  # fmt: skip
        parts = [
            ("chardev", f"socket,id=monitor,path={self.monitor},server=on,wait=off"),
            ("monitor", {"chardev": "monitor", "id": "monitor"}),
            *(("object", made) for made in objects),
            ("blockdev", {**served.disk, "node-name": NODE, "read-only": not served.writable}),
            ("nbd-server", server),
            ("export", export),
        ]
        command = ["qemu-storage-daemon", "--daemonize", "--pidfile", str(self.folder / "pid")]
        for option, value in parts:
            command += [f"--{option}", value if isinstance(value, str) else msgspec.json.encode(value).decode()]
        return command


def _write(path: Path, content: bytes) -> None:
    """For us alone, whole or not at all."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(handle, "wb") as file:
        file.write(content)
    fresh.replace(path)

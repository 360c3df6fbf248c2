"""Fake guests on their way from host to host: what a guest is goes through the same sockets as a real one's memory."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import zlib
from pathlib import Path
from typing import Any

import msgspec

from kilonova.compute.models import Progress
from kilonova.compute.virt.capabilities import LiveMigrates, Sending
from kilonova.compute.virt.driver import GuestNotFound, PowerState, VirtError
from kilonova.compute.virt.fake_hypervisor import FakeGuest, FakeHypervisor

CONTROL = "control"
OFF = (PowerState.SHUTDOWN, PowerState.CRASHED, PowerState.SUSPENDED)
HALF = Progress(
    memory_total=1 << 29, memory_processed=1 << 28, memory_remaining=1 << 28, disk_total=1 << 30, disk_processed=1 << 29,
    disk_remaining=1 << 29,
)  # fmt: skip


class Passage:
    """What one host sends and awaits at present."""

    def __init__(self) -> None:
        self.servers: dict[str, asyncio.Server] = {}  # by migration
        self.sent: dict[str, asyncio.Task[None]] = {}  # by guest


class FakeLive(LiveMigrates):
    """The part of `FakeDriver` that sends guests."""

    __slots__ = ()
    host: str
    _hypervisor: FakeHypervisor
    _passage: Passage

    async def _act(self, operation: str, uuid: str) -> FakeGuest:
        raise NotImplementedError

    async def guest_needs(self, uuid: str) -> dict[str, str]:
        if (await self._act("guest_needs", uuid)).state in OFF:
            raise VirtError(f"guest_needs: guest {uuid}: it is off")
        return {"driver": "fake"}

    async def check_needs(self, needs: dict[str, str]) -> None:
        if needs.get("driver") != "fake":
            raise VirtError(f"guests of the driver {needs.get('driver')} do not run here")

    async def receive(self, uuid: str, migration: str) -> tuple[dict[str, Path], dict[str, str]]:
        await self.received(uuid, migration)
        path = self._folder(migration) / "in"

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            guest = msgspec.json.decode(await reader.readline(), type=FakeGuest)
            self._hypervisor.put(self.host, uuid, guest)
            writer.write(b"ok\n")
            await writer.drain()
            writer.close()

        path.parent.mkdir(mode=0o700, exist_ok=True)
        self._passage.servers[migration] = await asyncio.start_unix_server(take, str(path))
        return {CONTROL: path}, {}

    async def received(self, uuid: str, migration: str) -> None:
        server = self._passage.servers.pop(migration, None)
        if server is not None:
            server.close()
        shutil.rmtree(self._folder(migration), ignore_errors=True)

    async def ways(self, migration: str) -> dict[str, Path]:
        self._folder(migration).mkdir(mode=0o700, exist_ok=True)
        return {CONTROL: self._folder(migration) / "out"}

    async def send(self, uuid: str, sending: Sending) -> None:
        task = self._passage.sent[uuid] = asyncio.ensure_future(self._send(uuid, sending))
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait([task])
            raise
        finally:
            self._passage.sent.pop(uuid, None)
        if task.cancelled():
            raise VirtError(f"send: guest {uuid}: it was given up")
        task.result()

    async def _send(self, uuid: str, sending: Sending) -> None:
        guest = await self._act("send", uuid)
        if guest.state in OFF:
            raise VirtError(f"send: guest {uuid}: it is off")
        paused = msgspec.structs.replace(guest, state=int(PowerState.PAUSED))
        try:
            reader, writer = await asyncio.open_unix_connection(str(sending.ways[CONTROL]))
            writer.write(msgspec.json.encode(paused) + b"\n")
            answer = await reader.readline()
            writer.close()
        except OSError as error:
            raise VirtError(f"send: guest {uuid}: {error}") from error
        if answer != b"ok\n":
            raise VirtError(f"send: guest {uuid}: the other host did not take it")
        self._hypervisor.drop(self.host, uuid)

    async def land(self, uuid: str) -> None:
        await self._act("resume", uuid)
        self._hypervisor.become(self.host, uuid, PowerState.RUNNING)

    async def progress(self, uuid: str) -> Progress | None:
        return HALF if uuid in self._passage.sent else None

    async def hurry(self, uuid: str) -> None:
        """The time that it takes is over."""
        with contextlib.suppress(GuestNotFound):
            await self._act("hurry", uuid)
            self._hypervisor.become(self.host, uuid, PowerState.PAUSED)

    async def give_up(self, uuid: str) -> None:
        task = self._passage.sent.get(uuid)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def _folder(self, migration: str) -> Path:
        """Short, as names of sockets must be."""
        host: Any = zlib.crc32(self.host.encode())
        return Path(tempfile.gettempdir()) / f"kilonova-{migration[:18]}-{host:x}"

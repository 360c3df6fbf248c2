"""A bridge data plane that runs in a virtual host, in a process of its own, and its stand-in here, which an agent drives."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from kilonova.core import log
from kilonova.network.agent.dataplane import DataPlane, DataPlaneError, Fault, Leftover
from kilonova.network.agent.model import HostModel
from kilonova.network.agent.options import DataPlaneOptions
from kilonova.network.agent.registry import compose
from kilonova.testing.hosts import VirtualHost

ROOT = Path(__file__).parents[3]
LONGEST = 1 << 24  # bytes of a line


class Ask(msgspec.Struct):
    do: str
    state: HostModel | None = None
    port_id: str = ""
    remove: bool = False


class Answer(msgspec.Struct):
    """`tap` is an event, else it answers the oldest question."""

    error: str = ""
    leftovers: list[Leftover] = []
    faults: tuple[Fault, ...] = ()
    tap: tuple[str, bool] | None = None


class RemoteDataPlane(DataPlane):
    """`kill` ends the process as a crash would; `open` starts the next one."""

    name = "bridge"
    sections = ("networks", "security_groups", "qos_policies", "routers")

    def __init__(self, host: VirtualHost, options: DataPlaneOptions) -> None:
        self.host, self.options, self.tunnel_ip = host, options, options.tunnel_ip
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._asked: list[asyncio.Future[Answer]] = []
        self._listeners: list[Callable[[str, bool], None]] = []
        self._up: set[str] = set()

    async def open(self) -> None:
        options = msgspec.json.encode(self.options).decode()
        words = self.host.wrap(sys.executable, "-m", "tests.host.dataplane.remote", options, folder=ROOT)
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe, limit=LONGEST)
        self._reader = asyncio.ensure_future(self._read(self._process))
        await self._ask(Ask("open"))

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            answer = msgspec.json.decode(line, type=Answer)
            if answer.tap is not None:
                tap, up = answer.tap
                (self._up.add if up else self._up.discard)(tap)
                for listener in self._listeners:
                    listener(tap, up)
            else:
                self._asked.pop(0).set_result(answer)
        for waiting in self._asked:
            waiting.set_result(Answer(error="the data plane's process is gone"))
        self._asked.clear()

    async def _ask(self, ask: Ask) -> Answer:
        assert self._process is not None
        assert self._process.stdin is not None
        done = asyncio.get_running_loop().create_future()
        self._asked.append(done)
        self._process.stdin.write(msgspec.json.encode(ask) + b"\n")
        answer: Answer = await done
        if answer.error:
            raise DataPlaneError(answer.error)
        return answer

    async def apply(self, state: HostModel) -> tuple[Fault, ...]:
        return (await self._ask(Ask("apply", state=state))).faults

    async def unplug(self, port_id: str) -> None:
        await self._ask(Ask("unplug", port_id=port_id))

    async def leftovers(self) -> list[Leftover]:
        return (await self._ask(Ask("leftovers"))).leftovers

    async def stale(self, wanted: HostModel) -> list[Leftover]:
        return (await self._ask(Ask("stale", state=wanted))).leftovers

    def subscribe(self, on_tap: Callable[[str, bool], None]) -> None:
        self._listeners.append(on_tap)
        for tap in self._up:
            asyncio.get_running_loop().call_soon(on_tap, tap, True)

    async def close(self, *, remove: bool = False) -> None:
        if self._process is not None and self._process.returncode is None:
            await self._ask(Ask("close", remove=remove))
        await self.kill()

    async def kill(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        if self._reader is not None:
            await self._reader
        self._listeners.clear()
        self._up.clear()


async def main(options: DataPlaneOptions) -> None:
    plane = compose(options)

    def say(answer: Answer) -> None:
        print(msgspec.json.encode(answer).decode(), flush=True)

    async def act(ask: Ask) -> Answer:
        if ask.do == "open":
            await plane.open()
            plane.subscribe(lambda tap, up: say(Answer(tap=(tap, up))))
        elif ask.do == "apply":
            return Answer(faults=await plane.apply(ask.state or HostModel()))
        elif ask.do == "unplug":
            await plane.unplug(ask.port_id)
        elif ask.do == "leftovers":
            return Answer(leftovers=await plane.leftovers())
        elif ask.do == "stale":
            return Answer(leftovers=await plane.stale(ask.state or HostModel()))
        elif ask.do == "close":
            await plane.close(remove=ask.remove)
        return Answer()

    while line := await asyncio.to_thread(sys.stdin.readline):
        try:
            say(await act(msgspec.json.decode(line, type=Ask)))
        except Exception as error:
            say(Answer(error=f"{type(error).__name__}: {error}"))


if __name__ == "__main__":
    log.configure(level="warning")  # to stderr: stdout is ours
    asyncio.run(main(msgspec.json.decode(sys.argv[1], type=DataPlaneOptions)))

"""Running programs beside an event loop, at a price that does not grow with our own size.

uvloop starts a program by fork, which copies the page tables of this process: some 15 ms for a whole cloud, in which the loop
does nothing else. `subprocess` starts it by vfork, in 1 ms."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any


class Program:
    """A program that was started. `stdout` and `stderr` are to be read by somebody, or it may stand still."""

    def __init__(
        self, process: subprocess.Popen[bytes], stdout: asyncio.StreamReader, stderr: asyncio.StreamReader
    ) -> None:
        self._process = process
        self.stdout, self.stderr = stdout, stderr

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """None until its end was seen; a signal's number, negative, when that killed it."""
        return self._process.poll()

    def terminate(self) -> None:
        """Nothing happens when it has ended."""
        self._process.terminate()

    def kill(self) -> None:
        """Nothing happens when it has ended."""
        self._process.kill()

    async def wait(self) -> int:
        """Its return code, at its end."""
        if self._process.poll() is None:
            await _gone(self._process.pid)
        return self._process.wait()


async def start(
    argv: Sequence[str],
    *,
    stdin: int = subprocess.DEVNULL,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    new_session: bool = False,
) -> Program:
    """Start it with both outputs piped; raises FileNotFoundError, PermissionError. `stdin` is an open file."""
    process = _popen(argv, stdin=stdin, cwd=cwd, env=env, start_new_session=new_session)
    try:
        return Program(process, await _reader(process.stdout), await _reader(process.stderr))
    except BaseException:
        process.kill()
        raise


def _popen(argv: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """Blocks until the program runs in the child's place: 1 ms. Not in a thread: a child that is to die with us would die with
    the thread."""
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


async def _reader(pipe: IO[bytes] | None) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    return reader


async def _gone(pid: int) -> None:
    """When a child of ours has ended; it is not reaped."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    handle = os.pidfd_open(pid)
    loop.add_reader(handle, _end, ended)
    try:
        await ended
    finally:
        loop.remove_reader(handle)
        os.close(handle)


def _end(ended: asyncio.Future[None]) -> None:
    if not ended.done():
        ended.set_result(None)

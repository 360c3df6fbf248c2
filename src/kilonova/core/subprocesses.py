"""Subprocesses of an event loop, started in a time that does not grow with the size of this process.

uvloop starts a subprocess by fork, which copies the page tables of this process: about 15 ms in a process with all services, in
which the loop is blocked. `subprocess` starts it by vfork, in 1 ms."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

CHUNK = 65536


class Program:
    """A subprocess that was started. Its output is kept until `stdout` and `stderr` are read."""

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
    out, err = (_reader(pipe) for pipe in (process.stdout, process.stderr) if pipe is not None)
    return Program(process, out, err)


def _popen(argv: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """Blocks until the program runs in the child's place: 1 ms. Not in a thread: a child that is to die with us would die with
    the thread."""
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def _reader(pipe: IO[bytes]) -> asyncio.StreamReader:
    """What comes out of the pipe. Not by `connect_read_pipe`: uvloop closes a pipe's number twice, and by the second time it may
    be that of a file which another thread has just opened."""
    reader, loop = asyncio.StreamReader(), asyncio.get_running_loop()
    os.set_blocking(pipe.fileno(), False)

    def read() -> None:
        try:
            data = os.read(pipe.fileno(), CHUNK)
        except BlockingIOError:
            return
        if data:
            reader.feed_data(data)
            return
        loop.remove_reader(pipe.fileno())
        pipe.close()
        reader.feed_eof()

    loop.add_reader(pipe.fileno(), read)
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

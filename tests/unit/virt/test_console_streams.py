"""Terminals and sockets as streams: what is written arrives, what waits is woken, what is gone ends."""

from __future__ import annotations

import asyncio
import os
import termios
from pathlib import Path

import pytest

from kilonova.compute.virt.console_streams import SocketStream, TerminalStream
from kilonova.compute.virt.driver import VirtError
from tests.eventually import PATIENCE


async def test_a_terminal_carries_all_bytes_unchanged() -> None:
    """Control characters too, and more than it holds at once."""
    guest, terminal = os.openpty()
    os.set_blocking(guest, False)
    stream = await TerminalStream.open(Path(os.ttyname(terminal)))
    os.close(terminal)
    try:
        os.write(guest, b"login: \x03\r\n")
        assert await asyncio.wait_for(stream.read(), PATIENCE) == b"login: \x03\r\n"
        data, seen = bytes(range(256)) * 400, b""
        writing = asyncio.ensure_future(stream.write(data))
        async with asyncio.timeout(PATIENCE):
            while len(seen) < len(data):
                try:
                    seen += os.read(guest, 65536)
                except BlockingIOError:
                    await asyncio.sleep(0.001)
            await writing
        assert seen == data
    finally:
        os.close(guest)
        await stream.close()


async def test_a_terminal_ends_when_the_guest_does() -> None:
    guest, terminal = os.openpty()
    stream = await TerminalStream.open(Path(os.ttyname(terminal)))
    os.close(terminal)
    reading = asyncio.ensure_future(stream.read())
    await asyncio.sleep(0.01)
    os.close(guest)
    assert await asyncio.wait_for(reading, PATIENCE) == b""
    await stream.close()


async def test_a_closed_terminal_wakes_what_waits_for_it() -> None:
    guest, terminal = os.openpty()
    stream = await TerminalStream.open(Path(os.ttyname(terminal)))
    os.close(terminal)
    reading = asyncio.ensure_future(stream.read())
    await asyncio.sleep(0.01)
    await stream.close()
    await stream.close()
    assert await asyncio.wait_for(reading, PATIENCE) == b""
    with pytest.raises(OSError, match="closed"):
        await stream.write(b"x")
    os.close(guest)


async def test_a_reader_that_gives_up_leaves_the_terminal_usable() -> None:
    guest, terminal = os.openpty()
    stream = await TerminalStream.open(Path(os.ttyname(terminal)))
    os.close(terminal)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(stream.read(), 0.01)
    os.write(guest, b"late")
    assert await asyncio.wait_for(stream.read(), PATIENCE) == b"late"
    await stream.close()
    os.close(guest)


async def test_a_socket(tmp_path: Path) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(100))
        writer.close()

    server = await asyncio.start_unix_server(echo, str(tmp_path / "vnc.sock"))
    stream = await SocketStream.open(tmp_path / "vnc.sock")
    await stream.write(b"RFB")
    assert [await stream.read(), await stream.read()] == [b"RFB", b""]
    await stream.close()
    server.close()
    with pytest.raises(OSError):
        await SocketStream.open(tmp_path / "none.sock")


@pytest.mark.parametrize("name", ["none", "file"])
async def test_what_is_no_terminal_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        await TerminalStream.open(tmp_path / name)


async def test_what_a_check_refuses_is_left_as_it_was(tmp_path: Path) -> None:
    """A terminal that is another program's by now: its mode is not changed, nothing is read."""

    async def refuse() -> None:
        raise VirtError("it was switched off meanwhile")

    guest, terminal = os.openpty()
    mode = termios.tcgetattr(terminal)
    with pytest.raises(VirtError):
        await TerminalStream.open(Path(os.ttyname(terminal)), refuse)
    assert termios.tcgetattr(terminal) == mode
    os.write(guest, b"secret\n")
    assert os.read(terminal, 100) == b"secret\n"
    os.close(guest)
    os.close(terminal)
    gone = asyncio.Event()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.read() == b""
        writer.close()
        gone.set()

    server = await asyncio.start_unix_server(served, str(tmp_path / "vnc.sock"))
    with pytest.raises(VirtError):
        await SocketStream.open(tmp_path / "vnc.sock", refuse)
    await asyncio.wait_for(gone.wait(), PATIENCE)
    server.close()

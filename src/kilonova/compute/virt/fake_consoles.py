"""Consoles of guests that are pretended: a VNC server whose picture changes with each key, and a terminal that repeats what is
typed. Both end with their guest."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

from kilonova.core.web.relay import ByteStream

WIDTH, HEIGHT = 64, 48
UNREAD = 16  # answers that are kept for a client that reads more slowly than it writes
LONGEST = 1 << 20  # bytes of one message of the client
VERSION, NO_AUTHENTICATION, OK = b"RFB 003.008\n", b"\x01\x01", bytes(4)
PIXELS = struct.pack(">BBBBHHHBBB3x", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)
KEY = 4
SIZES = {0: 20, 3: 10, KEY: 8, 5: 6}
"""RFB's messages of the client whose length is fixed: SetPixelFormat, FramebufferUpdateRequest, KeyEvent, PointerEvent."""


class PretendedConsole(ByteStream):
    """`say` gives what the console sends, `took` gets what it is sent."""

    def __init__(self) -> None:
        self._answers: asyncio.Queue[bytes] = asyncio.Queue()
        self._room = asyncio.Event()
        self._closed = False
        self.ended: Callable[[], None] = lambda: None  # called once, when it is closed

    async def read(self) -> bytes:
        answer = b"" if self._closed and self._answers.empty() else await self._answers.get()
        self._room.set()
        return answer

    async def write(self, data: bytes) -> None:
        if self._closed:
            raise BrokenPipeError("the guest is gone")
        self.took(data)
        while self._answers.qsize() > UNREAD and not self._closed:
            self._room.clear()
            await self._room.wait()

    async def close(self) -> None:
        self.end()

    def end(self) -> None:
        if not self._closed:
            self._closed = True
            self._answers.put_nowait(b"")
            self._room.set()
            self.ended()

    def say(self, data: bytes) -> None:
        self._answers.put_nowait(data)

    def took(self, data: bytes) -> None:
        raise NotImplementedError


class PretendedTerminal(PretendedConsole):
    """Repeats what is typed; a line gets an answer."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._prompt, self._line = f"{name} login: ".encode(), b""
        self.say(b"\r\n" + self._prompt)

    def took(self, data: bytes) -> None:
        answer = b""
        for byte in data:
            if byte in b"\r\n":
                answer += b"\r\n" + (b"Hello, " + self._line + b"\r\n" if self._line else b"") + self._prompt
                self._line = b""
            else:
                self._line = (self._line + bytes([byte]))[-80:]
                answer += bytes([byte])
        self.say(answer)


class PretendedVnc(PretendedConsole):
    """RFB 3.8, without authentication; one rectangle in one colour."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name.encode()
        self._received, self._colour = b"", 0x20C040
        self._wanted = self._changed = False
        self._next: Callable[[], bool] = self._version
        self.say(VERSION)

    def took(self, data: bytes) -> None:
        self._received += data
        while not self._closed and self._next():
            pass

    def _take(self, size: int) -> bytes | None:
        """That many of the bytes received, once all of them are there."""
        if size > LONGEST:
            self.end()
        if len(self._received) < size or self._closed:
            return None
        taken, self._received = self._received[:size], self._received[size:]
        return taken

    # the handshake, in its order; each says whether it had all that it needs

    def _version(self) -> bool:
        if (version := self._take(12)) is None:
            return False
        if not version.startswith(b"RFB 003."):
            self.end()
        self.say(NO_AUTHENTICATION)
        self._next = self._security
        return True

    def _security(self) -> bool:
        if (chosen := self._take(1)) is None:
            return False
        if chosen != b"\x01":
            self.end()
        self.say(OK)
        self._next = self._initialisation
        return True

    def _initialisation(self) -> bool:
        if self._take(1) is None:
            return False
        self.say(struct.pack(">HH", WIDTH, HEIGHT) + PIXELS + struct.pack(">I", len(self._name)) + self._name)
        self._next = self._message
        return True

    def _message(self) -> bool:
        if not self._received:
            return False
        kind = self._received[0]
        size = SIZES.get(kind) or self._length(kind)
        message = self._take(size) if size else None
        if message is None:
            return False
        if kind == 3:
            self._wanted = True
            self._changed |= not message[1]  # what is not asked for incrementally is sent at once
        elif kind == KEY and message[1]:
            (key,) = struct.unpack(">I", message[4:])
            self._colour, self._changed = key * 0x3F1D7 & 0xFFFFFF, True
        if self._wanted and self._changed:
            self._draw()
        return True

    def _length(self, kind: int) -> int:
        """Of a message whose length is in it; 0 while that is not known."""
        if kind == 2 and len(self._received) >= 4:  # SetEncodings
            (count,) = struct.unpack(">H", self._received[2:4])
            return 4 + 4 * int(count)
        if kind == 6 and len(self._received) >= 8:  # ClientCutText
            (length,) = struct.unpack(">I", self._received[4:8])
            return 8 + int(length)
        if kind not in (2, 6):
            self.end()
        return 0

    def _draw(self) -> None:
        self._wanted = self._changed = False
        head = struct.pack(">BxHHHHHi", 0, 1, 0, 0, WIDTH, HEIGHT, 0)
        self.say(head + struct.pack("<I", self._colour) * (WIDTH * HEIGHT))

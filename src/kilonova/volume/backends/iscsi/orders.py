"""Orders to tgtd over its socket. Its own tool, tgtadm, takes a password on its command line, where all users of the host see it.

A request is a header (mode, operation, driver, length of all, target, session, unit, and five numbers that are 0 here) and
`key=value` pairs; the answer an error number and a length."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

from kilonova.core.block.errors import DiskError

HEADER = struct.Struct("<ii64sIiQQIIIIII")
ANSWER = struct.Struct("<II")
NEW, DELETE, BIND, UNBIND, UPDATE = 0, 1, 3, 4, 5
TARGET, UNIT, ACCOUNT = 1, 2, 7
NO_UNIT = (1 << 64) - 1
TID, LUN = 1, 1
TIMEOUT = 10.0


def order(path: Path, operation: int, mode: int, words: str, *, target: bool = True, unit: bool = False) -> None:
    """Blocking. Raises DiskError, which does not have the words: they may hold a password."""
    rest = words.encode() + b"\0"
    tid, lun = TID if target else -1, LUN if unit else NO_UNIT
    request = HEADER.pack(mode, operation, b"iscsi", HEADER.size + len(rest), tid, 0, lun, 0, 0, 0, 0, 0, 0) + rest
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.settimeout(TIMEOUT)
            server.connect(str(path))
            server.sendall(request)
            error, _ = ANSWER.unpack(_exactly(server, ANSWER.size))
    except (OSError, struct.error) as failure:
        raise DiskError(f"tgtd at {path} does not answer: {failure}") from failure
    if error:
        raise DiskError(f"tgtd at {path} refuses operation {operation} of mode {mode}: error {error}")


def is_heard(path: Path) -> bool:
    """Whether a tgtd listens there: the socket appears a moment before."""
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.settimeout(TIMEOUT)
            server.connect(str(path))
    except OSError:
        return False
    return True


def _exactly(server: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size and (more := server.recv(size - len(found))):
        found += more
    return found

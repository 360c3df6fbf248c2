"""Files as a stream of bytes, without their holes: each record is its length (4 bytes, network order) and a msgpack document."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec

from kilonova.core.block.errors import DiskError

LENGTH = struct.Struct("!I")
LONGEST = 4 << 20


class Begin(msgspec.Struct, frozen=True, tag=True):
    """A file of `size` bytes, so far a hole."""

    name: str
    size: int


class Blank(msgspec.Struct, frozen=True, tag=True):
    """A disk of `size` bytes in which nothing was written; `format` is raw or qcow2."""

    name: str
    format: str
    size: int


class Data(msgspec.Struct, frozen=True, tag=True):
    """Bytes of the file that was begun last."""

    offset: int
    data: bytes


class End(msgspec.Struct, frozen=True, tag=True):
    """All was sent."""


Item = Begin | Blank | Data | End
_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Item)


def packed(item: Item) -> bytes:
    document = _encode(item)
    return LENGTH.pack(len(document)) + document


class Unpacker:
    """Takes the stream in pieces of any length; raises DiskError for what is none."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[Item]:
        """The records that are complete now."""
        self._held += data
        while len(self._held) >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._held)
            if length > LONGEST:
                raise DiskError("copying disks: the other host sent no records")
            end = LENGTH.size + length
            if len(self._held) < end:
                return
            document = bytes(self._held[LENGTH.size : end])
            del self._held[:end]
            try:
                yield _decoder.decode(document)
            except msgspec.MsgspecError as error:
                raise DiskError(f"copying disks: the other host sent no records: {error}") from error

"""Where a disk's Linux file system may begin: the whole disk, or the partitions of a DOS or GUID table."""

from __future__ import annotations

import struct
import uuid

SECTOR = 512
HEAD = 64 * 1024  # bytes of the disk's start that `linux_offsets` needs
DOS_LINUX = 0x83
DOS_PROTECTIVE = 0xEE
GPT_ROOT = frozenset(
    uuid.UUID(text)
    for text in (
        "4f68bce3-e8cd-4db1-96e7-fbcaf984b709",  # root, x86-64
        "b921b045-1df0-41c3-af44-4c6f280d3fae",  # root, 64-bit ARM
        "44479540-f297-41b2-9af7-d131d5f0458a",  # root, x86
    )
)
GPT_LINUX = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")


def linux_offsets(head: bytes) -> list[int]:
    """Byte offsets where a Linux root file system may begin, likeliest first. Never raises."""
    if len(head) < SECTOR or head[510:512] != b"\x55\xaa":
        return [0]
    types = {head[446 + 16 * slot + 4] for slot in range(4)}
    if DOS_PROTECTIVE in types and head[SECTOR : SECTOR + 8] == b"EFI PART":
        return _gpt(head)
    found = [0]  # a boot loader in the first sector of an unpartitioned disk carries the signature too
    for slot in range(4):
        entry = head[446 + 16 * slot : 462 + 16 * slot]
        start, count = struct.unpack("<II", entry[8:16])
        if entry[4] == DOS_LINUX and start and count:
            found.append(start * SECTOR)
    return found


def _gpt(head: bytes) -> list[int]:
    table_lba, entries, entry_size = struct.unpack_from("<QII", head, SECTOR + 72)
    roots, others = [], []
    for number in range(min(entries, 128)):
        begin = table_lba * SECTOR + number * entry_size
        if entry_size < 128 or begin + 128 > len(head):
            break
        kind = uuid.UUID(bytes_le=head[begin : begin + 16])
        (first,) = struct.unpack_from("<Q", head, begin + 32)
        if kind in GPT_ROOT:
            roots.append(first * SECTOR)
        elif kind == GPT_LINUX:
            others.append(first * SECTOR)
    return roots + others

"""The tail of a log that virtlogd writes and rotates."""

from __future__ import annotations

import os
from pathlib import Path


def tail(path: Path, max_bytes: int) -> bytes:
    """The last `max_bytes` of the log, reaching back into the rotated file; empty when there is none. Blocks."""
    text = _end(path, max_bytes)
    if len(text) < max_bytes:
        text = _end(path.with_name(f"{path.name}.0"), max_bytes - len(text)) + text
    return text


def _end(path: Path, max_bytes: int) -> bytes:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - max_bytes))
            return file.read(max_bytes)
    except FileNotFoundError:
        return b""

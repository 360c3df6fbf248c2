"""Files that other programs read, or that outlive the agent. Blocking."""

from __future__ import annotations

import contextlib
from pathlib import Path


def write(path: Path, text: str) -> bool:
    """Replace a file atomically, readable for all; whether its text changed."""
    with contextlib.suppress(FileNotFoundError):
        if path.read_text() == text:
            return False
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.chmod(0o644)
    fresh.rename(path)
    return True

"""Access to what a process stores: its own account alone, except for what the hypervisor and DHCP server read as other users."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

UMASK = 0o077
PRIVATE, SEARCHABLE = 0o700, 0o711
KEPT = (
    "db",
    "journal",
    "fernet-keys",
    "credential-keys",
    "images",
    "volumes",
    "*.json",
    "*.jsonl",
    "*.jsonl.lock",
    "*.log",
)
"""What is ours alone in a state directory, by name or pattern."""
REACHED = ("_base", "instances", "network")
"""Its folders in which files have modes of their own, as QEMU and dnsmasq run as other users."""


def searchable(*folders: Path) -> None:
    """Make folders, and their parents, that others may pass through and not list, whatever our umask is; blocking."""
    for folder in folders:
        if not folder.parent.exists():
            searchable(folder.parent)
        folder.mkdir(exist_ok=True)
        mode = stat.S_IMODE(folder.stat().st_mode)
        if mode != (wanted := mode & ~0o066 | SEARCHABLE):
            folder.chmod(wanted)


def runtime_folder(state_dir: Path) -> Path:
    """Where what belongs to this state directory has its sockets: a short name, as the kernel allows 107 characters, and gone
    when the host is restarted, as those are that listen. Not made yet."""
    name = hashlib.sha256(str(state_dir.absolute()).encode()).hexdigest()[:8]
    home = Path("/run") if os.geteuid() == 0 else Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    return home / "kilonova" / name


def settle(state_dir: Path) -> None:
    """Make a state directory, or close one that an older release left open to all users; blocking. Only what we made there is
    touched: it may be a directory that has other things, too."""
    if not state_dir.exists():
        if not state_dir.parent.exists():
            searchable(state_dir.parent)
        state_dir.mkdir(mode=PRIVATE)
        return
    reached = [state_dir / name for name in REACHED if (state_dir / name).is_dir()]
    kept = [path for pattern in KEPT for path in state_dir.glob(pattern)]
    if reached or kept:
        _limit(state_dir, SEARCHABLE if reached else PRIVATE)
    for path in kept:
        for inner in _below(path):
            _limit(inner, PRIVATE)
    for path in reached:
        for inner in _below(path):
            if inner.is_dir():
                _limit(inner, SEARCHABLE)
            elif inner.suffix == ".json":  # notes of ours
                _limit(inner, PRIVATE)


def _below(top: Path) -> Iterator[Path]:
    yield top
    for folder, folders, files in os.walk(top):
        yield from (Path(folder, name) for name in (*folders, *files))


def _limit(path: Path, most: int) -> None:
    """Remove permissions beyond `most`. What is another account's stays as it is, as do links and what is open to all users."""
    with suppress(FileNotFoundError):
        found = path.lstat()
        mode = stat.S_IMODE(found.st_mode)
        mine = found.st_uid == os.geteuid() and not stat.S_ISLNK(found.st_mode) and not mode & stat.S_ISVTX
        if mine and mode & 0o777 & ~most:
            path.chmod(mode & (most | 0o7000))

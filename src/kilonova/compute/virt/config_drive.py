"""Config drives: an ISO 9660 image labelled config-2, with Rock Ridge and Joliet names."""

from __future__ import annotations

import io
from pathlib import Path, PurePosixPath

import pycdlib
from pycdlib.pycdlibexception import PyCdlibException

from kilonova.core.block.errors import DiskError

LABEL = "config-2"
LONGEST_NAME = 64  # Joliet's limit


def write_iso(files: dict[str, bytes], target: Path) -> None:
    """Write `files` (relative path → bytes) as an image; blocking. DiskError for a path that can't be on it."""
    iso = pycdlib.PyCdlib()
    try:
        iso.new(interchange_level=4, joliet=3, rock_ridge="1.09", vol_ident=LABEL)
        for directory in _directories(files):
            path = f"/{directory}"
            iso.add_directory(path, joliet_path=path, rr_name=directory.name)
        for name, content in sorted(files.items()):
            path = f"/{_checked(name)}"
            fp = io.BytesIO(content)
            iso.add_fp(fp, len(content), path, joliet_path=path, rr_name=path.rpartition("/")[2], file_mode=0o100444)
        iso.write(str(target))
        iso.close()
    except PyCdlibException as error:
        raise DiskError(f"config drive: {error}") from error


def _directories(files: dict[str, bytes]) -> list[PurePosixPath]:
    """All parents, each after its own."""
    parents = {parent for name in files for parent in _checked(name).parents if parent.name}
    return sorted(parents, key=lambda path: (len(path.parts), path))


def _checked(name: str) -> PurePosixPath:
    parts = name.split("/")
    if any(part in ("", ".", "..") or len(part) > LONGEST_NAME or not part.isprintable() for part in parts):
        raise DiskError(f"config drive: {name!r} can't be a file's path on it")
    return PurePosixPath(name)

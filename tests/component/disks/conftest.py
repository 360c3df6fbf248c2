from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from kilonova.compute.virt.file_disks import FileDisks, FileDisksOptions


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "a state, with odd name"


@pytest.fixture
def disks(state: Path) -> FileDisks:
    return FileDisks(FileDisksOptions(state_dir=state))


@pytest.fixture
def server() -> str:
    return str(uuid.uuid4())

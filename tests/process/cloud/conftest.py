"""A running cloud on the fake driver, shared by the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.cloud.harness import CloudProcess


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudProcess]:
    running = CloudProcess(tmp_path_factory.mktemp("cloud"), extra=["--fake-hosts", "2"]).start()
    yield running
    running.stop()


@pytest.fixture
def scratch_cloud(tmp_path: Path) -> Iterator[CloudProcess]:
    """Not started yet; stopped at the end."""
    process = CloudProcess(tmp_path / "state")
    yield process
    process.stop()

"""One cloud for all attacks of a run: what one of them broke, the next one finds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.process.attack.world import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("attacked"))
    yield made
    made.close()

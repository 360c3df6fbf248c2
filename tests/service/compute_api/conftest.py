"""A compute API whose clients are fakes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.service.compute_api.support import Cloud, make_cloud


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    made = await make_cloud(tmp_path)
    yield made
    await made.service.stop()

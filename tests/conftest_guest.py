"""The guest's images, built once on this machine and kept under ~/.cache/kilonova (or $KILONOVA_CACHE)."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from kilonova.guest.build import GuestBuildError, GuestImages, build_guest


@pytest.fixture(scope="session")
def guest_images() -> GuestImages:
    cache = Path(os.environ.get("KILONOVA_CACHE", Path.home() / ".cache" / "kilonova"))
    try:
        return asyncio.run(build_guest(cache / "guest", lambda text, fraction: None))
    except GuestBuildError as error:
        pytest.skip(str(error))

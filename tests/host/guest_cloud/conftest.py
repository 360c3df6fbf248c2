"""A cloud with real guests, beside any other that runs on this machine: own state, own chains, own mark on its domains."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kilonova.guest.build import GuestImages
from tests.host.guest_cloud.clouds import own_cloud
from tests.host.guest_cloud.guests import Guests
from tests.process.cloud.harness import Api, CloudProcess


@pytest.fixture(scope="session")
def real_cloud() -> Iterator[CloudProcess]:
    with own_cloud("kt") as (cloud, _):
        yield cloud


@pytest.fixture(scope="session")
def demo(real_cloud: CloudProcess) -> Api:
    return real_cloud.api("demo")


@pytest.fixture(scope="session")
def guests(real_cloud: CloudProcess, guest_images: GuestImages) -> Iterator[Guests]:
    made = Guests(real_cloud, guest_images)
    yield made
    made.remove_all()

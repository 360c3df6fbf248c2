"""Servers of a dead host, on a cloud of three hosts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.scenarios import evacuation
from tests.scenarios.hosts import ThreadedCloud


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadedCloud]:
    cloud = ThreadedCloud(tmp_path_factory.mktemp("evacuate") / "state").start()
    yield cloud
    cloud.stop()


def test_evacuate_and_return(hosts: ThreadedCloud) -> None:
    evacuation.evacuate_and_return(hosts)


def test_delete_from_a_dead_host(hosts: ThreadedCloud) -> None:
    evacuation.delete_from_a_dead_host(hosts)

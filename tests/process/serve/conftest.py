"""A spread cloud for all tests of this folder: RabbitMQ, SQLite, one process of each component, gates at every step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kilonova.testing.engines import Engine
from tests.process.cluster.scene import Scene


class Files:
    """Stands where a cluster's database server is: SQLite files that its processes share."""

    def __init__(self, folder: Path) -> None:
        self.url_template = f"sqlite:///{folder}/{{service}}.sqlite"

    def url(self, service: str) -> str:
        return self.url_template.format(service=service)


class NoCache:
    url = "memory://"


def engines(rabbitmq: Engine, folder: Path) -> dict[str, Any]:
    return {"broker": rabbitmq, "database": Files(folder), "cache": NoCache()}


@pytest.fixture(scope="session")
def scene(rabbitmq: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("serve")
    layout = {"metadata": 1, "console-proxy": 2, "compute": ["host1"], "network-agent": ["host1"]}
    with Scene(folder, layout, engines=engines(rabbitmq, folder)) as made:
        yield made

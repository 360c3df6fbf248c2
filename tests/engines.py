"""Fixtures of real engines, one of each kind for a whole test run (of one worker)."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kilonova.core.ceph import CephOptions
from kilonova.testing.engines import Ceph, Engine, MariaDB, Memcached, PostgreSQL, RabbitMQ


@pytest.fixture(scope="session")
def engine_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="kilonova-engines-", dir="/var/tmp"))
    folder.chmod(0o755)  # servers run as their own users
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _running(engine: Engine) -> Iterator[Engine]:
    with engine:
        yield engine


@pytest.fixture(scope="session")
def rabbitmq(engine_folder: Path) -> Iterator[Engine]:
    yield from _running(RabbitMQ(engine_folder, tls=True))


@pytest.fixture(scope="session")
def postgresql(engine_folder: Path) -> Iterator[Engine]:
    yield from _running(PostgreSQL(engine_folder))


@pytest.fixture(scope="session")
def mariadb(engine_folder: Path) -> Iterator[Engine]:
    yield from _running(MariaDB(engine_folder))


@pytest.fixture(scope="session")
def ceph(engine_folder: Path) -> Iterator[Ceph]:
    """For tests with the mark `ceph`."""
    pytest.importorskip("rbd", reason="python3-rbd is not linked into this environment: make ceph installs it")
    if shutil.which("ceph-mon") is None:
        pytest.skip("Ceph is not installed: make ceph installs it")
    with Ceph(engine_folder) as cluster:
        yield cluster


@pytest.fixture
def ceph_options(ceph: Ceph) -> Callable[[str], CephOptions]:
    """How a user reaches the cluster, in pools that are empty: `ceph_options("image")`."""
    ceph.empty()

    def of(user: str) -> CephOptions:
        return CephOptions(conf=ceph.conf, user=user, keyring=str(ceph.keyring(user)))

    return of


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A memcached that this machine holds up is waited for, not done without."""
    monkeypatch.setattr("kilonova.core.cache.memcached.TIMEOUT", 20.0)


@pytest.fixture(scope="session")
def memcached(engine_folder: Path) -> Iterator[Engine]:
    yield from _running(Memcached(engine_folder))

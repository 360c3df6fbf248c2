from __future__ import annotations

from pathlib import Path

import pytest

from kilonova.core.config import ConfigError
from kilonova.core.secret import Secret
from kilonova.volume.backends.driver import ConnectionInfo
from kilonova.volume.backends.errors import BackendError
from kilonova.volume.backends.fake import FakeBackend
from kilonova.volume.backends.options import FakeBackendOptions
from kilonova.volume.backends.registry import BackendContext, load
from tests.unit.volume.backends.conformance import Conformance, Content, MakeBackend, new_id


def context(tmp_path: Path, options: FakeBackendOptions | None = None) -> BackendContext:
    return BackendContext(name="pretended", host="host-1", state_dir=tmp_path, options=options)


@pytest.fixture
def make_backend(tmp_path: Path) -> MakeBackend:
    return lambda: load("fake", context(tmp_path))


@pytest.fixture
def content() -> Content | None:
    return None


class TestFake(Conformance):
    pass


def test_an_unknown_kind_names_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no volume back end 'tape'; there are: fake, local, "):
        load("tape", context(tmp_path))


async def test_it_fails_as_its_options_say(tmp_path: Path) -> None:
    unlucky, lucky = new_id(), new_id()
    backend = FakeBackend(context(tmp_path, FakeBackendOptions(fail={"create": unlucky, "delete": 1.0})))
    await backend.start()
    with pytest.raises(BackendError, match=unlucky):
        await backend.create(unlucky, 1)
    await backend.create(lucky, 1)
    with pytest.raises(BackendError, match=lucky):
        await backend.delete(lucky)
    assert [volume.id for volume in await backend.volumes()] == [lucky]
    await backend.stop()


async def test_a_torn_last_line_is_passed_over(tmp_path: Path) -> None:
    volume = new_id()
    backend = FakeBackend(context(tmp_path))
    await backend.start()
    await backend.create(volume, 1)
    await backend.stop()
    with (tmp_path / "volumes" / "pretended" / "fake.jsonl").open("ab") as file:
        file.write(b'{"id": "half')
    again = FakeBackend(context(tmp_path))
    await again.start()
    assert [held.id for held in await again.volumes()] == [volume]
    await again.stop()


def test_secrets_are_not_shown() -> None:
    assert "s3cret" not in f"{Secret(b's3cret')!r} {Secret(b's3cret')}"
    info = ConnectionInfo(driver_volume_type="nbd", data={"psk": "s3cret"})
    assert "s3cret" not in f"{info!r} {info}"

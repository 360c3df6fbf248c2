"""The back end `iscsi` with real targets, which QEMU's own initiator logs in to."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kilonova.core.block.errors import DiskError
from kilonova.core.folders import runtime_folder
from kilonova.core.processes import command_line
from kilonova.volume.backends.driver import ConnectionInfo, VolumeDriver
from kilonova.volume.backends.errors import BackendError
from kilonova.volume.backends.iscsi.target import TargetDaemon
from kilonova.volume.backends.options import IscsiBackendOptions
from kilonova.volume.backends.registry import BackendContext, load
from tests.eventually import until
from tests.unit.volume.backends.conformance import HERE, Conformance, MakeBackend, new_id

pytestmark = [pytest.mark.ceph, pytest.mark.skipif(shutil.which("tgtd", path="/usr/sbin") is None, reason="needs tgt")]


def context(state_dir: Path) -> BackendContext:
    options = IscsiBackendOptions(first_port=62000)
    return BackendContext(name="iscsi", host=HERE.host, state_dir=state_dir, options=options)


@pytest.fixture
def state_dir() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="kn-"))  # short: sockets have paths of a hundred characters
    yield folder
    runtime = context(folder).runtime
    for target in runtime.iterdir() if runtime.is_dir() else ():
        TargetDaemon(target).remove()
    shutil.rmtree(runtime_folder(folder), ignore_errors=True)
    shutil.rmtree(folder)


@pytest.fixture
def make_backend(state_dir: Path) -> MakeBackend:
    return lambda: load("iscsi", context(state_dir))


class FileContent:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def write(self, volume_id: str, data: bytes) -> None:
        with (self._folder / volume_id / "volume").open("r+b") as file:
            file.write(data)

    async def read(self, volume_id: str, length: int) -> bytes:
        with (self._folder / volume_id / "volume").open("rb") as file:
            return file.read(length)


@pytest.fixture
def content(state_dir: Path) -> FileContent:
    return FileContent(context(state_dir).folder / "volumes")


def initiator(info: ConnectionInfo, command: str, password: str | None = None) -> subprocess.CompletedProcess[str]:
    """QEMU's, for one command of qemu-io."""
    data = info.data
    secret = f"secret,id=s,data={password or data['auth_password']}"
    words = {
        "driver": "iscsi", "transport": "tcp", "portal": data["target_portal"], "target": data["target_iqn"],
        "lun": data["target_lun"], "user": data["auth_username"], "password-secret": "s",
    }  # fmt: skip
    options = ",".join(f"{key}={value}" for key, value in words.items())
    return subprocess.run(
        ["qemu-io", "--object", secret, "--image-opts", "-c", command, f"driver=raw,{_under('file', options)}"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def _under(prefix: str, options: str) -> str:
    return ",".join(f"{prefix}.{option}" for option in options.split(","))


class TestIscsi(Conformance):
    async def test_who_has_the_password_may_write_until_it_is_void(
        self, backend: VolumeDriver, content: FileContent
    ) -> None:
        volume, one, two = new_id(), new_id(), new_id()
        await backend.create(volume, 1)
        first, second = [await backend.connect(volume, name, HERE) for name in (one, two)]
        assert first.data["auth_password"] not in repr(first)
        done = initiator(first, "write -P 0x41 0 512")
        assert done.returncode == 0, done.stderr
        assert await content.read(volume, 3) == b"AAA"
        assert initiator(first, "read 0 512", password="x" * 32).returncode != 0
        assert "wrote" in initiator(second, "write -P 0x42 0 512").stdout
        await backend.disconnect(volume, one)
        assert initiator(first, "read 0 512").returncode != 0
        assert "read" in initiator(second, "read 0 512").stdout

    async def test_nothing_is_left_after_cleaning(self, backend: VolumeDriver, state_dir: Path) -> None:
        volume = new_id()
        await backend.create(volume, 1)
        await backend.connect(volume, new_id(), HERE)
        pid = TargetDaemon(context(state_dir).runtime / volume).pid()
        await backend.stop()
        await backend.clean()
        assert pid is not None
        assert command_line(pid) == []
        assert list(context(state_dir).runtime.iterdir()) == []
        await backend.start()
        assert await backend.volumes() == []

    async def test_a_target_that_ended_is_started_again(self, backend: VolumeDriver, state_dir: Path) -> None:
        volume, attachment = new_id(), new_id()
        await backend.create(volume, 1)
        info = await backend.connect(volume, attachment, HERE)
        target = TargetDaemon(context(state_dir).runtime / volume)
        killed = target.pid()
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        await until(lambda: target.pid() not in (None, killed), "no target")
        await until(lambda: initiator(info, "read 0 512").returncode == 0, "no login", pause=0.5)
        password = info.data["auth_password"]
        assert all(password not in word for pid in (target.pid(), os.getpid()) for word in command_line(pid or 0))

    async def test_a_target_that_is_half_set_up_is_made_anew(
        self, backend: VolumeDriver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The process that started it died, or tgtd did not answer."""
        volume, one, two = new_id(), new_id(), new_id()

        def dies(*_: object) -> None:
            raise DiskError("it died")

        await backend.create(volume, 1)
        for attachment, step in ((one, "_set_up"), (two, "_change_accounts")):
            with monkeypatch.context() as dying:
                dying.setattr(TargetDaemon, step, dies)
                with pytest.raises(BackendError):
                    await backend.connect(volume, attachment, HERE)
            info = await backend.connect(volume, attachment, HERE)
            assert initiator(info, "read 0 512").returncode == 0

    async def test_what_is_attached_grows_and_is_copied_as_it_is(
        self, backend: VolumeDriver, content: FileContent
    ) -> None:
        volume, snapshot, copy, attachment = new_id(), new_id(), new_id(), new_id()
        await backend.create(volume, 1)
        info = await backend.connect(volume, attachment, HERE)
        assert initiator(info, "write -P 0x41 0 512").returncode == 0
        await backend.snapshot(snapshot, volume)
        assert initiator(info, "write -P 0x42 0 512").returncode == 0
        await backend.create_from_snapshot(copy, 1, snapshot, volume)
        assert (await content.read(copy, 1), await content.read(volume, 1)) == (b"A", b"B")
        await backend.extend(volume, 2)
        assert initiator(info, "read 2147483136 512").returncode == 0

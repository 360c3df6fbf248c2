"""The back end `local` with real files, QEMU's tools and its daemons; no guests."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from kilonova.core.block.sandbox import Limits, Result, run
from kilonova.core.block.storage_daemon import Served, StorageDaemon
from kilonova.core.folders import runtime_folder
from kilonova.core.processes import command_line
from kilonova.core.secret import Secret
from kilonova.volume.backends.driver import Connector, VolumeDriver
from kilonova.volume.backends.errors import BackendError, ImageRefused, NotSupported
from kilonova.volume.backends.options import LocalBackendOptions
from kilonova.volume.backends.registry import BackendContext, load
from tests.eventually import until
from tests.unit.volume.backends.conformance import (
    HERE,
    Conformance,
    Content,
    MakeBackend,
    found,
    image_of,
    must_find,
    new_id,
)

pytestmark = pytest.mark.skipif(shutil.which("qemu-storage-daemon") is None, reason="needs qemu-storage-daemon")

GIB = 1 << 30
THERE = Connector(host="host-2", ip="127.0.0.2")


def context(state_dir: Path, **options: Any) -> BackendContext:
    made = LocalBackendOptions(**{"address": "127.0.0.1"} | options)
    return BackendContext(name="local", host=HERE.host, state_dir=state_dir, options=made)


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    runtime = context(tmp_path).runtime
    for folder in sorted(runtime.iterdir(), reverse=True) if runtime.is_dir() else ():
        asyncio.run(StorageDaemon(folder).remove())
    shutil.rmtree(runtime_folder(tmp_path), ignore_errors=True)


@pytest.fixture
def make_backend(state_dir: Path) -> MakeBackend:
    return lambda: load("local", context(state_dir))


@pytest.fixture
async def backend(make_backend: MakeBackend) -> AsyncIterator[VolumeDriver]:
    made = make_backend()
    await made.start()
    yield made
    await made.stop()


def data(state_dir: Path, volume_id: str) -> Path:
    return context(state_dir).folder / "volumes" / volume_id / "volume"


class FileContent:
    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir

    async def write(self, volume_id: str, written: bytes) -> None:
        with data(self._state_dir, volume_id).open("r+b") as file:
            file.write(written)

    async def read(self, volume_id: str, length: int) -> bytes:
        with data(self._state_dir, volume_id).open("rb") as file:
            return file.read(length)


@pytest.fixture
def content(state_dir: Path) -> Content:
    return FileContent(state_dir)


class TestLocal(Conformance):
    pass


async def io(info: dict[str, Any], *orders: str, psk: str | None = None) -> Result:
    """Run qemu-io's orders over the connection, as a guest's QEMU would."""
    given = [word for order in orders for word in ("-c", order)]
    if "socket" in info:
        return await run(
            ["qemu-io", "-f", "raw", *given, f"nbd+unix:///{info['export']}?socket={info['socket']}"], Limits()
        )
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "keys.psk").write_text(f"{info['user']}:{psk or info['psk']}\n")
        tls = f"tls-creds-psk,id=tls,dir={folder},endpoint=client,username={info['user']}"
        opened = (
            f"driver=nbd,server.type=inet,server.host={info['host']},server.port={info['port']},export={info['export']}"
        )
        return await run(["qemu-io", "--object", tls, *given, "--image-opts", f"{opened},tls-creds=tls"], Limits())


async def must_io(info: dict[str, Any], *orders: str) -> str:
    result = await io(info, *orders)
    text = result.stdout.decode()
    assert result.returncode == 0, (text, result.stderr)
    assert "failed" not in text, text
    return text


async def test_a_guest_of_this_host_and_one_of_another_use_a_volume(backend: VolumeDriver, state_dir: Path) -> None:
    volume, near, far = new_id(), new_id(), new_id()
    await backend.create(volume, 1)
    here = (await backend.connect(volume, near, HERE)).data
    there = (await backend.connect(volume, far, THERE)).data
    assert "psk" not in here
    await must_io(here, "write -P 7 0 64k")
    await must_io(there, "read -P 7 0 64k", "write -P 8 1M 64k")
    await must_io(here, "read -P 8 1M 64k")
    assert data(state_dir, volume).stat().st_blocks * 512 < 1 << 21  # thin
    await must_io(here, "discard 0 64k", "read -P 0 0 64k")
    await backend.disconnect(volume, far)
    assert (await io(there, "read 0 512")).returncode != 0
    await must_io(here, "read -P 8 1M 64k")
    await backend.disconnect(volume, near)
    assert (await io(here, "read 0 512")).returncode != 0


async def test_a_key_opens_its_own_connection_alone(backend: VolumeDriver) -> None:
    one, two = new_id(), new_id()
    for volume in (one, two):
        await backend.create(volume, 1)
    first = (await backend.connect(one, new_id(), THERE)).data
    second = (await backend.connect(two, new_id(), THERE)).data
    assert first["psk"] != second["psk"]
    await must_io(first, "read 0 512")
    for wrong in (second["psk"], "00" * 32):
        assert (await io(first, "read 0 512", psk=wrong)).returncode != 0
    plain = f"nbd://{first['host']}:{first['port']}/{one}"
    assert (await run(["qemu-io", "-f", "raw", "-c", "read 0 512", plain], Limits())).returncode != 0


async def test_an_attachment_that_ends_takes_its_connection_with_it(backend: VolumeDriver) -> None:
    volume, ended, stays = new_id(), new_id(), new_id()
    await backend.create(volume, 1)
    gone = (await backend.connect(volume, ended, THERE)).data
    held = (await backend.connect(volume, stays, Connector(host="host-3"))).data
    await must_io(gone, "read 0 512")
    await backend.disconnect(volume, ended)
    assert (await io(gone, "read 0 512")).returncode != 0
    await must_io(held, "write -P 3 0 512")


async def test_keys_are_in_no_list_of_processes_and_no_file_of_others(backend: VolumeDriver, state_dir: Path) -> None:
    volume = new_id()
    await backend.create(volume, 1)
    info = (await backend.connect(volume, new_id(), THERE)).data
    runtime = context(state_dir).runtime
    pids = [StorageDaemon(folder).pid() for folder in runtime.iterdir()]
    assert len(pids) == 2
    for pid in pids:
        assert pid is not None
        assert info["psk"] not in " ".join(command_line(pid))
        assert info["psk"] not in Path(f"/proc/{pid}/environ").read_text()
    for path in (*runtime.rglob("*"), *context(state_dir).folder.rglob("*")):
        if path.is_file() and path.stat().st_size < GIB and info["psk"].encode() in path.read_bytes():
            assert path.stat().st_mode & 0o077 == 0, path


async def test_an_export_survives_its_agent_and_comes_back_after_its_own_end(
    backend: VolumeDriver, make_backend: MakeBackend, state_dir: Path
) -> None:
    volume = new_id()
    await backend.create(volume, 1)
    info = (await backend.connect(volume, new_id(), HERE)).data
    far = (await backend.connect(volume, new_id(), THERE)).data
    daemon = StorageDaemon(context(state_dir).runtime / volume)
    pid = daemon.pid()
    await backend.stop()
    await must_io(info, "write -P 5 0 4k")  # while no agent runs
    again = make_backend()
    await again.start()
    try:
        assert daemon.pid() == pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

        async def back() -> bool:
            return daemon.pid() not in (None, pid) and (await io(info, "read -P 5 0 4k")).returncode == 0

        await until(back)
        await must_io(far, "read -P 5 0 4k")  # its own daemon never noticed more than a pause
    finally:
        await again.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")
async def test_a_socket_is_the_guests_although_the_starter_of_its_daemon_died(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(tempfile.mkdtemp(prefix="kn-"))  # short: sockets have paths of a hundred characters
    (tmp_path / "disk").write_bytes(bytes(1 << 20))
    daemon = StorageDaemon(folder)
    served = Served(name="d", disk={"driver": "file", "filename": str(tmp_path / "disk")}, owner="nobody")
    with monkeypatch.context() as dying:
        dying.setattr(StorageDaemon, "_hand_over", lambda *_: None)
        await daemon.serve(served)
    await daemon.serve(served)
    try:
        assert daemon.socket.stat().st_uid == pwd.getpwnam("nobody").pw_uid
    finally:
        await daemon.remove()


async def test_exports_come_back_after_a_restart_of_the_host(
    backend: VolumeDriver, make_backend: MakeBackend, state_dir: Path
) -> None:
    volume, other = new_id(), new_id()
    for made in (volume, other):
        await backend.create(made, 1)
    info = (await backend.connect(volume, new_id(), HERE)).data
    far = (await backend.connect(volume, new_id(), THERE)).data
    await must_io(info, "write -P 6 0 4k")
    await backend.stop()
    runtime = context(state_dir).runtime
    for folder in runtime.iterdir():
        pid = StorageDaemon(folder).pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(runtime)
    stale = StorageDaemon(runtime / other)
    stale.folder.mkdir(parents=True)  # of a volume that is not attached
    again = make_backend()
    await again.start()
    try:
        await must_io(info, "read -P 6 0 4k")
        await must_io(far, "read -P 6 0 4k")
        assert not stale.folder.exists()
    finally:
        await again.stop()


async def test_a_volume_grows_while_it_is_exported(backend: VolumeDriver, state_dir: Path) -> None:
    near, far = new_id(), new_id()
    for volume in (near, far):
        await backend.create(volume, 1)
    info = (await backend.connect(near, new_id(), HERE)).data
    other = (await backend.connect(far, new_id(), THERE)).data
    for volume in (near, far):
        await backend.extend(volume, 2)
    assert "2 GiB" in await must_io(other, "length")
    assert "1 GiB" in await must_io(info, "length")  # a guest of this host is not cut off before it is ready
    await StorageDaemon(context(state_dir).runtime / near).restart()
    assert "2 GiB" in await must_io(info, "length")


async def test_what_is_copied_while_a_guest_writes_is_of_one_moment(backend: VolumeDriver, content: Content) -> None:
    volume, snapshot, clone, copy = new_id(), new_id(), new_id(), new_id()
    await backend.create(volume, 1)
    info = (await backend.connect(volume, new_id(), HERE)).data
    await must_io(info, "write -P 65 0 4k", "write -P 65 512M 4k")
    await backend.snapshot(snapshot, volume)
    await must_io(info, "write -P 66 0 4k")
    await backend.clone(clone, 1, volume)
    async with backend.export(volume, "raw") as export:
        assert (await anext(aiter(export.open())))[:4] == b"BBBB"
    await must_io(info, "write -P 67 0 4k")
    await backend.create_from_snapshot(copy, 1, snapshot, volume)
    assert await content.read(copy, 4) == b"AAAA"
    assert await content.read(clone, 4) == b"BBBB"
    assert await content.read(volume, 4) == b"CCCC"


async def test_an_encrypted_volume_has_no_plain_text(backend: VolumeDriver, state_dir: Path, tmp_path: Path) -> None:
    key, empty, filled, clone = Secret(b"k3y-of-the-volume"), new_id(), new_id(), new_id()
    text = b"plain text of an image " * 1000
    await backend.create(empty, 1, key=key)
    await backend.create_from_image(filled, 1, image_of(text.ljust(1 << 20)), key=key)
    await backend.clone(clone, 2, filled)
    with data(state_dir, empty).open("rb") as file:
        assert file.read(4) == b"LUKS"
    for volume, size in ((filled, "1 GiB"), (clone, "2 GiB")):
        held = data(state_dir, volume)
        with held.open("rb") as file:
            assert text[:20] not in file.read(8 << 20)
        opened = f"driver=luks,key-secret=key,file.driver=file,file.filename={held}"
        argv = ["qemu-io", "--object", "secret,id=key,file=/dev/stdin", "-c", "read -v 0 512", "-c", "length"]
        result = await run([*argv, "--image-opts", opened], Limits(), stdin=key.reveal)
        assert "plain.text.of.an" in result.stdout.decode(), result.stderr
        assert size in result.stdout.decode()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"hash_value": "00"}, "sha512"),
        ({"disk_format": "qcow2"}, "its content is raw"),
        ({"disk_format": "vmdk"}, "vmdk is not supported"),
        ({"size": 4096}, "arrived"),
    ],
)
async def test_an_image_that_is_not_what_its_record_says(
    backend: VolumeDriver, changes: dict[str, Any], reason: str, state_dir: Path
) -> None:
    volume = new_id()
    with pytest.raises(ImageRefused, match=f"{volume}.*{reason}"):
        await backend.create_from_image(volume, 1, image_of(b"x" * 512, **changes))
    assert await found(backend, volume) is None
    assert not list((context(state_dir).folder / "work").iterdir())


async def test_what_a_crash_left_half_made_goes(make_backend: MakeBackend, state_dir: Path) -> None:
    folder = context(state_dir).folder
    (folder / "work" / "half").mkdir(parents=True)
    (folder / "work" / "half" / "volume").write_bytes(b"x")
    backend = make_backend()
    await backend.start()
    assert not list((folder / "work").iterdir())
    assert await backend.volumes() == []
    await backend.stop()


async def test_clean_leaves_nothing(backend: VolumeDriver, state_dir: Path) -> None:
    volume = new_id()
    await backend.create(volume, 1)
    info = (await backend.connect(volume, new_id(), THERE)).data
    await backend.stop()
    for _ in range(2):
        await backend.clean()
    assert (await io(info, "read 0 512")).returncode != 0
    assert not list(context(state_dir).runtime.iterdir())
    assert not list(context(state_dir).folder.rglob(volume))


async def test_a_host_without_an_address_serves_its_own_guests_alone(state_dir: Path) -> None:
    volume = new_id()
    backend = load("local", context(state_dir, address=""))
    await backend.start()
    await backend.create(volume, 1)
    with pytest.raises(NotSupported, match="no address"):
        await backend.connect(volume, new_id(), THERE)
    assert (await must_find(backend, volume)).attachments == ()
    with pytest.raises(BackendError, match="not a UUID"):
        await backend.create("../../etc/passwd", 1)
    await backend.stop()

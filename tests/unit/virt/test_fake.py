from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import textwrap
import tracemalloc
import uuid
from pathlib import Path

import pytest

from kilonova.compute.virt.block import FileSource
from kilonova.compute.virt.driver import GuestSpec, HypervisorUnavailable, PowerState, VirtDriver, VirtError
from kilonova.compute.virt.fake import FakeDiskStore, FakeDriver, FakeHypervisor, FakeOptions
from kilonova.compute.virt.load import DriverContext, load
from kilonova.core.block.errors import DiskError
from kilonova.core.block.images import ImageSource
from kilonova.core.clock import Clock
from kilonova.core.config import ConfigError
from tests.unit.virt.bare import BareDriver
from tests.unit.virt.conformance import (
    Conformance,
    CopiesDisksConformance,
    DiagnosesConformance,
    LiveMigratesConformance,
    LogsConsoleConformance,
    MakeGuest,
    OffersConsolesConformance,
    PlugsDisksConformance,
    PlugsInterfacesConformance,
    SetsPasswordsConformance,
    SuspendsConformance,
    TriggersCrashDumpsConformance,
    Watcher,
)

IMAGE = ImageSource(
    id="image-1", disk_format="qcow2", container_format="bare", size=99, hash_algo=None, hash_value=None
)


@pytest.fixture
def make_guest() -> MakeGuest:
    numbers = itertools.count(1)

    def make(*, obeys_acpi: bool = True, title: str = "") -> GuestSpec:
        name = f"{'' if obeys_acpi else 'deaf-'}instance-{next(numbers):08x}"
        return GuestSpec(uuid=str(uuid.uuid4()), name=name, title=title, vcpus=1, memory_mb=64)

    return make


@pytest.fixture
def driver() -> FakeDriver:
    return FakeDriver("host-1", FakeHypervisor(), FakeOptions(ignore_acpi="deaf-*"))


class TestFake(
    Conformance, LogsConsoleConformance, OffersConsolesConformance, SuspendsConformance, TriggersCrashDumpsConformance,
    PlugsInterfacesConformance, PlugsDisksConformance, SetsPasswordsConformance, DiagnosesConformance,
    CopiesDisksConformance, LiveMigratesConformance,
):  # fmt: skip
    pass


class TestWithoutCapabilities(Conformance):
    @pytest.fixture
    def driver(self) -> VirtDriver:
        made: VirtDriver = BareDriver("host-1", FakeHypervisor(), FakeOptions(ignore_acpi="deaf-*"))
        return made


def test_the_least_is_little() -> None:
    assert len(VirtDriver.__abstractmethods__) < 20


async def test_hosts_of_one_hypervisor_keep_apart(make_guest: MakeGuest) -> None:
    hypervisor, options = FakeHypervisor(), FakeOptions()
    one, two = FakeDriver("one", hypervisor, options), FakeDriver("two", hypervisor, options)
    guest = make_guest()
    watcher = Watcher(two, guest)
    await one.define(guest)
    await one.start(guest.uuid)
    assert await two.guests() == []
    assert await two.power_state(guest.uuid) == PowerState.NOSTATE
    await two.destroy(guest.uuid)
    assert await one.power_state(guest.uuid) == PowerState.RUNNING
    assert watcher.events == []


async def test_failures_by_pattern_and_by_chance(make_guest: MakeGuest) -> None:
    hypervisor = FakeHypervisor()
    picky = FakeDriver("h", hypervisor, FakeOptions(fail={"start": "bad*"}))
    good, bad = make_guest(title="good"), make_guest(title="bad-1")
    for guest in (good, bad):
        await picky.define(guest)
    await picky.start(good.uuid)
    with pytest.raises(VirtError, match=f"start of {bad.uuid} on host h"):
        await picky.start(bad.uuid)
    assert await picky.power_state(bad.uuid) == PowerState.SHUTDOWN
    await FakeDriver("h", hypervisor, FakeOptions(fail={"*": 0.0})).start(bad.uuid)
    with pytest.raises(VirtError):
        await FakeDriver("h", hypervisor, FakeOptions(fail={"*": 1.0})).define(make_guest())


async def test_delays_are_the_clocks(make_guest: MakeGuest) -> None:
    slept: list[float] = []

    class Sleepless(Clock):
        async def sleep(self, seconds: float) -> None:
            slept.append(seconds)

    driver = FakeDriver("h", FakeHypervisor(clock=Sleepless()), FakeOptions(delay={"start": 0.2}))
    guest = make_guest()
    await driver.define(guest)
    assert slept == []
    await driver.start(guest.uuid)
    assert slept == [0.2]


async def test_a_guest_that_dies_by_itself_is_reported(driver: FakeDriver, make_guest: MakeGuest) -> None:
    guest = make_guest()
    await driver.define(guest)
    await driver.start(guest.uuid)
    watcher = Watcher(driver, guest)
    driver._hypervisor.become("host-1", guest.uuid, PowerState.SHUTDOWN, "crashed")
    await watcher.saw(PowerState.SHUTDOWN)


async def test_disks_know_which_servers_have_some() -> None:
    hypervisor = FakeHypervisor()
    store = FakeDiskStore("h", hypervisor, FakeOptions())
    server = str(uuid.uuid4())
    base = await store.fetch(IMAGE, lambda: pytest.fail("nothing is downloaded"))
    assert await store.servers() == set()
    disk = await store.overlay(server, base, size_gb=1)
    await store.inject(disk, [])
    assert await store.servers() == {server}
    assert await FakeDiskStore("other", hypervisor, FakeOptions()).servers() == set()
    for _ in range(2):
        await store.remove(server)
    assert await store.servers() == set()


async def test_disks_fail_as_the_options_say() -> None:
    server = str(uuid.uuid4())
    store = FakeDiskStore("h", FakeHypervisor(), FakeOptions(fail={"fetch": "image-?", "inject": server}))
    with pytest.raises(DiskError, match="fetch of image-1"):
        await store.fetch(IMAGE, lambda: pytest.fail("nothing is downloaded"))
    with pytest.raises(DiskError, match=server):
        await store.inject(FileSource(path=Path(f"/x/{server}/disk"), format="qcow2"), [])


async def test_guests_outlive_a_sigkill(tmp_path: Path) -> None:
    state, server = tmp_path / "hypervisor.jsonl", str(uuid.uuid4())
    script = f"""
        import asyncio, os, signal
        from pathlib import Path
        from kilonova.compute.virt.driver import GuestSpec
        from kilonova.compute.virt.fake import *
        async def main():
            hypervisor = FakeHypervisor(Path({str(state)!r}))
            driver = FakeDriver("h", hypervisor, FakeOptions())
            await driver.define(GuestSpec(uuid={server!r}, name="i-1", title="web", vcpus=1, memory_mb=1))
            await driver.disks.config_drive({server!r}, {{}})
            await driver.start({server!r})
            os.kill(os.getpid(), signal.SIGKILL)
        asyncio.run(main())
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    with state.open("ab") as file:
        file.write(b'{"host":"h","uuid":"' + server.encode()[:7])  # a torn line
    for _ in range(2):
        hypervisor = FakeHypervisor(state)
        driver = FakeDriver("h", hypervisor, FakeOptions())
        assert [(g.uuid, g.name, g.power_state) for g in await driver.guests()] == [(server, "i-1", PowerState.RUNNING)]
        assert await driver.disks.servers() == {server}
        assert b"web login:" in await driver.console_log(server, max_bytes=1000)
        hypervisor.close()
    assert len(state.read_bytes().splitlines()) == 2


def test_a_state_file_has_one_owner(tmp_path: Path) -> None:
    owner = FakeHypervisor(tmp_path / "state")
    with pytest.raises(HypervisorUnavailable, match="another process"):
        FakeHypervisor(tmp_path / "state")
    owner.close()
    open_files = len(os.listdir("/proc/self/fd"))
    FakeHypervisor(tmp_path / "state").close()
    assert len(os.listdir("/proc/self/fd")) == open_files


def test_thousands_of_hosts_are_light() -> None:
    hypervisor, options = FakeHypervisor(), FakeOptions()
    tracemalloc.start()
    hosts = [FakeDriver(f"host-{n}", hypervisor, options) for n in range(2000)]
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size / len(hosts) < 1500


def test_load_makes_fakes_and_refuses_nonsense(tmp_path: Path) -> None:
    hypervisor = FakeHypervisor()
    context = DriverContext(
        host="h", state_dir=tmp_path, options=FakeOptions(vcpus=2, delay={"start": 1}), shared=hypervisor
    )
    driver = load("fake", context)
    assert isinstance(driver, FakeDriver)
    assert isinstance(driver.disks, FakeDiskStore)
    with pytest.raises(
        ConfigError, match=r"\[agent\] driver: there is no hypervisor driver 'vmware'; there are: fake, libvirt"
    ):
        load("vmware", context)


def test_load_names_the_package_when_libvirt_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "libvirt", None)
    with pytest.raises(HypervisorUnavailable, match="python3-libvirt"):
        load("libvirt", DriverContext(host="h", state_dir=tmp_path))

from __future__ import annotations

import asyncio
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from kilonova.compute.virt.driver import HypervisorUnavailable
from kilonova.compute.virt.libvirt.daemons import open_kvm_to_guests
from kilonova.compute.virt.libvirt.probe import BOOT_SECTOR, probe, run_guest

QEMU = shutil.which("qemu-system-x86_64")
needs_qemu = pytest.mark.skipif(QEMU is None, reason="needs qemu-system-x86_64")


def emulator(folder: Path, script: str) -> str:
    """An executable in QEMU's place that counts its runs."""
    folder.chmod(0o755)
    path = folder / "emulator"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def boot_id(tmp_path: Path) -> Path:
    path = tmp_path / "boot_id"
    path.write_text("first-boot\n")
    return path


def test_the_boot_sector_is_one() -> None:
    assert len(BOOT_SECTOR) == 512
    assert BOOT_SECTOR.endswith(b"\x55\xaa")


@needs_qemu
async def test_the_guest_runs_to_its_last_instruction_when_emulated() -> None:
    assert await run_guest(QEMU or "", "tcg", limit=30) is None


@needs_qemu
async def test_a_broken_accelerator_is_reported_by_name() -> None:
    why = await run_guest(QEMU or "", "nonesuch", limit=30)
    assert "nonesuch" in (why or "")


@needs_qemu
async def test_the_real_host_gives_an_answer_once_per_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "new" / "probe.json"
    verdict = await probe(cache)
    assert verdict.virt_type in ("kvm", "qemu")
    assert (verdict.reason == "") == (verdict.virt_type == "kvm")
    monkeypatch.setattr("kilonova.compute.virt.libvirt.probe.run_guest", None)
    assert await probe(cache) == verdict


async def test_verdicts(tmp_path: Path, boot_id: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[str] = []
    answers: dict[str, str | None] = {"kvm": None, "tcg": None}

    async def run(binary: str, accelerator: str, *, limit: float) -> str | None:
        runs.append(accelerator)
        return answers[accelerator]

    monkeypatch.setattr("kilonova.compute.virt.libvirt.probe.run_guest", run)
    binary, cache = emulator(tmp_path, "exit 1"), tmp_path / "probe.json"

    async def ask() -> str:
        return (await probe(cache, emulator=binary, boot_id=boot_id)).virt_type

    assert await ask() == "kvm"
    assert await ask() == "kvm"
    assert runs == ["kvm"]
    boot_id.write_text("second-boot\n")
    answers["kvm"] = "no such device"
    assert await ask() == "qemu"
    assert runs == ["kvm", "kvm", "tcg"]
    os.utime(binary, (1, 1))  # another QEMU was installed
    answers["tcg"] = "it is broken"
    with pytest.raises(HypervisorUnavailable, match=r"kvm: no such device; emulated: it is broken"):
        await ask()
    cache.write_bytes(b"nonsense")
    answers["kvm"] = None
    assert await ask() == "kvm"
    monkeypatch.setattr("kilonova.compute.virt.libvirt.probe.BOOT_SECTOR", b"asks more")
    answers["kvm"], answers["tcg"] = "too slow", None
    assert await ask() == "qemu"


async def test_a_hanging_emulator_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kilonova.compute.virt.libvirt.probe._as_guest_user", list)
    began = time.monotonic()
    why = await run_guest(emulator(tmp_path, "exec sleep 60"), "kvm", limit=0.3)
    assert why == "the probe's guest did not finish within 0.3 s"
    assert time.monotonic() - began < 30


async def test_a_guest_is_not_blamed_for_our_own_pauses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the host would emulate all guests until its next boot."""
    monkeypatch.setattr("kilonova.compute.virt.libvirt.probe._as_guest_user", list)
    start = asyncio.create_subprocess_exec

    async def start_and_stand_still(*words: str, **more: Any) -> asyncio.subprocess.Process:
        process = await start(*words, **more)
        asyncio.get_running_loop().call_soon(time.sleep, 1.2)
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start_and_stand_still)
    assert await run_guest(emulator(tmp_path, "exit 85"), "kvm", limit=1) is None


async def test_success_is_the_guests_exit_code_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kilonova.compute.virt.libvirt.probe._as_guest_user", list)
    assert await run_guest(emulator(tmp_path, "exit 85"), "kvm", limit=5) is None
    assert await run_guest(emulator(tmp_path, "exit 0"), "kvm", limit=5) == "exit code 0"
    assert await run_guest(emulator(tmp_path, "echo no luck >&2; exit 1"), "kvm", limit=5) == "no luck"


async def test_no_emulator_at_all(tmp_path: Path) -> None:
    with pytest.raises(HypervisorUnavailable, match="apt-get install qemu-system-x86"):
        await probe(tmp_path / "cache", emulator="no-such-emulator")


def test_the_kvm_device_is_given_to_its_group_only_where_no_udev_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = tmp_path / "kvm"
    open_kvm_to_guests(device)  # nothing there: nothing happens
    device.touch(mode=0o600)
    monkeypatch.setattr("kilonova.compute.virt.libvirt.daemons.UDEV", tmp_path)
    open_kvm_to_guests(device)
    assert device.stat().st_mode & 0o777 == 0o600

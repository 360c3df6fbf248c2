"""Building the guest: reuse, missing tools, failures. The script itself runs in `guest_images`."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from kilonova.guest import build
from kilonova.guest.build import GuestBuildError, GuestImages, build_guest
from tests.eventually import until

SCRIPT = """\
set -eu
mkdir -p "$1"; echo run >> "$1/../runs"
echo "@ 0.5 half way"
for name in vmlinuz initrd.gz root.ext4 disk.qcow2; do echo x > "$1/$name"; done
sleep 0.2
echo "quiet splash" > "$1/kernel-args"
"""


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "script.sh"
    path.write_text(SCRIPT)
    monkeypatch.setattr(build, "SCRIPT", path)
    monkeypatch.setattr(build, "_check_tools", lambda: None)
    return path


async def built(out: Path) -> tuple[GuestImages, list[tuple[str, float]]]:
    progress: list[tuple[str, float]] = []
    images = await build_guest(out, lambda text, fraction: progress.append((text, fraction)))
    return images, progress


async def test_built_once_until_the_script_changes(script: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    images, progress = await built(out)
    assert progress == [("half way", 0.5), ("guest images are ready", 1.0)]
    assert images.kernel_args == "quiet splash"
    assert images.kernel == out / "vmlinuz"
    await built(out)
    assert (out / "runs").read_text() == "run\n"
    (out / "initrd.gz").unlink()
    await built(out)
    assert (out / "runs").read_text() == "run\n" * 2
    script.write_text(SCRIPT + "# changed\n")
    await built(out)
    assert (out / "runs").read_text() == "run\n" * 3
    assert not (out / ".building").exists()


async def test_two_at_once_build_once(script: Path, tmp_path: Path) -> None:
    first, second = await asyncio.gather(built(tmp_path / "out"), built(tmp_path / "out"))
    assert first[0] == second[0]
    assert (tmp_path / "out" / "runs").read_text() == "run\n"


async def test_a_failure_raises_the_scripts_output_and_leaves_no_files(script: Path, tmp_path: Path) -> None:
    script.write_text('mkdir -p "$1"; echo x > "$1/vmlinuz"; echo "no package lists" >&2; exit 3')
    with pytest.raises(GuestBuildError, match="building the guest failed: no package lists"):
        await built(tmp_path / "out")
    assert {entry.name for entry in (tmp_path / "out").iterdir()} == {".lock"}
    script.write_text("exit 0")
    with pytest.raises(GuestBuildError, match=r"made no vmlinuz, initrd\.gz"):
        await built(tmp_path / "out")


async def test_cancelling_ends_the_script(script: Path, tmp_path: Path) -> None:
    script.write_text('mkdir -p "$1"; trap \'echo ended > "$1/../ended"\' EXIT; touch "$1/../begun"; sleep 60')
    task = asyncio.create_task(built(tmp_path / "out"))
    await until((tmp_path / "out" / "begun").exists)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (tmp_path / "out" / "ended").exists()
    assert not (tmp_path / "out" / ".building").exists()


async def test_all_missing_tools_are_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path: None if name in ("cpio", "extlinux", "strip") else name)
    with pytest.raises(GuestBuildError, match=r"apt-get install --no-install-recommends binutils cpio extlinux$"):
        await built(tmp_path / "out")


def test_the_script_is_in_the_package() -> None:
    assert build.SCRIPT.read_text().startswith("#!/bin/bash")

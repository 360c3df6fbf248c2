"""Starting daemons, with scripts in the place of libvirt's."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from pathlib import Path

import pytest

from kilonova.compute.virt.driver import HypervisorUnavailable
from kilonova.compute.virt.libvirt import daemons
from tests.eventually import until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts daemons")

LISTEN = """
import os, socket, subprocess, sys, time
open(sys.argv[2], "w").write(str(os.getpid()))
server = socket.socket(socket.AF_UNIX)
server.bind({socket!r})
server.listen()
# an orphan, as libvirt's guests are: its parent ends at once
subprocess.run(["sh", "-c", {orphan!r}])
time.sleep(60)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in {
        "SOCKET": tmp_path / "libvirt-sock",
        "VIRTLOGD_SOCKET": tmp_path / "virtlogd-sock",
        "PID_DIR": tmp_path,
        "LOG_DIR": tmp_path / "log",
        "SYSTEMD": tmp_path / "no-systemd",
        "KVM_DEVICE": tmp_path / "no-kvm",
        "ENVIRONMENT": {"PATH": f"{tmp_path}:/usr/bin:/bin"},
    }.items():
        monkeypatch.setattr(daemons, name, value)
    return tmp_path


def program(place: Path, name: str, script: str) -> None:
    body = place / f"{name}.py"
    body.write_text(script)
    path = place / name
    path.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {body} "$@"\n')
    path.chmod(0o755)


async def test_both_are_started_once_and_their_orphans_buried(place: Path) -> None:
    orphan = place / "orphan.pid"
    script = f"sleep 0.3 & echo $! > {orphan}"
    program(place, "virtlogd", LISTEN.format(socket=str(place / "virtlogd-sock"), orphan="true"))
    program(place, "libvirtd", LISTEN.format(socket=str(place / "libvirt-sock"), orphan=script))
    await daemons.ensure_daemons(timeout=120)
    pids = [int((place / f"{name}.pid").read_text()) for name in ("virtlogd", "libvirtd")]
    try:
        await daemons.ensure_daemons(timeout=120)
        assert int((place / "libvirtd.pid").read_text()) == pids[1]
        assert os.getsid(pids[1]) != os.getsid(0)
        await until(
            lambda: orphan.exists() and not Path("/proc", orphan.read_text().strip()).exists(),
            "the orphan stayed in the process table",
        )
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)


async def test_a_daemon_that_fails_is_quoted(place: Path) -> None:
    program(place, "virtlogd", "raise SystemExit('my configuration is bad')")
    began = time.monotonic()
    with pytest.raises(HypervisorUnavailable, match=r"virtlogd does not answer on .*: my configuration is bad"):
        await daemons.ensure_daemons(timeout=120)
    assert time.monotonic() - began < 25


async def test_what_is_missing_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemons, "ENVIRONMENT", {"PATH": str(place)})
    with pytest.raises(HypervisorUnavailable, match="virtlogd is not installed: apt-get install libvirt-daemon-system"):
        await daemons.ensure_daemons(timeout=1)
    (place / "no-systemd").mkdir()
    with pytest.raises(HypervisorUnavailable, match="systemctl start libvirtd"):
        await daemons.ensure_daemons(timeout=1)

"""Virtual hosts: apart from each other and from this machine, joined by their underlay, gone without a trace."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kilonova.testing.hosts import HostFailed, Underlay, VirtualHost, holders

pytestmark = pytest.mark.lab
CLAIM_AND_DIE = """
import os, subprocess, sys
from pathlib import Path
from kilonova.testing.hosts import Underlay, VirtualHost
underlay = Underlay.claim("kv").start()
host = VirtualHost(underlay, "a", 1, Path(sys.argv[1])).start()
host.run("ip", "netns", "add", "inner")
host.popen("setsid", "-f", "sleep", "600", stdout=subprocess.DEVNULL).wait()
print(underlay.prefix, flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def underlay() -> Iterator[Underlay]:
    if os.geteuid() != 0:
        pytest.skip("virtual hosts need root")
    with Underlay.claim("kv") as made:
        yield made


def devices() -> list[str]:
    return sorted(name for _, name in socket.if_nameindex())


def test_hosts_are_apart_and_joined(underlay: Underlay, tmp_path: Path) -> None:
    with (
        VirtualHost(underlay, "a", 1, tmp_path / "a") as a,
        VirtualHost(underlay, "b", 2, tmp_path / "b") as b,
    ):
        assert a.run("hostname").stdout.strip() == f"{underlay.prefix}-a"
        for source, target in ((a, b.address), (b, a.address), (b, underlay.address)):
            source.run("ping", "-c", "1", "-W", "5", target)
        subprocess.run(["ping", "-c", "1", "-W", "5", a.address], check=True, capture_output=True)
        machine_ids = {host.run("cat", "/etc/machine-id").stdout for host in (a, b)}
        assert len(machine_ids) == 2
        a.run("touch", "/run/mine", "/var/lib/libvirt/mine", "/etc/libvirt/mine")
        a.run("ip", "netns", "add", "mine")
        a.run("ip", "link", "add", "mine", "type", "bridge")
        assert not any(
            name.endswith("mine") for name in b.run("ls", "/run", "/var/lib/libvirt", "/etc/libvirt").stdout.split()
        )
        assert not Path("/run/mine").exists()
        assert not Path("/run/netns/mine").exists()
        assert b.run("ls", "/run/netns").stdout == ""
        assert b.run("ls", "/sys/class/net").stdout.split() == ["eth0", "lo"]
        assert "mine" not in devices()


def test_a_killed_host_boots_from_its_disks(underlay: Underlay, tmp_path: Path) -> None:
    with VirtualHost(underlay, "a", 1, tmp_path / "a") as host:
        known = host.run("cat", "/etc/machine-id").stdout
        host.run("touch", "/run/volatile", "/var/lib/libvirt/kept")
        started = host.popen("sleep", "600")
        host.popen("setsid", "-f", "sleep", "600", stdout=subprocess.DEVNULL).wait(10)  # an orphan
        assert len(host.processes()) == 3
        host.kill()
        assert started.wait(10) == -9
        assert host.processes() == []
        with pytest.raises(HostFailed, match="does not run"):
            host.run("true")
        host.start()
        assert host.run("cat", "/etc/machine-id").stdout == known
        assert host.run("ls", "/var/lib/libvirt/kept", "/run/volatile", check=False).stdout.split() == [
            "/var/lib/libvirt/kept"
        ]
        host.run("ping", "-c", "1", "-W", "5", underlay.address)
    assert not host.folder.exists()


def test_what_a_killed_run_left_is_removed_by_the_next(underlay: Underlay, tmp_path: Path) -> None:
    command = [sys.executable, "-c", CLAIM_AND_DIE, str(tmp_path / "a")]
    dead = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=60)
    prefix = dead.stdout.split()[0]
    assert prefix != underlay.prefix
    assert f"{prefix}-a" in holders()
    assert f"{prefix}-machine" in devices()
    Underlay.claim("kv").__exit__()
    assert f"{prefix}-a" not in holders()
    assert f"{prefix}-machine" not in devices()
    assert f"{prefix}-switch" not in os.listdir("/run/netns")


def test_a_command_that_fails_raises_its_output(underlay: Underlay, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    with VirtualHost(underlay, "a", 1, tmp_path / "a") as host:
        with pytest.raises(HostFailed, match=f"{host.name}: ls {missing}: .*No such file"):
            host.run("ls", str(missing))
        with pytest.raises(HostFailed, match="did not end within"):
            host.run("sleep", "60", timeout=0.2)

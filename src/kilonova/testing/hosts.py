"""Several hosts on one machine: each has its own network, mount and UTS namespace, and so its own name, devices, filters,
`/run`, libvirtd and files of libvirt. Needs root, `unshare`, `nsenter` and `ip`.

    with Underlay.claim("kt") as underlay, VirtualHost(underlay, "a", 1, folder) as host:
        host.run("virsh", "list")
        host.popen("kilonova", "serve", "compute")
        host.kill()                    # as if its plug were pulled: everything in it ends at once
        host.start()                   # what was on its disks is there again, what was in /run is not

An underlay joins its hosts and this machine by a switch in a namespace of its own, so that neither the filters of this
machine nor its bridges see what hosts say to each other. Processes share one table: those of a host are known by their UTS
namespace, which nothing inside changes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from kilonova.core.clock import SYSTEM

LOCKS = Path("/run/kilonova-underlays")
HOLDER = "kilonova-host"  # the first word of the command line of what keeps a host's namespaces
PRIVATE = (
    "/var/lib/libvirt",
    "/var/cache/libvirt",
    "/var/log/libvirt",
    "/etc/libvirt",
    "/srv",
)  # a folder for each host
KNOWN_EMULATORS = Path("/var/cache/libvirt/qemu/capabilities")
COMMAND_TIMEOUT = 60.0
DEATH_TIMEOUT = 20.0
SLOTS = 10
MACHINE = 254  # the last number of this machine's address on an underlay

# No cgroups: hosts of one machine would share them. `libvirt-qemu` runs guests, as on a real host.
LIBVIRTD_CONF = 'listen_tls = 0\nauth_unix_rw = "none"\nhost_uuid = "{uuid}"\n'
QEMU_CONF = 'cgroup_controllers = []\nremember_owner = 0\nsecurity_driver = "none"\n'


class HostFailed(Exception):
    """The text names the host, the command and what it said."""


class Underlay:
    """A switch that joins hosts and this machine, in 192.168.`subnet`.0/24. Hosts' and devices' names begin with `prefix`
    (at most 6 letters and digits)."""

    def __init__(self, prefix: str, subnet: int) -> None:
        self.prefix, self.subnet = prefix, subnet
        self.switch, self.cable = f"{prefix}-switch", f"{prefix}-machine"
        self._lock: int | None = None

    @classmethod
    def claim(cls, prefix: str, first_subnet: int = 230) -> Self:
        """One that no running process holds, cleared of what a killed one left. It is ours until this process ends."""
        LOCKS.mkdir(exist_ok=True)
        claimed: Self | None = None
        for slot in range(SLOTS):
            underlay = cls(f"{prefix}{slot}", first_subnet + slot)
            if underlay._try_lock():
                underlay.remove()
                if claimed is None:
                    claimed = underlay
                else:
                    underlay._unlock()
        if claimed is None:
            raise HostFailed(f"all {SLOTS} underlays {prefix}… are in use")
        return claimed

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.remove()
        self._unlock()

    @property
    def address(self) -> str:
        """Where hosts reach this machine."""
        return self.host_address(MACHINE)

    def host_address(self, number: int) -> str:
        return f"192.168.{self.subnet}.{number}"

    def start(self) -> Self:
        """Make it. Nothing happens when it is there."""
        if (Path("/run/netns") / self.switch).exists():
            return self
        _command("ip", "netns", "add", self.switch)
        _command("ip", "-n", self.switch, "link", "add", "switch", "type", "bridge")
        _command("ip", "-n", self.switch, "link", "set", "switch", "up")
        _command("ip", "link", "add", self.cable, "type", "veth", "peer", "name", "machine", "netns", self.switch)
        _command("ip", "-n", self.switch, "link", "set", "machine", "master", "switch", "up")
        _command("ip", "address", "add", f"{self.address}/24", "dev", self.cable)
        _command("ip", "link", "set", self.cable, "up")
        return self

    def remove(self) -> None:
        """End all hosts whose names begin with the prefix, then the switch. Their folders stay."""
        for name in holders():
            if name.startswith(f"{self.prefix}-"):
                end(name)
        if (Path("/run/netns") / self.switch).exists():
            _command("ip", "netns", "delete", self.switch)  # takes the cables' other ends with it
        if Path("/sys/class/net", self.cable).exists():
            with contextlib.suppress(HostFailed):  # it may be on its way
                _command("ip", "link", "delete", self.cable)

    def _try_lock(self) -> bool:
        self._lock = os.open(LOCKS / self.prefix, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._unlock()
            return False
        return True

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


class VirtualHost:
    """A host named `<prefix>-<name>` with the `number`th address of the underlay. `folder` holds its disks: it must be
    searchable by everyone, as guests run as a user of their own."""

    def __init__(self, underlay: Underlay, name: str, number: int, folder: Path) -> None:
        self.underlay, self.folder = underlay, folder
        self.name = f"{underlay.prefix}-{name}"
        self.address = underlay.host_address(number)
        self.cable = f"port{number}"  # the switch's end
        self._booted = folder / "booted"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.cleanup()

    @property
    def alive(self) -> bool:
        """Whether it runs, booted to the end."""
        holder = holders().get(self.name)
        return holder is not None and self._booted.exists() and self._booted.read_text() == str(holder)

    def start(self) -> Self:
        """Boot it. Nothing happens when it runs. Raises HostFailed."""
        if self.alive:
            return self
        self.kill()  # what a boot that was cut off has left
        self._disks()
        holder = self._hold()
        try:
            self.run("hostname", self.name)
            self._mounts()
            self._cable(holder)
            self._booted.write_text(str(holder))
        except BaseException:
            end(self.name)
            raise
        return self

    def kill(self) -> None:
        """SIGKILL to everything in it: daemons, guests, agents. Its disks stay."""
        end(self.name)

    def cleanup(self) -> None:
        """Kill it and remove its disks."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def wrap(self, *command: str, folder: Path | None = None) -> list[str]:
        """The words that run `command` in the host, as the same process."""
        holder = holders().get(self.name)
        if holder is None:
            raise HostFailed(f"host {self.name} does not run")
        return ["nsenter", "-t", str(holder), "-m", "-n", "-u", f"--wdns={folder or '/'}", "--", *command]

    def run(
        self, *command: str, check: bool = True, timeout: float = COMMAND_TIMEOUT
    ) -> subprocess.CompletedProcess[str]:
        """A command in the host, and what it said. `check` raises HostFailed when it fails."""
        return _command(*command, wrap=self.wrap(), check=check, timeout=timeout, name=self.name)

    def popen(
        self, *command: str, env: Mapping[str, str] | None = None, folder: Path | None = None, **more: Any
    ) -> subprocess.Popen[bytes]:
        """A process in the host; its pid is the command's own."""
        return subprocess.Popen(self.wrap(*command, folder=folder), env=env, **more)

    def processes(self) -> list[int]:
        """The pids of all that runs in it, what keeps its namespaces included."""
        holder = holders().get(self.name)
        return [] if holder is None else _sharing(holder)

    # inside

    def _disks(self) -> None:
        """What a host finds on its disks at its first boot."""
        if (self.folder / "machine-id").exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        for path in PRIVATE:
            self._own(path).mkdir(parents=True)
        identity = SYSTEM.uuid()
        (self._own("/etc/libvirt") / "libvirtd.conf").write_text(LIBVIRTD_CONF.format(uuid=identity))
        (self._own("/etc/libvirt") / "qemu.conf").write_text(QEMU_CONF)
        known = self._own("/var/cache/libvirt") / "qemu"
        known.mkdir()
        if KNOWN_EMULATORS.is_dir():  # libvirtd asks an emulator for seconds; the machine's own may know already
            shutil.copytree(KNOWN_EMULATORS, known / KNOWN_EMULATORS.name)
        for folder in (self._own("/var/lib/libvirt") / "qemu", known):
            folder.mkdir(exist_ok=True)
            shutil.chown(folder, "libvirt-qemu", "kvm")
        (self.folder / "machine-id").write_text(f"{identity.replace('-', '')}\n")

    def _own(self, path: str) -> Path:
        return self.folder / path.strip("/").replace("/", "-")

    def _hold(self) -> int:
        """Start the process that keeps the namespaces; its pid. It outlives this process: the clean-up finds the host by it."""
        script = f'exec -a "{HOLDER} {self.name}" sleep infinity'
        process = subprocess.Popen(
            ["unshare", "-m", "-n", "-u", "bash", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, start_new_session=True, cwd="/",
        )  # fmt: skip
        until = SYSTEM.monotonic() + DEATH_TIMEOUT
        while holders().get(self.name) != process.pid:
            if process.poll() is not None or SYSTEM.monotonic() > until:
                said = process.stderr.read().decode(errors="replace") if process.stderr else ""
                raise HostFailed(f"host {self.name}: {said.strip() or 'its namespaces can not be made'}")
            time.sleep(0.005)
        return process.pid

    def _mounts(self) -> None:
        """Private places. All of `/run`: named namespaces, sockets, pid files and locks are there."""
        run = self.run
        run("umount", "--lazy", "--recursive", "/sys/fs/cgroup", check=False)
        run("mount", "-t", "sysfs", "sysfs", "/sys")
        run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
        run("mkdir", "-p", "/run/netns", "/run/lock", "/run/libvirt")
        for path in PRIVATE:
            run("mount", "--bind", str(self._own(path)), path)
        if Path("/etc/machine-id").exists():
            run("mount", "--bind", str(self.folder / "machine-id"), "/etc/machine-id")

    def _cable(self, holder: int) -> None:
        switch = self.underlay.switch
        with contextlib.suppress(HostFailed):  # of a host that was killed a moment ago
            _command("ip", "-n", switch, "link", "delete", self.cable)
        self.run("ip", "link", "set", "lo", "up")
        peer = ["peer", "name", "eth0", "netns", str(holder)]
        _command("ip", "-n", switch, "link", "add", self.cable, "type", "veth", *peer)
        _command("ip", "-n", switch, "link", "set", self.cable, "master", "switch", "up")
        self.run("ip", "address", "add", f"{self.address}/24", "dev", "eth0")
        self.run("ip", "link", "set", "eth0", "up")


def holders() -> dict[str, int]:
    """The running virtual hosts of this machine by name, with the pid that keeps each one's namespaces."""
    found = {}
    for pid in _pids():
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode(errors="replace").split()
            if len(words) == 2 and words[0] == HOLDER:
                found[words[1]] = pid
    return found


def end(name: str) -> None:
    """Kill all processes of a host, and last the one by which it is found. Nothing happens when there is no such host."""
    holder = holders().get(name)
    if holder is None:
        return
    until = SYSTEM.monotonic() + DEATH_TIMEOUT
    while others := [pid for pid in _sharing(holder) if pid != holder]:
        for pid in others:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if SYSTEM.monotonic() > until:
            raise HostFailed(f"host {name}: processes {others} do not end")
        time.sleep(0.01)
    os.kill(holder, signal.SIGKILL)
    while holder in _pids() and _namespace(holder):
        with contextlib.suppress(ChildProcessError):
            os.waitpid(holder, os.WNOHANG)
        time.sleep(0.005)


def _sharing(holder: int) -> list[int]:
    ours, own = _namespace(holder), _namespace(os.getpid())
    if not ours or ours == own:
        return []
    return [pid for pid in _pids() if _namespace(pid) == ours]


def _namespace(pid: int) -> str:
    """The UTS namespace of a running process; "" for one that has ended."""
    try:
        return os.readlink(f"/proc/{pid}/ns/uts")
    except OSError:
        return ""


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdecimal())


def _command(
    *words: str, wrap: list[str] | None = None, check: bool = True, timeout: float = COMMAND_TIMEOUT, name: str = "here"
) -> subprocess.CompletedProcess[str]:
    """Run it behind `wrap`; raises HostFailed with its output."""
    command, shown = [*(wrap or []), *words], f"{name}: {' '.join(words)}"
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except FileNotFoundError:
        raise HostFailed(f"{command[0]} is not installed: apt-get install util-linux iproute2") from None
    except subprocess.TimeoutExpired:
        raise HostFailed(f"{shown} did not end within {timeout:g} s") from None
    if check and done.returncode:
        output = (done.stderr or done.stdout).strip()
        raise HostFailed(f"{shown}: {output or f'exit code {done.returncode}'}")
    return done

"""What every engine does: a folder and a port of its own, start, stop, kill."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar, Self

from kilonova.core.clock import SYSTEM

LOOPBACK = "127.0.0.1"
PORTS = (10000, 32768)
START_TIMEOUT = 60.0
STOP_TIMEOUT = 30.0
SPAWNER = ThreadPoolExecutor(1, thread_name_prefix="spawner")
PACKAGES = "apt-get install rabbitmq-server postgresql mariadb-server memcached haproxy"
_given: set[int] = set()


class EngineFailed(Exception):
    """The text names the engine and ends with its last words."""


def free_port(address: str = LOOPBACK) -> int:
    """Below those that the kernel gives to outgoing connections, which may take such a port before its server does."""
    while True:
        port = SYSTEM.dice().randrange(*PORTS)
        if port not in _given:
            _given.add(port)
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.bind((address, port))
                return port


def program(name: str, *places: str) -> str:
    """The program's path, also where only root's PATH has it. Raises EngineFailed with what to install."""
    path = os.pathsep.join([*places, os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    found = shutil.which(name, path=path)
    if found is None:
        raise EngineFailed(f"{name} is not installed: {PACKAGES}")
    return found


def as_user(user: str) -> list[str]:
    """What is put before a command so that it runs as that user; nothing when we are not root, or for ourselves."""
    if not user or os.geteuid() != 0:
        return []
    return [program("setpriv"), f"--reuid={user}", f"--regid={user}", "--init-groups"]


def spawn(command: Sequence[str], *, tied: bool, user: str = "", **options: Any) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own; `options` are Popen's. A `tied` one is killed when this process ends. Linux ties
    it to the thread that starts it, hence to one that lives as long as the process; and a change of user would untie it, hence
    in one command."""
    words = as_user(user)
    if tied:
        words = [*(words or [program("setpriv")]), "--pdeathsig", "KILL"]

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen([*words, *command], stdin=subprocess.DEVNULL, start_new_session=True, **options)

    return SPAWNER.submit(start).result()


class Engine:
    """One server process under `folder/<name>`, listening on `address`, one of this machine's. Subclasses say what is run, how
    it is prepared and when it is ready."""

    name: ClassVar[str]
    user: ClassVar[str] = ""  # the user that runs it when we are root

    def __init__(self, folder: Path, *, port: int = 0, tied: bool = True, address: str = LOOPBACK) -> None:
        self.folder = folder / self.name
        self.address, self.port = address, port or free_port(address)
        self.tied = tied
        self.log = self.folder / "log"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Return when it answers. Raises EngineFailed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._own(self.folder)
        self.prepare()
        with self.log.open("ab") as output:
            self.process = spawn(
                self.command(), tied=self.tied, user=self.user, env=self.environment(), cwd=self.folder,
                stdout=output, stderr=output,
            )  # fmt: skip
        until = SYSTEM.monotonic() + START_TIMEOUT
        while not self.ready():
            if self.process.poll() is not None or SYSTEM.monotonic() > until:
                self.kill()
                raise EngineFailed(f"{self.name} did not start: {self.words()}")
            time.sleep(0.05)
        return self

    def stop(self) -> None:
        """Let it finish, and wait for its end."""
        if self.process is not None:
            self.process.send_signal(self.stop_signal())
            try:
                self.process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self.kill()
        self.process = None

    def kill(self) -> None:
        """SIGKILL to it and its children; port and data stay for the next start."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None

    def words(self) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return " | ".join(text.strip().splitlines()[-5:])

    # what an engine says of itself

    def prepare(self) -> None:
        """Make what the first start needs."""

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def ready(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((self.address, self.port), timeout=1):
            return True
        return False

    def stop_signal(self) -> signal.Signals:
        return signal.SIGTERM

    # inside

    def _secret(self, name: str = "password") -> str:
        """A password made once and kept beside the data."""
        file = self.folder / name
        if not file.exists():
            file.touch(0o600)
            file.write_text(SYSTEM.random_bytes(16).hex())
            self._own(file)
        return file.read_text()

    def _own(self, path: Path) -> None:
        if self.user and os.geteuid() == 0:
            entry = pwd.getpwnam(self.user)
            os.chown(path, entry.pw_uid, entry.pw_gid)

    def _run(self, *command: str, **variables: str) -> None:
        """A helper program as the engine's user. Raises EngineFailed with what it said."""
        done = subprocess.run(
            [*as_user(self.user), *command], capture_output=True, text=True, env=self.environment() | variables,
            cwd=self.folder, timeout=START_TIMEOUT, check=False,
        )  # fmt: skip
        if done.returncode:
            raise EngineFailed(f"{self.name}: {Path(command[0]).name}: {(done.stderr or done.stdout).strip()}")

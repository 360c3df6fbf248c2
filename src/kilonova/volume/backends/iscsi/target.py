"""A tgtd that serves one volume by iSCSI, in a folder of its own, and runs on when this process ends.

FOLDER/tgtd.0   its socket for orders     FOLDER/pid     FOLDER/log
FOLDER/whole    it was given all of that       FOLDER/lock
FOLDER/served   what it serves, by which any process may start it again; for root alone, as it has passwords
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
from contextlib import contextmanager
from pathlib import Path

import msgspec

from kilonova.core.block.errors import DiskError
from kilonova.core.block.sandbox import PATH
from kilonova.core.folders import searchable
from kilonova.core.processes import command_line, stop
from kilonova.volume.backends.iscsi import orders

START_TRIES, LOOK_AGAIN = 200, 0.05  # seconds
STOP_PATIENCE = 1.0  # a tgtd that is asked to end goes on for a second


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """`accounts`: CHAP user → password of those that may log in."""

    name: str
    path: str
    listen: str
    port: int
    writable: bool
    accounts: Mapping[str, str]


class TargetDaemon:
    """The tgtd of a folder, whichever process started it. All methods block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._socket, self._whole = folder / "tgtd.0", folder / "whole"

    def served(self) -> Target | None:
        try:
            return msgspec.json.decode((self.folder / "served").read_bytes(), type=Target)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def pid(self) -> int | None:
        """Of the daemon that runs."""
        try:
            pid = int((self.folder / "pid").read_text())
        except (OSError, ValueError):
            return None
        held = self.served()
        return pid if held is not None and _portal(held) in command_line(pid) else None

    def serve(self, wanted: Target) -> None:
        """It serves this; nothing happens when it does. Accounts change while it runs. Raises DiskError."""
        with self._alone():
            held = self.served()
            if (
                held is None
                or not self._is_whole()
                or msgspec.structs.replace(held, accounts=wanted.accounts) != wanted
            ):
                self._anew(wanted)
            elif held.accounts != wanted.accounts:
                self._whole.unlink()
                self._note(wanted)
                try:
                    self._change_accounts(held.accounts, wanted.accounts)
                    self._whole.touch()
                except DiskError:  # which accounts it has is not known: none that is not wanted may stay
                    self._anew(wanted)

    def _anew(self, wanted: Target) -> None:
        self.end()
        self._note(wanted)
        self._start(wanted)

    def restart(self) -> None:
        """Serve the same again: connections are cut, and the size is read again. Nothing happens where nothing is served."""
        with self._alone():
            held = self.served()
            if held is not None:
                self.end()
                self._start(held)

    def ensure(self) -> None:
        if not self.folder.exists():
            return
        with self._alone():
            held = self.served()
            if held is not None and not self._is_whole():
                self.end()
                self._start(held)

    def remove(self) -> None:
        if self.folder.exists():
            with self._alone():
                self.end()
                shutil.rmtree(self.folder, ignore_errors=True)

    def end(self) -> None:
        if (pid := self.pid()) is not None:
            stop(pid, patience=STOP_PATIENCE)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What is written meanwhile waits. A copier that is killed leaves it paused until `ensure` of another."""
        pid = self.pid()
        if pid is None:
            yield
            return
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            self.wake()

    def wake(self) -> None:
        """It goes on, if it was paused."""
        if (pid := self.pid()) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    # inside

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other thread or process starts or ends it meanwhile."""
        searchable(self.folder)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _is_whole(self) -> bool:
        """It runs, and was given all that it is to serve: a process that dies in between leaves one that refuses logins."""
        return self._whole.exists() and self.pid() is not None

    def _start(self, wanted: Target) -> None:
        self._whole.unlink(missing_ok=True)
        for left in self.folder.glob("tgtd.*"):
            left.unlink()
        program = shutil.which("tgtd", path=PATH)
        if program is None:
            raise DiskError("tgtd is not installed: apt-get install tgt")
        words = [program, "-f", "--iscsi", _portal(wanted)]
        environment = {"PATH": PATH, "TGT_IPC_SOCKET": str(self.folder / "tgtd")}
        with (self.folder / "log").open("wb") as log:
            daemon = subprocess.Popen(
                words, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        (self.folder / "pid").write_text(str(daemon.pid))
        for _ in range(START_TRIES):
            if orders.is_heard(self._socket):
                break
            if daemon.poll() is not None:
                said = (self.folder / "log").read_text(errors="replace").strip().splitlines()[-3:]
                raise DiskError(f"tgtd of {wanted.name} ended: {' | '.join(said)}")
            time.sleep(LOOK_AGAIN)
        self._set_up(wanted)
        self._whole.touch()

    def _set_up(self, wanted: Target) -> None:
        order = orders.order
        order(self._socket, orders.NEW, orders.TARGET, f"targetname={wanted.name}")
        self._change_accounts({}, wanted.accounts)
        order(self._socket, orders.NEW, orders.UNIT, f"path={wanted.path}", unit=True)
        if not wanted.writable:
            order(self._socket, orders.UPDATE, orders.UNIT, "targetOps readonly=1,", unit=True)
        order(self._socket, orders.BIND, orders.TARGET, "initiator-address=ALL")

    def _change_accounts(self, held: Mapping[str, str], wanted: Mapping[str, str]) -> None:
        """The new ones first: a target without any asks nobody for a password."""
        for user in wanted.keys() - held.keys():
            orders.order(self._socket, orders.NEW, orders.ACCOUNT, f"user={user},password={wanted[user]}", target=False)
            orders.order(self._socket, orders.BIND, orders.ACCOUNT, f"user={user}")
        for user in held.keys() - wanted.keys():
            orders.order(self._socket, orders.UNBIND, orders.ACCOUNT, f"user={user}")
            orders.order(self._socket, orders.DELETE, orders.ACCOUNT, f"user={user}", target=False)

    def _note(self, wanted: Target) -> None:
        searchable(self.folder)
        fresh = self.folder / ".served.new"
        fresh.unlink(missing_ok=True)
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(handle, "wb") as file:
            file.write(msgspec.json.encode(wanted))
        fresh.replace(self.folder / "served")


def _portal(wanted: Target) -> str:
    return f"portal={wanted.listen}:{wanted.port}"

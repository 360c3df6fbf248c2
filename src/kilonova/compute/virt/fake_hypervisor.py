"""What all fake hosts of a process share: which guests and disks they have, kept in a file that outlives a SIGKILL."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from kilonova.compute.virt.driver import HypervisorUnavailable, LifecycleEvent, PowerState
from kilonova.core.clock import Clock

OFF = (PowerState.SHUTDOWN, PowerState.CRASHED)
NOT_ALIVE = (*OFF, PowerState.SUSPENDED)
NOTHING: Mapping[str, FakeGuest] = {}
Listener = Callable[[LifecycleEvent], None]


class FakeGuest(msgspec.Struct, frozen=True, array_like=True):
    """A defined guest; `booted` once it ever ran; `macs` of its interfaces; `life` is another one each time it was switched on;
    `disks`: serial → device name."""

    name: str
    title: str
    state: int
    booted: bool = False
    macs: tuple[str, ...] = ()
    life: int = 0
    disks: dict[str, str] = {}


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the file: what `uuid` on `host` is from now on. `disks` None: unchanged."""

    host: str
    uuid: str
    guest: FakeGuest | None = None
    gone: bool = False  # the guest was undefined
    disks: bool | None = None


class FakeHypervisor:
    """Guests by host. With a `path`, each change is one appended line, written before the call returns; the kernel
    keeps it when the process is killed. One process at a time may use a file."""

    def __init__(self, path: Path | None = None, *, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self._guests: dict[str, dict[str, FakeGuest]] = {}
        self._disks: dict[str, set[str]] = {}
        self._listeners: dict[str, list[Listener]] = {}
        self._lives = 0
        self._encode = msgspec.json.Encoder().encode
        self._log = -1 if path is None else self._load(path)

    def close(self) -> None:
        if self._log >= 0:
            os.close(self._log)
            os.close(self._lock)
            self._log = -1

    def guests(self, host: str) -> Mapping[str, FakeGuest]:
        return self._guests.get(host, NOTHING)

    def put(self, host: str, uuid: str, guest: FakeGuest) -> None:
        self._record(Entry(host, uuid, guest=guest))

    def drop(self, host: str, uuid: str) -> None:
        self._record(Entry(host, uuid, gone=True))

    def disks(self, host: str) -> set[str]:
        """Servers that have disks on this host."""
        return set(self._disks.get(host, ()))

    def set_disks(self, host: str, uuid: str, present: bool) -> None:
        if (uuid in self._disks.get(host, ())) != present:
            self._record(Entry(host, uuid, disks=present))

    def become(self, host: str, uuid: str, state: PowerState, detail: str = "") -> None:
        """The guest changes its power state, by command or by itself (a test may call this: detail `crashed`)."""
        guest = self._guests[host][uuid]
        if guest.state == state:
            return
        booted = guest.booted or state == PowerState.RUNNING
        begins = guest.state in NOT_ALIVE and state not in NOT_ALIVE
        life = self._lives + 1 if begins else guest.life
        self.put(host, uuid, msgspec.structs.replace(guest, state=int(state), booted=booted, life=life))
        event = LifecycleEvent(uuid=uuid, power_state=state, detail=detail)
        for listener in tuple(self._listeners.get(host, ())):
            listener(event)

    def subscribe(self, host: str, listener: Listener) -> Callable[[], None]:
        listeners = self._listeners.setdefault(host, [])
        listeners.append(listener)
        return functools.partial(listeners.remove, listener)

    # inside

    def _record(self, entry: Entry) -> None:
        self._apply(entry)
        if self._log >= 0:
            os.write(self._log, self._encode(entry) + b"\n")

    def _apply(self, entry: Entry) -> None:
        if entry.guest is not None:
            self._lives = max(self._lives, entry.guest.life)
            self._guests.setdefault(entry.host, {})[entry.uuid] = entry.guest
        if entry.gone:
            self._guests.get(entry.host, {}).pop(entry.uuid, None)
        if entry.disks is True:
            self._disks.setdefault(entry.host, set()).add(entry.uuid)
        elif entry.disks is False:
            self._disks.get(entry.host, set()).discard(entry.uuid)

    def _entries(self) -> Iterator[Entry]:
        for host, guests in self._guests.items():
            yield from (Entry(host, uuid, guest=guest) for uuid, guest in guests.items())
        for host, servers in self._disks.items():
            yield from (Entry(host, uuid, disks=True) for uuid in servers)

    def _load(self, path: Path) -> int:
        """Read the file, rewrite it without history, and return its descriptor, open for appending."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise HypervisorUnavailable(f"fake hypervisor: another process uses {path}") from None
        decode = msgspec.json.Decoder(Entry).decode
        with contextlib.suppress(FileNotFoundError):
            for line in path.read_bytes().splitlines():
                with contextlib.suppress(msgspec.DecodeError):  # the last line of a killed process may be torn
                    self._apply(decode(line))
        fresh = path.with_name(f"{path.name}.new")
        fresh.write_bytes(b"".join(self._encode(entry) + b"\n" for entry in self._entries()))
        fresh.replace(path)
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

"""How a fake host is to behave: its size, how long things take, what goes wrong."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from kilonova.compute.virt.fake_hypervisor import FakeHypervisor

ANY = "*"


class FakeOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`delay` and `fail` have an operation's name as key (a method of the driver or disk store), or `*` for all.

    A value of `delay` is in seconds. A value of `fail` is a probability (0 to 1), or a pattern as in file names that
    the server's title, name or uuid (for `fetch`: the image's id) or the host's name must match."""

    delay: dict[str, float] = {}
    fail: dict[str, float | str] = {}
    ignore_acpi: str = ""  # pattern of guests that don't obey the power button
    vcpus: int = 64
    memory_mb: int = 262144
    disk_gb: int = 4096
    shared_disks: bool = False  # one storage holds the disks of all hosts
    state: Path | None = None  # file in which guests outlive the process; None: memory only


class Mishaps:
    """Delays and failures as the options demand."""

    __slots__ = ("_clock", "_host", "_options")

    def __init__(self, host: str, hypervisor: FakeHypervisor, options: FakeOptions) -> None:
        self._host = host
        self._clock = hypervisor.clock
        self._options = options

    async def strike(self, operation: str, error: type[Exception], *names: str) -> None:
        """Wait as long as `operation` takes, then raise `error` if it is to fail for a thing with these names."""
        seconds = self._options.delay.get(operation, self._options.delay.get(ANY, 0.0))
        if seconds > 0:
            await self._clock.sleep(seconds)
        rule = self._options.fail.get(operation, self._options.fail.get(ANY, 0.0))
        if self._hits(rule, (*names, self._host)):
            raise error(f"{operation} of {names[-1]} on host {self._host}: the fake hypervisor was told to fail")

    def _hits(self, rule: float | str, names: tuple[str, ...]) -> bool:
        if isinstance(rule, str):
            return any(fnmatchcase(name, rule) for name in names)
        return rule > 0 and int.from_bytes(self._clock.random_bytes(4)) < rule * (1 << 32)

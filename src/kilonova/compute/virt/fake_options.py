"""How a fake host is to behave: its size, how long things take, what goes wrong."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec

from kilonova.core.config import doc

if TYPE_CHECKING:
    from kilonova.compute.virt.fake_hypervisor import FakeHypervisor

ANY = "*"


class FakeOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of the fake driver. An operation is a method of the driver or the disk store."""

    delay: Annotated[dict[str, float], doc("Operation, or * for all → seconds it takes.")] = {}
    fail: Annotated[
        dict[str, float | str],
        doc(
            "Operation, or * for all → probability that it fails (0 to 1), or a file name pattern of the servers (title, name, "
            "uuid), hosts or images (id, for fetch) that it fails for."
        ),
    ] = {}
    ignore_acpi: Annotated[str, doc("File name pattern of guests that do not obey the power button.")] = ""
    vcpus: Annotated[int, doc("CPUs of a host.", ge=1)] = 64
    memory_mb: Annotated[int, doc("Memory of a host, in MiB.", ge=1)] = 262144
    disk_gb: Annotated[int, doc("Disk of a host, in GiB.", ge=0)] = 4096
    shared_disks: Annotated[bool, doc("Whether one storage holds the disks of all hosts.")] = False
    state: Annotated[
        Path | None, doc("File in which guests outlive the process; not set: a file in the state directory.")
    ] = None


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
            raise error(f"{operation} of {names[-1]} on host {self._host}: the fake hypervisor fails by its options")

    def _hits(self, rule: float | str, names: tuple[str, ...]) -> bool:
        if isinstance(rule, str):
            return any(fnmatchcase(name, rule) for name in names)
        return rule > 0 and int.from_bytes(self._clock.random_bytes(4)) < rule * (1 << 32)

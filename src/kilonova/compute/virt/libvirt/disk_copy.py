"""A disk copied by the emulator while its guest runs: libvirt's block copy, ended at the moment when both are the same.

The guest stays on its own disk all the time: a copy that is cut off costs nothing but the copy."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Protocol, TypeVar

import libvirt
from lxml import etree

from kilonova.compute.virt.block import FileSource
from kilonova.compute.virt.driver import VirtError
from kilonova.compute.virt.libvirt.elements import el
from kilonova.core import log
from kilonova.core.block.sandbox import to_the_end

T = TypeVar("T")
LOOK_EVERY = 0.2  # seconds
ENDED = (libvirt.VIR_ERR_INVALID_ARG, libvirt.VIR_ERR_OPERATION_INVALID)
NO_AGENT = frozenset({
    libvirt.VIR_ERR_AGENT_UNRESPONSIVE, libvirt.VIR_ERR_AGENT_UNSYNCED,
    libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_OPERATION_UNSUPPORTED, libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED,
})  # fmt: skip

LOG = log.get(__name__)


class OnDomain(Protocol):
    """Runs a blocking function on a guest's `virDomain`."""

    def __call__(self, what: str, act: Callable[[Any], T], /) -> Coroutine[Any, Any, T]: ...


async def copy_disk(run: OnDomain, disk: FileSource, target: FileSource, *, quiesce: bool | None) -> None:
    """See `CopiesDisks.copy_disk`."""
    path = str(disk.path)
    try:
        # a thread can't be cancelled: what it begins is given up afterwards
        await to_the_end(run("copy a disk", functools.partial(_begin, path=path, target=target)))
        while True:  # libvirt has no event for a copy that is ready
            if await run("look at the copy of a disk", functools.partial(_is_ready, path=path)):
                break
            await asyncio.sleep(LOOK_EVERY)
        await run("end the copy of a disk", functools.partial(_finish, path=path, quiesce=quiesce))
    except BaseException:
        await to_the_end(_give_up(run, path))
        raise


async def _give_up(run: OnDomain, path: str) -> None:
    with contextlib.suppress(VirtError):
        await run("give up the copy of a disk", functools.partial(_abort, path=path))


def _begin(domain: Any, *, path: str, target: FileSource) -> None:
    if not domain.isActive():
        raise VirtError(f"copy a disk of guest {domain.UUIDString()}: it is off")
    _abort(domain, path=path)  # of an earlier life of this process
    made = el("disk", el("driver", type=target.format), el("source", file=target.path), type="file")
    text = etree.tostring(made, encoding="unicode")
    domain.blockCopy(
        path, text, {}, libvirt.VIR_DOMAIN_BLOCK_COPY_REUSE_EXT | libvirt.VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB
    )


def _is_ready(domain: Any, *, path: str) -> bool:
    """Whether both are the same, and kept so."""
    job = domain.blockJobInfo(path, 0)
    if not job:
        raise VirtError(f"copy a disk of guest {domain.UUIDString()}: the copy ended too early; is the disk full?")
    return bool(job["cur"] == job["end"])


def _finish(domain: Any, *, path: str, quiesce: bool | None) -> None:
    with _frozen(domain) if quiesce is not False else contextlib.nullcontext(False) as frozen:
        if quiesce and not frozen:
            raise VirtError(f"copy a disk of guest {domain.UUIDString()}: its agent did not freeze the file systems")
        domain.blockJobAbort(path, 0)


def _abort(domain: Any, *, path: str) -> None:
    if domain.isActive() and domain.blockJobInfo(path, 0):
        try:
            domain.blockJobAbort(path, 0)
        except libvirt.libvirtError as error:
            if error.get_error_code() not in ENDED:  # it ended meanwhile
                raise


@contextlib.contextmanager
def _frozen(domain: Any) -> Iterator[bool]:
    """Whether the guest's agent froze the file systems; they thaw at the end."""
    try:
        domain.fsFreeze()
    except libvirt.libvirtError as error:
        if error.get_error_code() not in NO_AGENT:
            raise
        LOG.info("file systems not frozen", uuid=domain.UUIDString(), reason=error.get_error_message())
        with contextlib.suppress(libvirt.libvirtError):  # an answer that was lost may have been a yes
            domain.fsThaw()
        yield False
        return
    try:
        yield True
    finally:
        domain.fsThaw()

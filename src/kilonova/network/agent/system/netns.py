"""Network namespaces: made, entered by a thread of their own, removed. Blocking, but for `inside`."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import ctypes
import errno
import os
import threading
from collections.abc import Callable
from typing import TypeVar

from pyroute2 import netns

from kilonova.network.agent.dataplane import DataPlaneError

T = TypeVar("T")
RUN_DIR = "/run/netns"
CLONE_NEWNET = 0x40000000


def exists(name: str) -> bool:
    """Whether it is there and alive (after a reboot of the host only an empty file may be left)."""
    try:
        fd = os.open(f"{RUN_DIR}/{name}", os.O_RDONLY)
    except OSError:
        return False
    try:
        return os.fstat(fd).st_dev != os.stat(RUN_DIR).st_dev
    finally:
        os.close(fd)


def create(name: str) -> None:
    """Nothing happens when it exists."""
    if exists(name):
        return
    if os.path.lexists(f"{RUN_DIR}/{name}"):
        os.unlink(f"{RUN_DIR}/{name}")
    _in_thread(lambda: _create(name)).result()


def _create(name: str) -> None:
    """In a thread that ends with it: gives the thread a new namespace, and that one a name."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise DataPlaneError(f"namespace {name}: can't be made: {os.strerror(ctypes.get_errno())}")
    with contextlib.suppress(FileExistsError):
        os.mkdir(RUN_DIR)
        os.chmod(RUN_DIR, 0o755)  # noqa: S103 - whatever the umask is: all users read it
    netns.attach(name, "thread-self")


def remove(name: str) -> None:
    """Nothing happens when it does not exist."""
    if not os.path.lexists(f"{RUN_DIR}/{name}"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.umount2(f"{RUN_DIR}/{name}".encode(), 2) != 0 and ctypes.get_errno() != errno.EINVAL:
        raise DataPlaneError(f"namespace {name}: can't be unmounted: {os.strerror(ctypes.get_errno())}")
    os.unlink(f"{RUN_DIR}/{name}")


def entering(name: str) -> tuple[str, ...]:
    """What a command line begins with, to run in the namespace."""
    return "nsenter", f"--net={RUN_DIR}/{name}"


def listed() -> list[str]:
    try:
        return sorted(os.listdir(RUN_DIR))
    except FileNotFoundError:
        return []


def enter(name: str) -> None:
    """Move the calling thread; only for threads that end soon."""
    try:
        fd = os.open(f"{RUN_DIR}/{name}", os.O_RDONLY)
    except OSError as why:
        raise DataPlaneError(f"namespace {name}: {why.strerror}") from None
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(fd, CLONE_NEWNET) != 0:
            raise DataPlaneError(f"namespace {name}: can't be entered: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(fd)


def _in_thread(work: Callable[[], T]) -> concurrent.futures.Future[T]:
    """A thread of its own, never a pool's: a pool's would stay in the namespace."""
    future: concurrent.futures.Future[T] = concurrent.futures.Future()

    def body() -> None:
        try:
            future.set_result(work())
        except BaseException as why:
            future.set_exception(why)

    threading.Thread(target=body, name="netns", daemon=True).start()
    return future


def _enter_and(name: str, work: Callable[[], T]) -> T:
    enter(name)
    return work()


def run_inside(name: str, work: Callable[[], T]) -> T:
    """Do blocking work inside a namespace, and wait for it."""
    return _in_thread(lambda: _enter_and(name, work)).result()


async def inside(name: str, work: Callable[[], T]) -> T:
    """Do blocking work inside a namespace: sockets it opens and processes it starts stay there."""
    return await asyncio.wrap_future(_in_thread(lambda: _enter_and(name, work)))

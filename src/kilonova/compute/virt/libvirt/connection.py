"""One connection to libvirtd: blocking calls on a few threads, events on the loop, reconnecting when it is lost."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import libvirt

from kilonova.compute.virt.driver import GuestNotFound, HypervisorUnavailable, PowerState, VirtError
from kilonova.compute.virt.libvirt.events import meaning, start_event_thread
from kilonova.core import log
from kilonova.core.retry import Attempts, Backoff

T = TypeVar("T")
OnEvent = Callable[[str, PowerState, str], None]

KEEPALIVE_SECONDS, KEEPALIVE_COUNT = 5, 6
BACKOFF = Backoff(0.5, 10.0)
LOST = {libvirt.VIR_ERR_NO_CONNECT, libvirt.VIR_ERR_INVALID_CONN, libvirt.VIR_ERR_RPC}

LOG = log.get(__name__)


class Connection:
    """`prepare` runs before each attempt to connect; `on_open` after each success, before any other call gets the
    connection; `on_event(uuid, power_state, detail)` runs on the loop."""

    def __init__(
        self,
        uri: str,
        *,
        prepare: Callable[[], Awaitable[None]],
        on_open: Callable[[Any], Awaitable[None]],
        on_event: OnEvent,
        workers: int,
        call_timeout: float,
    ) -> None:
        self._uri = uri
        self._prepare = prepare
        self._on_open = on_open
        self._on_event = on_event
        self._call_timeout = call_timeout
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="libvirt")
        self._lock = asyncio.Lock()
        self._conn: Any = None
        self._heard: Any = None  # the connection whose events count: the newest
        self._callback_id = -1
        self._closed = False
        self._reconnecting: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect; raises HypervisorUnavailable."""
        self._loop = asyncio.get_running_loop()
        await self._live()

    async def close(self) -> None:
        self._closed = True
        if self._reconnecting:
            self._reconnecting.cancel()
        conn, self._conn = self._conn, None
        if conn is not None:
            await self._loop.run_in_executor(self._pool, self._hang_up, conn)
        self._pool.shutdown(wait=False)

    async def run(self, what: str, call: Callable[[Any], T], *, timeout: float | None = None) -> T:
        """`call(virConnect)` on a thread; once more on a new connection if this one broke, so it must be idempotent. `timeout` in
        seconds where it may take longer than others.

        Raises GuestNotFound, HypervisorUnavailable or VirtError, whose text begins with `what`."""
        for last in (False, True):
            conn = await self._live()
            try:
                return await self.thread(what, functools.partial(call, conn), timeout=timeout)
            except libvirt.libvirtError as error:
                if last or not lost(conn, error):
                    raise translate(what, error) from error
                self._drop(conn)
        raise AssertionError("unreachable")

    async def thread(self, what: str, call: Callable[[], T], *, timeout: float | None = None) -> T:
        """`call()` on one of the connection's threads, with its time limit."""
        timeout = timeout or self._call_timeout
        try:
            async with asyncio.timeout(timeout):  # unlike wait_for, it loses no cancellation that comes with the answer
                return await self._loop.run_in_executor(self._pool, call)
        except TimeoutError:
            raise VirtError(f"{what}: libvirtd did not answer within {timeout:g} s") from None

    async def _live(self) -> Any:
        async with self._lock:
            if self._closed:
                raise HypervisorUnavailable(f"the connection to {self._uri} was closed")
            if self._conn is None or not alive(self._conn):
                self._drop(self._conn)
                await self._prepare()
                conn = await self._connect()
                try:
                    await self._on_open(conn)
                except BaseException as error:
                    self._pool.submit(self._hang_up, conn)
                    if isinstance(error, libvirt.libvirtError):
                        raise HypervisorUnavailable(advice(self._uri, error)) from error
                    raise
                self._conn = conn
            return self._conn

    async def _connect(self) -> Any:
        try:
            return await self.thread(f"connect to {self._uri}", self._dial)
        except libvirt.libvirtError as error:
            raise HypervisorUnavailable(advice(self._uri, error)) from error
        except VirtError as error:  # a process accepts the connection, but does not answer
            raise HypervisorUnavailable(f"{error}; see that libvirtd runs: systemctl status libvirtd") from error

    def _dial(self) -> Any:
        start_event_thread()
        conn = libvirt.open(self._uri)
        with contextlib.suppress(libvirt.libvirtError):  # not every libvirtd knows keepalive
            conn.setKeepAlive(KEEPALIVE_SECONDS, KEEPALIVE_COUNT)
        conn.registerCloseCallback(self._on_close, None)
        self._heard = conn
        self._callback_id = conn.domainEventRegisterAny(
            None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._on_lifecycle, None
        )
        return conn

    def _hang_up(self, conn: Any) -> None:
        with contextlib.suppress(libvirt.libvirtError):
            conn.domainEventDeregisterAny(self._callback_id)
            conn.unregisterCloseCallback()
            conn.close()

    def _drop(self, conn: Any) -> None:
        """It is lost, whether a call or libvirt's event thread found out first; a new one is looked for."""
        if conn is None or conn is not self._conn:
            return
        self._conn = None
        self._pool.submit(self._hang_up, conn)
        if not self._closed and (self._reconnecting is None or self._reconnecting.done()):
            self._reconnecting = self._loop.create_task(self._reconnect())

    # the next two run on libvirt's event thread and must not call libvirt: its answers arrive on this very thread

    def _on_lifecycle(self, conn: Any, domain: Any, event: int, detail: int, _opaque: Any) -> None:
        known = meaning(event, detail)
        if known:
            self._post(self._deliver, conn, domain.UUIDString(), *known)

    def _on_close(self, conn: Any, reason: int, _opaque: Any) -> None:
        self._post(self._went_away, conn, reason)

    def _post(self, function: Callable[..., None], *args: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(function, *args)

    def _deliver(self, conn: Any, uuid: str, state: PowerState, detail: str) -> None:
        if conn is self._heard:  # what an older one still had is in the list that was read when this one was opened
            self._on_event(uuid, state, detail)

    def _went_away(self, conn: Any, reason: int) -> None:
        if conn is self._conn:
            LOG.warning("connection to libvirtd lost", uri=self._uri, reason=reason)
            self._drop(conn)

    async def _reconnect(self) -> None:
        attempts = Attempts(BACKOFF, log=LOG, work="connect to libvirtd", uri=self._uri)
        pause = BACKOFF.pause(1)
        while not self._closed:
            await asyncio.sleep(pause)
            try:
                await self._live()
            except VirtError as error:
                pause = attempts.failed(error)
            else:
                LOG.info("reconnected to libvirtd", uri=self._uri)
                return


def alive(conn: Any) -> bool:
    """Whether the connection is open, as far as this side knows."""
    try:
        return bool(conn.isAlive())
    except libvirt.libvirtError:
        return False


def lost(conn: Any, error: libvirt.libvirtError) -> bool:
    return error.get_error_code() in LOST or not alive(conn)


def translate(what: str, error: libvirt.libvirtError) -> VirtError:
    """Our exception for libvirt's, with its words."""
    words = error.get_error_message() or str(error)
    if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
        return GuestNotFound(f"{what}: no such guest")
    return VirtError(f"{what}: libvirt says: {words}")


def advice(uri: str, error: libvirt.libvirtError) -> str:
    """What to do about a refused connection."""
    words = error.get_error_message() or str(error)
    hint = "see that libvirtd runs: systemctl status libvirtd"
    if "Permission denied" in words or error.get_error_code() == libvirt.VIR_ERR_AUTH_FAILED:
        hint = "run as root, or add this user to the group libvirt: adduser USER libvirt"
    elif "No such file" in words or "Connection refused" in words:
        hint = "start it: systemctl start libvirtd (not installed? apt-get install libvirt-daemon-system)"
    return f"can't reach libvirt at {uri}: {words}; {hint}"

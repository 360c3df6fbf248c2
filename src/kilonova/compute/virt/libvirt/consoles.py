"""Where guests' consoles are: what their definitions say."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import libvirt
from lxml import etree

from kilonova.compute.virt.capabilities import ConsoleEndpoint
from kilonova.compute.virt.console_streams import SocketStream, TerminalStream
from kilonova.compute.virt.driver import GuestInfo, VirtError
from kilonova.core.web.relay import ByteStream


def open_consoles(conn: Any, guests: Iterable[GuestInfo]) -> list[str]:
    """Those of the guests whose console any local user reaches."""
    found = []
    for guest in guests:
        with contextlib.suppress(libvirt.libvirtError):  # it may go while we look
            if has_open_console(conn.lookupByUUIDString(guest.uuid)):
                found.append(guest.uuid)
    return found


def console_log_path(domain: Any) -> Path | None:
    log_element = etree.fromstring(domain.XMLDesc().encode()).find("devices/serial/log")
    return None if log_element is None else Path(log_element.get("file", ""))


def vnc_console(domain: Any) -> ConsoleEndpoint:
    graphics = _device(domain, "graphics[@type='vnc']")
    socket = graphics.get("socket") if graphics is not None else None
    if socket:
        return ConsoleEndpoint(uuid=domain.UUIDString(), kind="vnc", path=Path(socket), life=str(domain.ID()))
    why = "it listens on a port until its next hard reboot" if has_open_console(domain) else "is it running?"
    raise VirtError(f"console of guest {domain.UUIDString()}: it has none now; {why}")


def serial_console(domain: Any) -> ConsoleEndpoint:
    source = _device(domain, "serial[@type='pty']/source")
    path = source.get("path") if source is not None else None
    if path and domain.ID() >= 0:
        return ConsoleEndpoint(uuid=domain.UUIDString(), kind="serial", path=Path(path), life=str(domain.ID()))
    raise VirtError(f"serial console of guest {domain.UUIDString()}: it has none now; is it running?")


CONSOLES: dict[str, Callable[[Any], ConsoleEndpoint]] = {"vnc": vnc_console, "serial": serial_console}


def has_open_console(domain: Any) -> bool:
    """Was the guest started by an earlier release, with a console on a port that any local user reaches?"""
    graphics = _device(domain, "graphics[@type='vnc']")
    return graphics is not None and int(graphics.get("port", "-1")) > 0


def _device(domain: Any, path: str) -> etree._Element | None:
    return etree.fromstring(domain.XMLDesc().encode()).find(f"devices/{path}")


async def open_stream(endpoint: ConsoleEndpoint, find: Callable[[], Awaitable[ConsoleEndpoint]]) -> ByteStream:
    """`find` says where the console is now, and is asked once the path is open: another program may have a terminal by this name
    when the guest is gone. Raises VirtError, and what `find` raises."""

    async def is_still_there() -> None:
        if await find() != endpoint:
            raise VirtError(f"console of guest {endpoint.uuid}: it was switched off meanwhile")

    opened = SocketStream.open if endpoint.kind == "vnc" else TerminalStream.open
    await is_still_there()
    try:
        return await opened(endpoint.path, is_still_there)
    except OSError as error:
        reason = error.strerror or error
        raise VirtError(f"console of guest {endpoint.uuid}: {endpoint.path}: {reason}") from None

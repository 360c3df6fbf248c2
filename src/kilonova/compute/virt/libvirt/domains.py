"""What is done to one domain: short functions on a `virDomain` that block, for the connection's threads."""

from __future__ import annotations

import contextlib
import functools
import uuid as uuids
from collections.abc import Callable, Iterable
from typing import Any

import libvirt
from lxml import etree

from kilonova.compute.virt.capabilities import NoGuestAgent
from kilonova.compute.virt.driver import GuestInfo, PowerState, VirtError
from kilonova.compute.virt.libvirt import disks, secrets
from kilonova.compute.virt.libvirt.domain_xml import NAMESPACE
from kilonova.compute.virt.libvirt.events import STATES
from kilonova.compute.virt.libvirt.taps import remove_leftover
from kilonova.core import log

FORGET = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
)
WAITS_FOR_A_DISK = [libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_IOERROR]

LOG = log.get(__name__)


def is_ours(domain: Any, cloud: str) -> bool:
    """Whether the domain was defined by a driver whose mark this is."""
    try:
        mark = domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, NAMESPACE)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN_METADATA:
            return False
        raise
    return etree.fromstring(mark).get("cloud") == cloud


def sockets(conn: Any, cloud: str) -> set[str]:
    """Of the NBD servers of the disks of all with this mark."""
    found: set[str] = set()
    for domain in conn.listAllDomains():
        with contextlib.suppress(libvirt.libvirtError):  # it may go while we look
            if is_ours(domain, cloud):
                found.update(disks.sources(domain).values())
    return found


def guests(conn: Any, cloud: str) -> list[GuestInfo]:
    """All with this mark."""
    found = []
    for domain in conn.listAllDomains():
        with contextlib.suppress(libvirt.libvirtError):  # it may go while we look
            if is_ours(domain, cloud):
                state = state_of(domain)
                found.append(GuestInfo(uuid=domain.UUIDString(), name=domain.name(), power_state=state))
    return found


def waiting(conn: Any, guests: Iterable[GuestInfo]) -> list[str]:
    """Those of the guests that QEMU stopped because a disk failed."""
    found = []
    for guest in guests:
        with contextlib.suppress(libvirt.libvirtError):  # it may go while we look
            if waits_for_a_disk(conn.lookupByUUIDString(guest.uuid)):
                found.append(guest.uuid)
    return found


def state_of(domain: Any) -> PowerState:
    found = domain.state()
    if found == WAITS_FOR_A_DISK:
        return PowerState.RUNNING
    state = STATES.get(found[0], PowerState.NOSTATE)
    return PowerState.SUSPENDED if state == PowerState.SHUTDOWN and domain.hasManagedSaveImage() else state


def waits_for_a_disk(domain: Any) -> bool:
    """Whether QEMU stopped the guest because a disk failed."""
    return bool(domain.state() == WAITS_FOR_A_DISK)


def go_on(domain: Any) -> bool:
    """Whether it waited for a disk; it is told to go on."""
    waits = waits_for_a_disk(domain)
    if waits:
        domain.resume()
    return waits


def undefine(domain: Any) -> None:
    if domain.isActive():
        raise VirtError(f"undefine: guest {domain.UUIDString()} is not off: destroy it first")
    passphrases = secrets.used(domain)
    domain.undefineFlags(FORGET)
    secrets.forget(domain.connect(), passphrases)


def start(domain: Any, *, paused: bool) -> None:
    if not domain.isActive():
        _power_up(domain, libvirt.VIR_DOMAIN_START_FORCE_BOOT, paused=paused)  # with no memory of an earlier life


def _power_up(domain: Any, flags: int, *, paused: bool) -> None:
    definition = etree.fromstring(domain.XMLDesc().encode())
    for target in definition.iterfind("devices/interface/target"):
        if remove_leftover(target.get("dev", "")):
            LOG.warning("leftover tap deleted", tap=target.get("dev"), uuid=domain.UUIDString())
    flags |= libvirt.VIR_DOMAIN_START_PAUSED if paused else 0
    unless(domain.isActive, lambda: domain.createWithFlags(flags))


def suspend(domain: Any) -> None:
    save = functools.partial(
        domain.managedSave, libvirt.VIR_DOMAIN_SAVE_RUNNING
    )  # a paused guest too is restored running
    unless(lambda: state_of(domain) == PowerState.SUSPENDED, save)


def restore(domain: Any, *, paused: bool) -> None:
    if domain.state()[0] == libvirt.VIR_DOMAIN_PMSUSPENDED:  # it went to sleep by itself, with its memory powered
        domain.pMWakeup()
    elif not domain.isActive():
        if not domain.hasManagedSaveImage():
            raise VirtError(f"restore guest {domain.UUIDString()}: no memory of it is saved")
        _power_up(domain, 0, paused=paused)


def drop_saved(domain: Any) -> bool:
    """Whether there was saved memory, which is gone now."""
    if domain.isActive() or not domain.hasManagedSaveImage():
        return False
    unless(lambda: not domain.hasManagedSaveImage(), domain.managedSaveRemove)
    return True


def pause(domain: Any) -> None:
    unless(lambda: state_of(domain) == PowerState.PAUSED, domain.suspend)


def resume(domain: Any) -> None:
    unless(lambda: state_of(domain) == PowerState.RUNNING, domain.resume)


def ask_to_power_off(domain: Any) -> PowerState:
    """The state before; a running guest was asked."""
    state = state_of(domain)
    if state == PowerState.RUNNING:
        ask = functools.partial(domain.shutdownFlags, libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)
        unless(lambda: state_of(domain) != PowerState.RUNNING, ask)
    return state


def destroy(domain: Any) -> None:
    unless(lambda: not domain.isActive(), domain.destroy)


def unless(reached: Callable[[], bool], act: Callable[[], object]) -> None:
    """`act()` unless the aim is reached; its error counts only if the aim is still not reached then."""
    if reached():
        return
    try:
        act()
    except libvirt.libvirtError:
        if not reached():
            raise


NO_AGENT = (libvirt.VIR_ERR_AGENT_UNRESPONSIVE, libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED)


def set_password(domain: Any, user: str, password: str) -> None:
    try:
        domain.setUserPassword(user, password, 0)
    except libvirt.libvirtError as error:
        if error.get_error_code() in NO_AGENT:
            raise NoGuestAgent(f"set a password: guest {domain.UUIDString()}: {error}") from None
        raise


def is_uuid(text: str) -> bool:
    try:
        return str(uuids.UUID(text)) == text.lower()
    except ValueError:
        return False

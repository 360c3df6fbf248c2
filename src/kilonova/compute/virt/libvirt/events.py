"""libvirt's event loop on a thread of its own, and what its lifecycle events mean."""

from __future__ import annotations

import functools
import threading

import libvirt

from kilonova.compute.virt.driver import PowerState

STATES = {
    libvirt.VIR_DOMAIN_NOSTATE: PowerState.NOSTATE,
    libvirt.VIR_DOMAIN_RUNNING: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: PowerState.PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN: PowerState.RUNNING,  # still there: it is about to end
    libvirt.VIR_DOMAIN_SHUTOFF: PowerState.SHUTDOWN,
    libvirt.VIR_DOMAIN_CRASHED: PowerState.CRASHED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: PowerState.SUSPENDED,
}

# STARTED is left out: a guest started paused sends it too; RESUMED or SUSPENDED comes with it and says the truth.
EVENTS = {
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED: PowerState.PAUSED,
    libvirt.VIR_DOMAIN_EVENT_RESUMED: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_EVENT_STOPPED: PowerState.SHUTDOWN,
    libvirt.VIR_DOMAIN_EVENT_PMSUSPENDED: PowerState.SUSPENDED,
    libvirt.VIR_DOMAIN_EVENT_CRASHED: PowerState.CRASHED,
}

STOP_DETAILS = {
    libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN: "shutdown",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED: "destroyed",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_CRASHED: "crashed",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_MIGRATED: "migrated",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_SAVED: "saved",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED: "failed",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_FROM_SNAPSHOT: "from snapshot",
}


WAITS = "waits for a disk"
"""Why a guest stands still that will run when its disk is back: for all others it runs."""


def meaning(event: int, detail: int) -> tuple[PowerState, str] | None:
    """The power state after a lifecycle event and a word on why; None when the event changes none."""
    if (event, detail) == (libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_SUSPENDED_IOERROR):
        return PowerState.RUNNING, WAITS
    state = EVENTS.get(event)
    if state is None or event != libvirt.VIR_DOMAIN_EVENT_STOPPED:
        return (state, "") if state is not None else None
    if detail == libvirt.VIR_DOMAIN_EVENT_STOPPED_SAVED:
        state = PowerState.SUSPENDED
    return state, STOP_DETAILS.get(detail, "")


@functools.cache  # libvirt has one event implementation a process, to be registered before the first connection
def start_event_thread() -> None:
    """A thread rather than libvirtaio: that one adds file descriptors to the loop from whichever thread makes a call."""
    libvirt.registerErrorHandler(lambda _context, _error: None, None)  # errors come as exceptions, not on stderr
    libvirt.virEventRegisterDefaultImpl()
    threading.Thread(target=_run, name="libvirt-events", daemon=True).start()


def _run() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()

"""What a user may read of a failure: words from this catalogue, or those that were written for users. Paths, sockets and
the hypervisor's own words are for admins, in the fault's details and the step's."""

from __future__ import annotations

from kilonova.compute.steps import BY_NAME
from kilonova.compute.virt.disks import DiskFull, FileRefused, ImageRefused
from kilonova.compute.virt.driver import GuestNotFound, HypervisorUnavailable
from kilonova.core import errors
from kilonova.core.faults import InjectedFault


class Explained(Exception):
    """A failure whose text is meant for users; `details` (the host's numbers) are not."""

    def __init__(self, reason: str, details: str | None = None) -> None:
        super().__init__(reason)
        self.details = details


FOR_USERS = (Explained, ImageRefused, FileRefused, InjectedFault)
KINDS: tuple[tuple[type[Exception], str], ...] = (
    (DiskFull, "no room is left on the host's disk"),
    (HypervisorUnavailable, "the hypervisor can't be reached"),
    (GuestNotFound, "the guest is not there"),
    (errors.ServiceUnavailable, "another service is not available"),
    (errors.BusError, "another component gave no answer"),
)
STEPS: dict[str, str] = {
    "accept": "the host could not be asked what it has",
    "networking": "the network could not give the ports",
    "block_device_mapping": "the volumes could not be attached",
    "image": "the disk could not be made from the image",
    "personalise": "the guest's own data could not be written",
    "define": "the hypervisor did not take the guest's definition",
    "plug": "the network could not be made ready on the host",
    "start": "the hypervisor could not start the guest",
    "await_network": "the network could not be made ready on the host",
    "resume": "the hypervisor could not let the guest run",
    "running": "the hypervisor could not tell the guest's state",
    "stop": "the hypervisor could not stop the guest",
    "reboot": "the hypervisor could not reboot the guest",
    "reboot_hard": "the hypervisor could not reboot the guest",
}
"""Step or action → what a user reads when nothing better is known."""


def reason_of(error: BaseException, step: str) -> str:
    """Short, for users."""
    if isinstance(error, TimeoutError) and step in BY_NAME:
        return f"no result within {BY_NAME[step].deadline:g} s"
    if isinstance(error, FOR_USERS):
        return str(error)
    if isinstance(error, errors.KilonovaError) and error.status < 500:
        return error.message
    for kind, words in KINDS:
        if isinstance(error, kind):
            return words
    return STEPS.get(step, "the host could not do it")


def details_of(error: BaseException) -> str:
    """All there is to say, for admins."""
    words = (error.details if isinstance(error, Explained) else None) or str(error)
    text = f"{type(error).__name__}: {words}" if words else type(error).__name__
    return f"{text} ({error.__cause__})" if error.__cause__ is not None and str(error.__cause__) not in text else text

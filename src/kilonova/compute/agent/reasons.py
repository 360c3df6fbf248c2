"""The text of a failure that users may read: one of this catalogue, or one that was written for users. Paths, sockets and the
hypervisor's own messages are for admins, in the details of the fault and the step."""

from __future__ import annotations

from kilonova.compute.steps import Step
from kilonova.compute.virt.disks import FileRefused
from kilonova.compute.virt.driver import GuestNotFound, HypervisorUnavailable
from kilonova.compute.virt.vif import VifRefused
from kilonova.core import errors
from kilonova.core.block.errors import DiskFull, ImageRefused
from kilonova.core.faults import InjectedFault


class Explained(Exception):
    """A failure whose text is meant for users; `details` (the host's numbers) are not."""

    def __init__(self, reason: str, details: str | None = None) -> None:
        super().__init__(reason)
        self.details = details


FOR_USERS = (Explained, ImageRefused, FileRefused, VifRefused, InjectedFault)
KINDS: tuple[tuple[type[Exception], str], ...] = (
    (DiskFull, "no space is left on the host's disk"),
    (HypervisorUnavailable, "the hypervisor is unreachable"),
    (GuestNotFound, "the hypervisor does not know the guest"),
    (errors.ServiceUnavailable, "another service is not available"),
    (errors.BusError, "another component did not answer"),
)


def reason_of(error: BaseException, step: Step) -> str:
    """A short text for users; for an internal failure, that of the step."""
    if isinstance(error, TimeoutError):
        return f"no result within {step.deadline:g} s"
    if isinstance(error, FOR_USERS):
        return str(error)
    if isinstance(error, errors.KilonovaError) and error.status < 500:
        return error.message
    for kind, words in KINDS:
        if isinstance(error, kind):
            return words
    return step.failed


def details_of(error: BaseException) -> str:
    """The complete text, for admins."""
    words = (error.details if isinstance(error, Explained) else None) or str(error)
    text = f"{type(error).__name__}: {words}" if words else type(error).__name__
    return f"{text} ({error.__cause__})" if error.__cause__ is not None and str(error.__cause__) not in text else text

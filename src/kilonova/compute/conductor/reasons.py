"""Texts of faults: a summary for users (at most 255 characters) that names no host, and details for admins that do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from kilonova.compute.conductor.host_selection import SchedulerAway
from kilonova.compute.models import Decision, Fault
from kilonova.compute.scheduler.plan import why_none
from kilonova.core import errors
from kilonova.core.faults import InjectedFault

LONGEST = 255
Tried = Mapping[str, str]
"""host → what became of the attempt there"""


def short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def of_attempt(fault: Fault | None) -> str:
    """`networking: no address left`."""
    return f"{fault.step}: {fault.reason}" if fault is not None else "unknown step: no reason was given"


def details_of_attempt(fault: Fault | None) -> str:
    """The same with the host's own words."""
    return f"{fault.step}: {fault.details or fault.reason}" if fault is not None else of_attempt(fault)


def _failed(tried: Tried, said: str, what: str) -> str:
    return f"{what} failed on {_hosts(len(tried))}: {said}" if tried else ""


def _hosts(count: int) -> str:
    return "1 host" if count == 1 else f"{count} hosts"


def of_hosts(tried: Tried, *, what: str = "Build") -> str:
    """For admins: every host tried, and its reason. Empty when none was."""
    return _failed(tried, "; ".join(f"{host}: {reason}" for host, reason in tried.items()), what)


def for_users(tried: Tried, *, what: str = "Build") -> str:
    """Every reason once, and on how many of the hosts where they differ: `networking: no address left (2 hosts); start: …`."""
    reasons = Counter(tried.values())
    several = len(reasons) > 1
    said = [f"{reason} ({_hosts(n)})" if several and n > 1 else reason for reason, n in reasons.items()]
    return _failed(tried, "; ".join(said), what)


def summary(before: str, tried: Tried, *, what: str = "Build") -> str:
    """`before` and every step with its reason; where that is too long the reasons go, then what is too much."""
    steps = {host: reason.partition(":")[0] for host, reason in tried.items()}
    texts = [" ".join(filter(None, [before, for_users(said, what=what)])) for said in (tried, steps)]
    return next((text for text in texts if len(text) <= LONGEST), short(texts[-1]))


def full(before: str, tried: Tried, details: Tried, *, what: str = "Build") -> str:
    """The whole of it, for admins: every host's reason, then its own words."""
    lines = [before, of_hosts(tried, what=what), *(f"{host}: {text}" for host, text in details.items())]
    return "\n".join(filter(None, lines))


def of_scheduling(error: errors.KilonovaError | InjectedFault) -> tuple[str, str | None]:
    """(what users may read, what only admins may)."""
    if isinstance(error, SchedulerAway):
        return f"the scheduler did not answer within {error.params['seconds']:g} s", error.message
    if isinstance(error, InjectedFault):
        return str(error), None
    kind = "another service is not available" if error.status == 503 else "internal error"
    return kind, error.message


def no_host(tried: Tried, details: Tried, decision: Decision, *, what: str = "Build") -> tuple[str, str]:
    """(message, details) when the scheduler found none."""
    why = why_none(decision)
    refused = [f"{h.host}: {h.refused_by}: {h.saw}" for h in decision.hosts if h.refused_by]
    return summary(why, tried, what=what), "\n".join([full(why, tried, details, what=what), *refused])

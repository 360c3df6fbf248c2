"""The words of faults: a summary for users (at most 255 characters), details for admins."""

from __future__ import annotations

from kilonova.compute.models import Decision, Fault, RequestSpec
from kilonova.compute.scheduler.plan import why_none

LONGEST = 255


def short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def of_attempt(fault: Fault | None) -> str:
    """`networking: no address left`."""
    return f"{fault.step}: {fault.reason}" if fault is not None else "unknown step: no reason was given"


def of_attempts(spec: RequestSpec) -> str:
    """What every host tried had to say."""
    tried = "; ".join(f"{host}: {reason}" for host, reason in spec.failed_hosts.items())
    count = len(spec.failed_hosts)
    return f"Build failed on {count} host{'s' if count > 1 else ''}: {tried}" if count else ""


def no_host(spec: RequestSpec, decision: Decision) -> tuple[str, str]:
    """(message, details) when the scheduler found none."""
    why = why_none(decision)
    earlier = of_attempts(spec)
    message = f"{why} {earlier}" if earlier else why
    lines = [message, *(f"{h.host}: {h.refused_by}: {h.saw}" for h in decision.hosts if h.refused_by)]
    return short(message), "\n".join(lines)

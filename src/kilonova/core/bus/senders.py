"""The authenticated sender of a message, and what a compute host may send.

Where each compute host has a broker user of its own (`[bus] host_users`), every message carries its sender's user, which the
broker compares with that of the connection. A host may send only methods that are marked `from_host`, in its own name."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from kilonova.core import errors, log
from kilonova.core.bus.interface import ANY_HOST, RECEIVER, Method

UNAUTHENTICATED = ""  # the sender of a message without an authenticated user: no host, and it may send nothing
HOST = "{host}"
logger = log.get("bus")


class NotForThisHost(errors.Forbidden):
    template = "Host {sender} may not send {method}{naming}."


class HostUsers:
    """The names of hosts' broker users: `kilonova-host-{host}`. An empty pattern: hosts share the control plane's user, and
    senders can't be distinguished."""

    def __init__(self, pattern: str) -> None:
        """Raises ValueError."""
        if pattern and pattern.count(HOST) != 1:
            raise ValueError(f"bus.host_users: {pattern!r} must hold {HOST} once, as in kilonova-host-{HOST}")
        self.pattern = pattern
        self._before, _, self._after = pattern.partition(HOST)

    def user_of(self, host: str) -> str:
        return self.pattern.replace(HOST, host)

    def sender(self, user: str | None) -> str | None:
        """The host whose user this is; None for the control plane's, UNAUTHENTICATED where the message names none."""
        if not self.pattern:
            return None
        if not user:
            return UNAUTHENTICATED
        host = user.removeprefix(self._before).removesuffix(self._after)
        return host if host and self.user_of(host) == user else None


def check(sender: str | None, topic: str, method: Method, arguments: Any, receiver: str) -> None:
    """Raises NotForThisHost unless the sender may send this to the receiving host. None: the control plane may."""
    if sender is None:
        return
    rule = method.from_host
    named = sender if rule == ANY_HOST else receiver if rule == RECEIVER else rule and attrgetter(rule)(arguments)
    if sender == UNAUTHENTICATED or rule is None or named != sender:
        naming = f" in the name of {named}" if rule is not None and named != sender else ""
        logger.warning(
            "message refused: the sender may not act for this host",
            sender=sender,
            topic=topic,
            method=method.name,
            named=named,
        )
        raise NotForThisHost(
            sender=sender or "without an authenticated user", method=f"{topic}.{method.name}", naming=naming
        )

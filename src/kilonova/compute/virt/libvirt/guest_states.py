"""Our guests' power states as last seen: what listeners are notified of, and what operations wait for."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping

from kilonova.compute.virt.driver import LifecycleEvent, PowerState
from kilonova.core import log

logger = log.get(__name__)


class GuestStates:
    """Of guests with our mark alone: events of others change nothing. `follow` may be called from any thread."""

    def __init__(self) -> None:
        self._states: dict[str, PowerState] = {}
        self._listeners: list[Callable[[LifecycleEvent], None]] = []
        self._waiting: dict[str, dict[asyncio.Future[None], frozenset[PowerState]]] = {}  # for one of the states
        self._held: list[tuple[str, PowerState, str]] | None = None  # events that came while we catch up

    def __contains__(self, uuid: str) -> bool:
        return uuid in self._states

    def of(self, uuid: str) -> PowerState:
        return self._states.get(uuid, PowerState.NOSTATE)

    def follow(self, uuid: str, state: PowerState) -> None:
        """From here on, unless the guest is followed already."""
        self._states.setdefault(uuid, state)

    def forget(self, uuid: str) -> None:
        self._states.pop(uuid, None)

    def subscribe(self, listener: Callable[[LifecycleEvent], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return functools.partial(self._listeners.remove, listener)

    @contextlib.contextmanager
    def notified(self, uuid: str, states: frozenset[PowerState]) -> Iterator[asyncio.Future[None]]:
        """A future that is done when the listeners were notified that the guest is in one of `states`."""
        notified = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(uuid, {})
        waiting[notified] = states
        try:
            yield notified
        finally:
            del waiting[notified]
            if not waiting:
                self._waiting.pop(uuid, None)

    def seen(self, uuid: str, state: PowerState, detail: str) -> None:
        """An event, or a look at the guest. A state that is known already is no news."""
        if self._held is not None:
            self._held.append((uuid, state, detail))
        elif uuid in self._states and self._states[uuid] != state:
            self._states[uuid] = state
            self._notify(uuid, state, detail)

    def hold(self) -> None:
        """Events wait until `caught_up`: the connection is new, and what it lists is older than they are."""
        self._held = []

    def caught_up(self, listed: Mapping[str, PowerState]) -> None:
        """The guests that a new connection lists: listeners are notified of what happened to ours meanwhile."""
        before, self._states = self._states, dict(listed)
        for uuid, state in before.items():
            if self.of(uuid) != state:
                self._notify(uuid, self.of(uuid), "seen after reconnecting")
        held, self._held = self._held or [], None
        for event in held:
            self.seen(*event)

    def _notify(self, uuid: str, state: PowerState, detail: str) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(LifecycleEvent(uuid=uuid, power_state=state, detail=detail))
            except Exception:  # one listener's mistake must not silence the others
                logger.exception("a lifecycle listener failed", uuid=uuid)
        for notified, states in self._waiting.get(uuid, {}).items():
            if state in states and not notified.done():
                notified.set_result(None)

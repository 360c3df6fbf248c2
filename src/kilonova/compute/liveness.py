"""Whether a service is up, and what that makes of its host."""

from __future__ import annotations

import datetime as dt

from kilonova.compute.store.services import LivenessRow


class Liveness:
    """`now` as rows hold it; a service silent for longer than `down_time` seconds is down."""

    def __init__(self, now: dt.datetime, down_time: float) -> None:
        self.now, self.down_time = now, down_time

    def is_up(self, service: LivenessRow) -> bool:
        if service.forced_down or service.last_seen is None:
            return False
        return bool((self.now - service.last_seen).total_seconds() <= self.down_time)

    def host_status(self, service: LivenessRow | None) -> str:
        """UP, UNKNOWN, DOWN, MAINTENANCE, or nothing for a server without host."""
        if service is None:
            return ""
        if service.forced_down:
            return "DOWN"
        if service.disabled:
            return "MAINTENANCE"
        return "UP" if self.is_up(service) else "UNKNOWN"

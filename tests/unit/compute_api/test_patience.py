"""How long a guest may be on its way to another host."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from kilonova.compute.agent.timeouts import Patience
from kilonova.compute.models import Wishes


def patience(seconds: float, action: str, *, copied: bool, now: list[float]) -> Patience:
    options = SimpleNamespace(live_migration_timeout=seconds, live_migration_timeout_action=action)
    host: Any = SimpleNamespace(options=options, clock=SimpleNamespace(monotonic=lambda: now[0]))
    build: Any = SimpleNamespace(
        spec=SimpleNamespace(flavor=SimpleNamespace(memory_mb=4096, root_gb=10, ephemeral_gb=6))
    )
    return Patience(host, build, copied=copied)


@pytest.mark.parametrize(
    ("action", "copied", "seconds", "cancelled", "hurried"),
    [
        ("abort", False, 39, False, False), ("abort", False, 41, True, False),
        ("force_complete", False, 41, False, True), ("abort", True, 199, False, False), ("abort", True, 201, True, False),
    ],
)  # fmt: skip
def test_time_grows_with_what_is_sent(
    action: str, copied: bool, seconds: float, cancelled: bool, hurried: bool
) -> None:
    now = [100.0]
    ten = patience(10.0, action, copied=copied, now=now)
    now[0] += seconds
    assert ten.or_wished(Wishes()) == Wishes(cancelled=cancelled, hurried=hurried)


def test_any_time() -> None:
    now = [0.0]
    forever = patience(0.0, "abort", copied=True, now=now)
    now[0] = 1e9
    assert forever.or_wished(Wishes(hurried=True)) == Wishes(hurried=True)

"""The steps of a launch: stable names that the journal, the timeline, the metrics and the fault injector share."""

from __future__ import annotations

import msgspec


class Step(msgspec.Struct, frozen=True):
    """`deadline` in seconds; `task_state` is what a client sees from here on."""

    number: int
    name: str
    component: str
    deadline: float
    task_state: str | None = None


STEPS: tuple[Step, ...] = (
    Step(1, "authenticate", "api", 10),
    Step(2, "authorize", "api", 1),
    Step(3, "validate", "api", 30),
    Step(4, "quota", "api", 10),
    Step(5, "record", "api", 10, "scheduling"),
    Step(6, "hand_over", "api", 30),
    Step(7, "schedule", "conductor", 60),
    Step(8, "claim", "scheduler", 30),
    Step(9, "dispatch", "conductor", 30),
    Step(10, "accept", "compute", 600, "networking"),
    Step(11, "networking", "compute", 120),
    Step(12, "block_device_mapping", "compute", 600, "block_device_mapping"),
    Step(13, "image", "compute", 3600, "spawning"),
    Step(14, "personalise", "compute", 120),
    Step(15, "define", "compute", 60),
    Step(16, "plug", "compute", 60),
    Step(17, "start", "compute", 120),
    Step(18, "await_network", "compute", 300),
    Step(19, "resume", "compute", 30),
    Step(20, "running", "compute", 60),
    Step(21, "active", "compute", 60),
)
BY_NAME: dict[str, Step] = {step.name: step for step in STEPS}

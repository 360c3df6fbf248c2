"""Options of the conductor; times in seconds."""

from __future__ import annotations

import msgspec

from kilonova.compute.steps import STEPS

COMPUTE_STEPS = sum(step.deadline for step in STEPS if step.component == "compute")


class ConductorOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`max_attempts` counts hosts tried for one launch. `schedule_timeout`: how long a silent scheduler is asked again.
    `build_timeout`: how long a build on a host may show nothing new. `accept_timeout`: after it, a host that has not yet
    taken its build is asked whether it is there. For `startup_grace` after its start, and after the broker or the database
    was away, the conductor does not believe that hosts are down: they may just be starting too, or could not be heard. The
    reconciler looks every `reconcile_interval`, at claims nobody holds every `orphan_interval`; `grace` is the age from which
    it touches anything. It is a net below the messages, which are kept until they are done: what falls through them is taken
    up within both times together. `keep_deleted`: how long deleted servers and their history are kept, 0 for ever; longer than a
    host may be away, as one that comes back asks which of its guests were deleted."""

    host: str = "conductor"
    max_attempts: int = 3
    schedule_timeout: float = 60.0
    build_timeout: float = float(COMPUTE_STEPS)
    accept_timeout: float = 2.0
    watch_interval: float = 1.0
    startup_grace: float = 20.0
    heartbeat: float = 10.0
    heartbeat_batch: float = 0.5
    service_down_time: float = 60.0
    reconcile_interval: float = 5.0
    orphan_interval: float = 300.0
    grace: float = 15.0
    keep_deleted: float = 0.0
    default_availability_zone: str = "nova"

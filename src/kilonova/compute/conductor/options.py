"""Options of the conductor."""

from __future__ import annotations

from typing import Annotated

import msgspec

from kilonova.compute.options import INSTANCE_NAME
from kilonova.compute.steps import STEPS
from kilonova.core.config import derived, doc

COMPUTE_STEPS = sum(step.deadline for step in STEPS if step.component == "compute")


class ConductorOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The reconciler is a net below the messages, which are kept until they are done: what falls through them is resumed within
    `reconcile_interval` and `grace` together."""

    host: Annotated[str, doc("Name of this conductor in the list of services.")] = "conductor"
    schedule_timeout: Annotated[
        float, doc("Seconds for which calls to an unreachable scheduler are retried.", gt=0)
    ] = 60.0
    build_timeout: Annotated[
        float, doc("Seconds that a build on a host may report nothing before it counts as failed.", gt=0)
    ] = float(COMPUTE_STEPS)
    accept_timeout: Annotated[
        float, doc("Seconds after which a host that has not accepted its build is asked whether it is there.", gt=0)
    ] = 2.0
    watch_interval: Annotated[float, doc("Seconds between two looks at builds that no host has accepted.", gt=0)] = 1.0
    startup_grace: Annotated[
        float,
        doc("Seconds after a start, or after an outage of broker or database, in which no host counts as down.", ge=0),
    ] = 20.0
    heartbeat: Annotated[float, doc("Seconds between two reports of this conductor.", gt=0)] = 10.0
    heartbeat_batch: Annotated[
        float, doc("Seconds in which hosts' heartbeats are gathered and written at once.", ge=0)
    ] = 0.5
    reconcile_interval: Annotated[float, doc("Seconds between two runs of the reconciler.", gt=0)] = 5.0
    orphan_interval: Annotated[float, doc("Seconds between two looks for claims without a server.", gt=0)] = 300.0
    grace: Annotated[float, doc("Age in seconds from which the reconciler touches anything.", ge=0)] = 15.0
    keep_deleted: Annotated[
        float,
        doc(
            "Seconds that deleted servers and their history are kept; 0: for ever. Keep longer than a host may be down.",
            ge=0,
        ),
    ] = 0.0
    shelved_offload_time: Annotated[
        float, doc("Seconds after which a shelved server is removed from its host; 0: at once, -1: never.", ge=-1)
    ] = 0
    rescue_timeout: Annotated[
        float, doc("Seconds after which a rescued server is brought back (unrescue); 0: never.", ge=0)
    ] = 0
    max_attempts: Annotated[int, derived("scheduler.max_attempts")] = 3
    reclaim_instance_interval: Annotated[float, derived("compute.reclaim_instance_interval")] = 0.0
    service_down_time: Annotated[float, derived("compute.service_down_time")] = 60.0
    resize_confirm_window: Annotated[float, derived("compute.resize_confirm_window")] = 0.0
    default_availability_zone: Annotated[str, derived("compute.default_availability_zone")] = "nova"
    instance_name_template: Annotated[str, derived("compute.instance_name_template")] = INSTANCE_NAME

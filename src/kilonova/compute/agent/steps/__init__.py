"""The agent's steps of a launch, one class each, in the order of compute/steps.py."""

from __future__ import annotations

from collections.abc import Sequence

from kilonova.compute.agent.launch import LaunchStep
from kilonova.compute.agent.steps.accept import Accept
from kilonova.compute.agent.steps.disks import BlockDeviceMapping, Image, Personalise
from kilonova.compute.agent.steps.guest import Define, Resume, Running, Start
from kilonova.compute.agent.steps.networking import AwaitNetwork, Networking, Plug
from kilonova.compute.models import ServerBuild

POWER_ON: Sequence[LaunchStep] = (
    Image(),
    Personalise(),
    Define(),
    Plug(),
    Start(),
    AwaitNetwork(),
    Resume(),
    Running(),
)
"""Start and hard reboot: the same guest again from its disks."""

CREATE: Sequence[LaunchStep] = (Accept(), Networking(), BlockDeviceMapping(), *POWER_ON)
"""A new server, also one that comes from a dead host. Step `active` is the report that follows."""

SHUT_OFF: Sequence[LaunchStep] = CREATE[: [step.name for step in CREATE].index("define") + 1]
"""A server that comes from a dead host and stays off."""


def steps_of(build: ServerBuild) -> Sequence[LaunchStep]:
    """The steps that bring a server up on a host where it is new."""
    return SHUT_OFF if build.evacuation is not None and build.evacuation.stopped else CREATE

"""The agent's steps of a launch, one class each, in the order of compute/steps.py."""

from __future__ import annotations

from collections.abc import Sequence

from kilonova.compute.agent.launch import LaunchStep
from kilonova.compute.agent.steps.accept import Accept
from kilonova.compute.agent.steps.disks import BlockDeviceMapping, Image, Personalise
from kilonova.compute.agent.steps.guest import Define, Resume, Running, Start
from kilonova.compute.agent.steps.networking import AwaitNetwork, Networking, Plug

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
"""A new server. Step `active` is the report that follows."""

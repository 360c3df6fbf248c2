"""The actions of EC2, each by its name, in the module of its noun."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from kilonova.ec2.actions import (
    addresses,
    gateways,
    images,
    instance_types,
    instances,
    key_pairs,
    network_interfaces,
    regions,
    security_groups,
    tags,
    volumes,
    vpcs,
)
from kilonova.ec2.call import Ec2Call, Result

Action = Callable[[Ec2Call], Awaitable[Result]]
MODULES = (
    addresses,
    gateways,
    images,
    instance_types,
    instances,
    key_pairs,
    network_interfaces,
    regions,
    security_groups,
    tags,
    volumes,
    vpcs,
)
ACTIONS: dict[str, Action] = {name: action for module in MODULES for name, action in module.ACTIONS.items()}
"""What is not here and yet Amazon's is refused as UnsupportedOperation."""

"""What policy rules may know of an object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kilonova.core.errors import KilonovaError
from kilonova.network.store.networks import NetworkRow
from kilonova.network.store.objects import OwnedRow

Facts = dict[str, Any]
"""project_id, tenant_id, shared, router:external, network:project_id, network_device. `object` is not for rules: the row, or the
body of what is to be made. `shared` and `router:external` are lists of projects, or False: rules see whether the caller's
project or "*" is among them."""
Guard = Callable[[Facts, KilonovaError | None], None]
"""Refuses callers that may not act on an object. The error given is raised for those that may not even see it; without one
they get 403."""


@dataclass(frozen=True, kw_only=True)
class Seeing:
    """Refuse callers that may not see a thing that their request names beside its own object."""

    network: Guard
    subnet: Guard
    security_group: Guard
    port: Guard
    address_scope: Guard
    address_group: Guard
    subnetpool: Guard
    qos_policy: Guard


def owned_by(project_id: str) -> Facts:
    return {"project_id": project_id, "tenant_id": project_id}


def facts(row: OwnedRow, network: NetworkRow | None = None) -> Facts:
    """`network` is the network of a subnet or port."""
    target = owned_by(row.project_id) | {"object": row}
    return target if network is None else target | within(network)


def network_facts(network: NetworkRow) -> Facts:
    return {"shared": network.shared_with, "router:external": network.external_to}


def within(network: NetworkRow) -> Facts:
    """Of what is on the network."""
    return network_facts(network) | {"network:project_id": network.project_id}

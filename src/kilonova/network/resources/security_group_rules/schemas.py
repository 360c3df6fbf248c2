"""Wire shapes of security group rules."""

from __future__ import annotations

from kilonova.core.web.wire import Body, View
from kilonova.network.resources.base.schemas import Name, ProjectId, Text, Uuid


class RuleIn(Body, kw_only=True):
    """For icmp the port range is type and code. `protocol` is a name or a number."""

    direction: Name
    ethertype: Name | None = "IPv4"
    protocol: Name | int | None = None
    port_range_min: int | None = None
    port_range_max: int | None = None
    remote_ip_prefix: Name | None = None
    remote_address_group_id: Uuid | None = None
    description: Text | None = ""
    project_id: ProjectId | None = None
    tenant_id: ProjectId | None = None


class RuleCreate(RuleIn, kw_only=True):
    security_group_id: Uuid
    remote_group_id: Uuid | None = None


class Rule(View, kw_only=True):
    id: str
    project_id: str
    tenant_id: str
    security_group_id: str
    direction: str
    ethertype: str
    protocol: str | None
    port_range_min: int | None
    port_range_max: int | None
    remote_ip_prefix: str | None
    remote_group_id: str | None
    normalized_cidr: str | None
    description: str
    created_at: str
    updated_at: str
    revision_number: int
    remote_address_group_id: str | None = None

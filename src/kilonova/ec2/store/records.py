"""SQL of what the EC2 API keeps itself."""

from __future__ import annotations

from kilonova.core.db import TypedRow
from kilonova.core.db.records import Records
from kilonova.ec2 import tables


class VpcRow(TypedRow):
    id: str
    project_id: str
    cidr: str
    routed: bool


class GatewayRow(TypedRow):
    id: str
    project_id: str
    vpc_id: str | None


class TagRow(TypedRow):
    project_id: str
    resource_id: str
    key: str
    value: str


class ClientTokenRow(TypedRow):
    project_id: str
    token: str
    digest: str
    result: str | None
    made_at: str


vpcs = Records(tables.vpcs, VpcRow)
gateways = Records(tables.internet_gateways, GatewayRow)
tags = Records(tables.tags, TagRow)
client_tokens = Records(tables.client_tokens, ClientTokenRow)

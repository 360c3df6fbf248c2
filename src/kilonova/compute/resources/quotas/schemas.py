"""Wire shapes of quota sets. What the network service counts is not limited here: -1 for clients that still ask."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kilonova.compute.web.fields import Boolean
from kilonova.core.web.wire import Body, View, versions

T = TypeVar("T")
Limit = (
    Annotated[str, Meta(pattern=r"\A-?[0-9]{1,10}\Z", description="a number, or -1 for no limit")]
    | Annotated[int, Meta(ge=-1, le=2147483647)]
    | UnsetType
)


class Limits(Body, kw_only=True):
    instances: Limit = UNSET
    cores: Limit = UNSET
    ram: Limit = UNSET
    metadata_items: Limit = UNSET
    key_pairs: Limit = UNSET
    server_groups: Limit = UNSET
    server_group_members: Limit = UNSET
    injected_files: Annotated[Limit, versions("2.1", "2.56")] = UNSET
    injected_file_content_bytes: Annotated[Limit, versions("2.1", "2.56")] = UNSET
    injected_file_path_bytes: Annotated[Limit, versions("2.1", "2.56")] = UNSET
    fixed_ips: Annotated[Limit, versions("2.1", "2.35")] = UNSET
    floating_ips: Annotated[Limit, versions("2.1", "2.35")] = UNSET
    security_groups: Annotated[Limit, versions("2.1", "2.35")] = UNSET
    security_group_rules: Annotated[Limit, versions("2.1", "2.35")] = UNSET


class QuotaSetIn(Limits, kw_only=True):
    force: Boolean = False
    tenant_id: str | UnsetType = UNSET


class QuotaSetUpdate(Body, kw_only=True):
    quota_set: QuotaSetIn


class QuotaClassUpdate(Body, kw_only=True):
    quota_class_set: Limits


class Resources(View, Generic[T], kw_only=True):
    """What is counted or limited, in the order that clients see."""

    instances: T
    cores: T
    ram: T
    metadata_items: T
    key_pairs: T
    server_groups: T
    server_group_members: T
    injected_files: Annotated[T, versions("2.1", "2.56")]
    injected_file_content_bytes: Annotated[T, versions("2.1", "2.56")]
    injected_file_path_bytes: Annotated[T, versions("2.1", "2.56")]
    fixed_ips: Annotated[T, versions("2.1", "2.35")]
    floating_ips: Annotated[T, versions("2.1", "2.35")]
    security_groups: Annotated[T, versions("2.1", "2.35")]
    security_group_rules: Annotated[T, versions("2.1", "2.35")]


class QuotaSet(Resources[int], kw_only=True):
    id: str | UnsetType = UNSET


class QuotaSetBody(View, kw_only=True):
    quota_set: QuotaSet


class Usage(View, kw_only=True):
    limit: int
    in_use: int
    reserved: int = 0


class QuotaUsage(Resources[Usage], kw_only=True):
    id: str


class QuotaUsageBody(View, kw_only=True):
    quota_set: QuotaUsage


class QuotaClass(Resources[int], kw_only=True):
    id: str | UnsetType = UNSET
    server_groups: Annotated[int, versions("2.50")]
    server_group_members: Annotated[int, versions("2.50")]


class QuotaClassBody(View, kw_only=True):
    quota_class_set: QuotaClass


SHOWN = Limits.__struct_fields__
"""The resources that clients see, in the order they see them."""


class Absolute(View, kw_only=True):
    maxTotalInstances: int
    maxTotalCores: int
    maxTotalRAMSize: int
    maxTotalKeypairs: int
    maxServerMeta: int
    maxServerGroups: int
    maxServerGroupMembers: int
    maxPersonality: Annotated[int, versions("2.1", "2.56")]
    maxPersonalitySize: Annotated[int, versions("2.1", "2.56")]
    maxTotalFloatingIps: Annotated[int, versions("2.1", "2.35")]
    maxSecurityGroups: Annotated[int, versions("2.1", "2.35")]
    maxSecurityGroupRules: Annotated[int, versions("2.1", "2.35")]
    totalInstancesUsed: int
    totalCoresUsed: int
    totalRAMUsed: int
    totalServerGroupsUsed: int
    totalFloatingIpsUsed: Annotated[int, versions("2.1", "2.35")]
    totalSecurityGroupsUsed: Annotated[int, versions("2.1", "2.35")]
    maxImageMeta: Annotated[int, versions("2.1", "2.38")]


class LimitsView(View, kw_only=True):
    rate: list[str] = msgspec.field(default_factory=list)
    absolute: Absolute


class LimitsBody(View, kw_only=True):
    limits: LimitsView

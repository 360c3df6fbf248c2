"""Wire shapes of quota sets. What the network service counts is not limited here: -1 for clients that still ask."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from kilonova.compute.web.fields import Boolean
from kilonova.core.web.wire import Body, versions

Limit = (
    Annotated[str, Meta(pattern=r"\A-?[0-9]{1,10}\Z", description="a number, or -1 for no limit")]
    | Annotated[int, Meta(ge=-1, le=2147483647)]
    | UnsetType
)

SHOWN = {  # resource → the last version that shows it
    "instances": "2.999", "cores": "2.999", "ram": "2.999", "metadata_items": "2.999", "key_pairs": "2.999",
    "server_groups": "2.999", "server_group_members": "2.999", "injected_files": "2.56",
    "injected_file_content_bytes": "2.56", "injected_file_path_bytes": "2.56", "fixed_ips": "2.35",
    "floating_ips": "2.35", "security_groups": "2.35", "security_group_rules": "2.35",
}  # fmt: skip


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

"""Wire shapes of quotas. Their fields are the names of the resources that quotas limit."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from kilonova.core.web.wire import View

Limit = Annotated[int, Meta(ge=-1, le=2147483647)]


class QuotaUpdate(View):
    """Limits by resource; -1 is none. `force` sets limits below what is used; `check_limit` is what happens without it."""

    quota: dict[str, Limit | bool] | UnsetType = UNSET


class ProjectQuota(View):
    """The limits of one project, by resource."""

    other_fields = int

    project_id: str
    tenant_id: str


class Use(View):
    """`reserved` is always 0: nothing is held back."""

    limit: int
    used: int
    reserved: int


class QuotaBody(View):
    quota: dict[str, int]


class QuotaDetailsBody(View):
    quota: dict[str, Use]


class QuotasBody(View):
    quotas: list[ProjectQuota]

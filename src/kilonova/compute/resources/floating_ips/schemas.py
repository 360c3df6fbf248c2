"""Wire shapes of floating IPs, as compute had them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from kilonova.core.web.wire import View


class FloatingIpIn(View, kw_only=True):
    """`pool` is the name or id of an external network; None: the only one."""

    pool: Annotated[str, Meta(max_length=255)] | None = None


class FloatingIp(View, kw_only=True):
    id: str
    ip: str
    fixed_ip: str | None
    instance_id: str | None
    pool: str


class FloatingIpBody(View, kw_only=True):
    floating_ip: FloatingIp


class FloatingIpList(View, kw_only=True):
    floating_ips: list[FloatingIp]


class Pool(View, kw_only=True):
    name: str


class PoolList(View, kw_only=True):
    floating_ip_pools: list[Pool]

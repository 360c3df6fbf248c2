"""What the scheduler knows of a pool and of what is asked for."""

from __future__ import annotations

from typing import Any

import msgspec


class Pool(msgspec.Struct, kw_only=True):
    """`name` is HOST@BACKEND#POOL; GiB. `promised` are the sizes of its volumes, whether it has filled them or not."""

    name: str
    service: str
    zone: str
    up: bool
    disabled: bool
    total_gb: float
    free_gb: float
    promised: int
    capabilities: dict[str, Any]

    def capability(self, name: str, default: Any = None) -> Any:
        return self.capabilities.get(name, default)


class Request(msgspec.Struct, kw_only=True):
    """A volume that needs a pool. `near`, `apart`: pools of the volumes that it is to be with, or not with; `tried`: pools
    that could not make it; `only`: the one pool that may have it, as its source is there."""

    size: int
    zone: str | None
    extra_specs: dict[str, str] = {}
    multiattach: bool = False
    near: list[str] = []
    apart: list[str] = []
    tried: list[str] = []
    only: str | None = None
    reserved_percentage: int = 0
    ratio: float = 20.0

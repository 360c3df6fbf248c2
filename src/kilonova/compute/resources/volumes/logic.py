"""Volumes and snapshots of the volume service, in the caller's name."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from kilonova.compute.errors import NotBuiltYet
from kilonova.core import errors
from kilonova.core.context import RequestContext
from kilonova.core.service import Core
from kilonova.core.web.client import ServiceClient

Record = dict[str, Any]


class VolumeProxy:
    """`noun` is volume or snapshot."""

    def __init__(self, core: Core, noun: str) -> None:
        self._core, self.noun = core, noun

    @property
    def _http(self) -> ServiceClient:
        if not self._core.endpoints.get("volume"):
            raise NotBuiltYet(what="A volume")
        return self._core.client("volume", "/v3", headers={"OpenStack-API-Version": "volume 3.0"})

    async def every(self, ctx: RequestContext) -> list[Record]:
        answer = await self._http.get(f"/{self.noun}s/detail", dict[str, Any], ctx=ctx)
        return list(answer[f"{self.noun}s"])

    async def one(self, ctx: RequestContext, item_id: str) -> Record:
        return dict((await self._http.get(self._path(item_id), dict[str, Any], ctx=ctx))[self.noun])

    async def create(self, ctx: RequestContext, values: Record) -> Record:
        """With what the answer leaves out as it is when it is shown."""
        body = {self.noun: {name: value for name, value in values.items() if value is not None}}
        made = await self._http.send("POST", f"/{self.noun}s", body, dict[str, Any], ctx=ctx)
        return dict(made[self.noun])

    async def delete(self, ctx: RequestContext, item_id: str) -> None:
        await self._http.request("DELETE", self._path(item_id), ctx=ctx)

    def _path(self, item_id: str) -> str:
        try:
            return f"/{self.noun}s/{UUID(item_id)}"
        except ValueError:
            raise errors.NotFound(f"{self.noun.title()} {item_id} could not be found.") from None

"""One request of an EC2 client as an action sees it: whose it is, its parameters, and the services that answer it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kilonova.core import errors
from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.service import Core
from kilonova.core.web.client import ServiceClient
from kilonova.ec2.errors import coded
from kilonova.ec2.options import Ec2Options

if TYPE_CHECKING:
    from kilonova.core.db import Database

COMPUTE_VERSION = "compute 2.96"
VOLUME_VERSION = "volume 3.60"
Params = dict[str, Any]
Result = dict[str, Any]


class Service:
    """A service's public API, on behalf of one client."""

    def __init__(self, http: ServiceClient, ctx: RequestContext) -> None:
        self._http, self._ctx = http, ctx

    async def get(self, path: str) -> Any:
        return await self._http.get(path, dict[str, Any], ctx=self._ctx)

    async def post(self, path: str, body: Any) -> Any:
        return await self._http.send("POST", path, body, Any, ctx=self._ctx)

    async def put(self, path: str, body: Any) -> Any:
        return await self._http.send("PUT", path, body, Any, ctx=self._ctx)

    async def patch(self, path: str, body: Any, kind: str = "application/json") -> Any:
        await self._http.request("PATCH", path, ctx=self._ctx, body=body, headers={"content-type": kind})

    async def delete(self, path: str) -> None:
        await self._http.request("DELETE", path, ctx=self._ctx)

    async def all(self, path: str, plural: str) -> list[dict[str, Any]]:
        """All items of a list, page by page, where the service has pages and says where the next one is."""
        return [item async for item in self._pages(path, plural)]

    async def _pages(self, path: str, plural: str) -> AsyncIterator[dict[str, Any]]:
        while True:
            page = await self.get(path)
            for item in page[plural]:
                yield item
            links = page.get(f"{plural}_links") or ()
            following = next((link["href"] for link in links if link["rel"] == "next"), page.get("next"))
            if not following or not page[plural]:
                return
            path = path.partition("?")[0] + "?" + following.partition("?")[2]


@dataclass(frozen=True)
class Cloud:
    """The other services' clients, shared by all requests."""

    compute: ServiceClient
    image: ServiceClient
    network: ServiceClient
    volume: ServiceClient
    database: Database
    clock: Clock
    region: str

    @classmethod
    def of(cls, core: Core, database: Database) -> Cloud:
        return cls(
            core.client("compute", "/v2.1", headers={"openstack-api-version": COMPUTE_VERSION}),
            core.client("image", "/v2"), core.client("network", "/v2.0"),
            core.client("volume", "/v3", headers={"openstack-api-version": VOLUME_VERSION}), database, core.clock, core.region,
        )  # fmt: skip


class Ec2Call:
    def __init__(self, cloud: Cloud, options: Ec2Options, ctx: RequestContext, params: Params) -> None:
        self.ctx, self.params, self.options, self.cloud, self.database = ctx, params, options, cloud, cloud.database
        self.compute, self.image = Service(cloud.compute, ctx), Service(cloud.image, ctx)
        self.network, self.volume = Service(cloud.network, ctx), Service(cloud.volume, ctx)

    @property
    def project_id(self) -> str:
        return self.ctx.project_id or ""

    async def user_data(self, server_id: str) -> str:
        """Of a server that the caller has seen: Amazon shows it to all of them, compute to administrators alone."""
        found = await self.cloud.compute.get(f"/servers/{server_id}", dict[str, Any], own=True)
        return found["server"].get("OS-EXT-SRV-ATTR:user_data") or ""


@contextmanager
def refused(**codes: str) -> Iterator[None]:
    """What a service refuses in EC2's words: `NotFound="InvalidKeyPair.NotFound"`, by the class of the error."""
    try:
        yield
    except errors.KilonovaError as error:
        for kind in type(error).__mro__:
            if kind.__name__ in codes:
                raise coded(codes[kind.__name__], error.message) from error
        raise

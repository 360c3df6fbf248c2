"""The only interface to image for other services."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Self
from urllib.parse import urlencode
from uuid import UUID

import msgspec

from kilonova.core import errors
from kilonova.core.context import RequestContext
from kilonova.core.service import Core
from kilonova.core.web.client import refusal
from kilonova.image.errors import ImageNotFound
from kilonova.image.resources.images.schemas import PATCH_TYPE, ImageRecord, from_flat

__all__ = ["ImageClient", "ImageRecord"]
PAGE = 1000


class ImageClient:
    """With a context that carries a token, on that caller's behalf; without one, on the component's own account."""

    def __init__(self, core: Core) -> None:
        self._http = core.client("image", "/v2", headers={"accept": "application/json"})

    def granted(self, grant: str) -> Self:
        """The same for a compute host, with the grant of one of its servers."""
        other = copy.copy(self)
        other._http = self._http.granted(grant)
        return other

    async def get(self, ctx: RequestContext | None, image_id: str) -> ImageRecord:
        """Raises ImageNotFound, also for what can't be an id."""
        path = _path(image_id)
        try:
            return from_flat(await self._http.get(path, dict[str, Any], ctx=ctx))
        except errors.NotFound as error:
            raise ImageNotFound(image_id=image_id) from error

    async def list(self, ctx: RequestContext | None, most: int | None = None, /, **filters: str) -> list[ImageRecord]:
        """The images that the caller sees and that fit the filters, named as in the API (`name`, `status`, …): all of them, or
        so many."""
        found: list[ImageRecord] = []
        query = filters | {"limit": str(min(most or PAGE, PAGE))}
        while True:
            page = await self._http.get(f"/images?{urlencode(query)}", dict[str, Any], ctx=ctx)
            found += [from_flat(item) for item in page["images"]]
            if "next" not in page or not page["images"] or (most is not None and len(found) >= most):
                return found[:most]
            query = query | {"marker": found[-1].id}

    async def download(
        self, image_id: str, ctx: RequestContext | None = None, *, offset: int = 0
    ) -> AsyncIterator[bytes]:
        """The data in pieces of at most 1 MiB. Raises ImageNotFound, or ServiceUnavailable when they end too early."""
        headers = {"range": f"bytes={offset}-"} if offset else {}
        async with self._http.open("GET", f"{_path(image_id)}/file", ctx=ctx, headers=headers) as answer:
            if answer.status == 204:
                raise errors.Conflict(f"Image {image_id} has no data")
            if answer.status >= 300:
                refused = refusal(answer.status, await answer.read())
                raise ImageNotFound(image_id=image_id) if answer.status == 404 else refused
            left = int(answer.headers["content-length"])
            async for piece in answer.chunks:
                left -= len(piece)
                yield piece
            if left:
                raise errors.ServiceUnavailable(reason=f"the data of image {image_id} ended {left} bytes too early")

    async def create(self, ctx: RequestContext | None, properties: dict[str, str], **attributes: Any) -> ImageRecord:
        """A new image without data; `attributes` are the fixed ones: name, disk_format, container_format, owner …"""
        return from_flat(await self._http.send("POST", "/images", properties | attributes, dict[str, Any], ctx=ctx))

    async def upload(
        self, ctx: RequestContext | None, image_id: str, data: AsyncIterator[bytes] | bytes, *, size: int | None = None
    ) -> None:
        """Fill a queued image; on an error it is queued again. `size` lets the service refuse early."""
        headers = {"content-type": "application/octet-stream"}
        size = len(data) if isinstance(data, bytes) else size
        if size is not None:
            headers["x-openstack-image-size"] = str(size)
        path = f"{_path(image_id)}/file"
        async with self._http.open("PUT", path, ctx=ctx, content=data, headers=headers) as answer:
            body = await answer.read()
            if answer.status >= 300:
                raise refusal(answer.status, body)

    async def update(self, ctx: RequestContext | None, image_id: str, **changes: Any) -> ImageRecord:
        """Set attributes or extra properties."""
        return await self._patch(ctx, image_id, changes)

    async def set_properties(
        self, ctx: RequestContext | None, image_id: str, changes: Mapping[str, str], remove: Iterable[str] = ()
    ) -> ImageRecord:
        """Set extra properties, and take others away, all or none."""
        return await self._patch(ctx, image_id, changes, remove)

    async def _patch(
        self, ctx: RequestContext | None, image_id: str, changes: Mapping[str, Any], remove: Iterable[str] = ()
    ) -> ImageRecord:
        body = [{"op": "add", "path": "/" + _escape(name), "value": value} for name, value in changes.items()]
        body += [{"op": "remove", "path": "/" + _escape(name)} for name in remove]
        headers = {"content-type": PATCH_TYPE}
        path = _path(image_id)
        data, _ = await self._http.request("PATCH", path, ctx=ctx, body=body, headers=headers)
        return from_flat(msgspec.json.decode(data))

    async def share(self, ctx: RequestContext | None, image_id: str, project_id: str) -> None:
        """Make a project a member of a shared image."""
        await self._http.request("POST", f"{_path(image_id)}/members", ctx=ctx, body={"member": project_id})

    async def delete(self, ctx: RequestContext | None, image_id: str) -> None:
        """Nothing happens when there is none."""
        try:
            await self._http.request("DELETE", _path(image_id), ctx=ctx)
        except errors.NotFound:
            return


def _path(image_id: str) -> str:
    """Users choose image ids in their requests: only a UUID becomes part of a path."""
    try:
        return f"/images/{UUID(image_id)}"
    except ValueError:
        raise ImageNotFound(image_id=image_id) from None


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")

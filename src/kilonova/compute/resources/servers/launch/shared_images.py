"""Looks at images, shared by launches that come at one moment with the same token."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from kilonova.compute.peers import ImageReader
from kilonova.core.batching import STUCK_AFTER, Batched
from kilonova.core.context import RequestContext
from kilonova.image.client import ImageRecord

Ask = tuple[RequestContext | None, str]


class SharedImages:
    """An ImageReader. A request begins after all callers that share it have asked, so that none sees an older state."""

    def __init__(self, images: ImageReader) -> None:
        self._images = images
        self._batched = Batched(self._get_all, stuck_after=STUCK_AFTER)

    async def get(self, ctx: RequestContext | None, image_id: str) -> ImageRecord:
        """Raises what the client behind it raises."""
        return await self._batched((ctx, image_id))

    async def _get_all(self, asked: Sequence[Ask]) -> Sequence[ImageRecord | BaseException]:
        different = {_key(ask): ask for ask in asked}
        looks = (self._images.get(ctx, image_id) for ctx, image_id in different.values())
        found = dict(zip(different, await asyncio.gather(*looks, return_exceptions=True), strict=True))
        return [found[_key(ask)] for ask in asked]


def _key(ask: Ask) -> tuple[str | None, str]:
    ctx, image_id = ask
    return (ctx.token if ctx is not None else None), image_id

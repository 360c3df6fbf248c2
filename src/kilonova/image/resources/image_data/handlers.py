"""Image data over HTTP, streamed both ways."""

from __future__ import annotations

import re

from kilonova.core.errors import Forbidden
from kilonova.core.web.call import Call, Reply
from kilonova.image import errors
from kilonova.image.resources.image_data.logic import DataLogic, Range, pieces_of
from kilonova.image.resources.images.access import fetch
from kilonova.image.resources.images.logic import may_fill

OCTETS = "application/octet-stream"
RANGE = re.compile(r"^bytes=(\d{0,19})-(\d{0,19})$")


class Data:
    def __init__(self, logic: DataLogic) -> None:
        self.logic = logic

    async def upload(self, call: Call, image_id: str) -> Reply:
        image = await fetch(call, self.logic.images, image_id, "upload_image")
        if not may_fill(call.ctx, image.id):
            raise Forbidden(action="upload_image")
        kind = call.headers.get("content-type", "").split(";")[0].strip()
        if kind != OCTETS:
            raise errors.NotOctetStream(content_type=kind)
        await self.logic.upload(image, call.stream(), _announced(call))
        return Reply()

    async def download(self, call: Call, image_id: str) -> Reply:
        image = await fetch(call, self.logic.images, image_id, "download_image")
        reader = await self.logic.open(image, is_admin=call.ctx.is_admin or call.ctx.is_host)
        if reader is None:
            return Reply(status=204)
        wanted = None
        try:
            wanted = read_range(call.headers.get("range"), reader.size)
        finally:
            if wanted is None:
                reader.close()
        headers = {"Content-Length": str(wanted.end + 1 - wanted.start), "Accept-Ranges": "bytes"}
        partial = wanted != Range(0, reader.size - 1)
        if partial:
            headers["Content-Range"] = f"bytes {wanted.start}-{wanted.end}/{reader.size}"
        elif image.checksum:
            headers["Content-MD5"] = image.checksum
        return Reply(pieces_of(reader, wanted), 206 if partial else 200, headers, OCTETS)


def _announced(call: Call) -> int | None:
    text = call.headers.get("x-openstack-image-size") or call.headers.get("content-length")
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise errors.InvalidImageSize
    return int(text)


def read_range(header: str | None, size: int) -> Range:
    """The one range asked for, else everything; raises RangeNotSatisfiable."""
    whole = Range(0, size - 1)
    if header is None or "," in header:
        return whole
    found = RANGE.match(header.strip())
    first, last = found.groups() if found else ("", "")
    if not first and not last:
        raise errors.RangeNotSatisfiable(size=size, headers={"Content-Range": f"bytes */{size}"})
    if not first:
        return Range(max(0, size - int(last)), size - 1) if int(last) else _refuse(size)
    start, end = int(first), min(int(last), size - 1) if last else size - 1
    return Range(start, end) if start <= end else _refuse(size)


def _refuse(size: int) -> Range:
    raise errors.RangeNotSatisfiable(size=size, headers={"Content-Range": f"bytes */{size}"})

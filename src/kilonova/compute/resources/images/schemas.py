"""Wire shapes of images as older clients have them from compute."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from kilonova.compute.web.fields import Link
from kilonova.compute.web.links import Links
from kilonova.core.web.wire import View


class ImageLink(View):
    """`type` is that of the image service's own link."""

    rel: str
    href: str
    type: str | UnsetType = UNSET


class ImageBrief(View):
    id: str
    name: str | None
    links: list[ImageLink]


class ImageServer(View):
    """The server that the image was made of."""

    id: str
    links: list[Link]


class ImageDetail(ImageBrief, kw_only=True):
    """Sizes: `minRam` MiB, `minDisk` GiB, `size` bytes; times are ISO text. `progress` is in per cent."""

    min_ram: int = msgspec.field(name="minRam")
    min_disk: int = msgspec.field(name="minDisk")
    metadata: dict[str, str]
    created: str
    updated: str
    status: str
    progress: int
    size: int | None = msgspec.field(name="OS-EXT-IMG-SIZE:size")
    server: ImageServer | UnsetType = UNSET
    disk_config: str | UnsetType = msgspec.field(default=UNSET, name="OS-DCF:diskConfig")


class ImageBriefs(View, kw_only=True):
    images: list[ImageBrief]
    images_links: Links = UNSET


class ImageDetails(View, kw_only=True):
    images: list[ImageDetail]
    images_links: Links = UNSET


class ImageBody(View, kw_only=True):
    image: ImageDetail

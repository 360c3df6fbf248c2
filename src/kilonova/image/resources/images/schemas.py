"""Wire shapes of images. Extra properties lie flat beside the fixed ones, so a request is a plain dict checked against
`fields.py`, and a reply is `Image` plus the properties."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from kilonova.core.web.wire import View, media

FIXED = frozenset({
    "id", "name", "status", "visibility", "owner", "protected", "os_hidden", "min_disk", "min_ram", "disk_format",
    "container_format", "size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value", "created_at", "updated_at",
    "tags",
})  # fmt: skip
LINKS = frozenset({"self", "file", "schema", "direct_url", "locations", "stores"})
READ_ONLY = (LINKS - {"locations"}) | {
    "id", "status", "size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value", "created_at", "updated_at",
}  # fmt: skip
RESERVED = frozenset({"location", "locations", "deleted", "deleted_at"})
RESERVED_PREFIX = "os_glance_"


class Image(View):
    """The fixed part of an image. Times are `2026-01-31T12:00:00Z`, sizes bytes, `min_disk` GiB, `min_ram` MiB."""

    id: str
    name: str | None
    status: str
    visibility: str
    owner: str | None
    protected: bool
    os_hidden: bool
    min_disk: int
    min_ram: int
    disk_format: str | None
    container_format: str | None
    size: int | None
    virtual_size: int | None
    checksum: str | None
    os_hash_algo: str | None
    os_hash_value: str | None
    created_at: str
    updated_at: str
    tags: list[str]


class Location(View):
    """Where data lie, for those who reach the store themselves."""

    url: str
    metadata: dict[str, str]


class ImageView(Image):
    """An image as clients see it, with its extra properties beside the attributes. `stores` names where its data lie."""

    other_fields = str

    path: str = msgspec.field(name="self")
    file: str
    schema: str
    stores: str | UnsetType = UNSET
    direct_url: str | UnsetType = UNSET
    locations: list[Location] | UnsetType = UNSET


class TaskList(View):
    """The import tasks of an image."""

    tasks: list[dict[str, str]]


class ImageList(View):
    """`first` and `next` are paths of pages."""

    images: list[ImageView]
    schema: str
    first: str
    next: str | UnsetType = UNSET


class ImageCreate(View):
    """Extra properties are text beside the attributes; `/v2/schemas/image` says what each attribute may be."""

    other_fields = str

    id: str | UnsetType = UNSET
    name: str | UnsetType | None = UNSET
    visibility: str | UnsetType = UNSET
    owner: str | UnsetType | None = UNSET
    protected: bool | UnsetType = UNSET
    os_hidden: bool | UnsetType = UNSET
    min_disk: int | UnsetType = UNSET
    min_ram: int | UnsetType = UNSET
    disk_format: str | UnsetType | None = UNSET
    container_format: str | UnsetType | None = UNSET
    tags: list[str] | UnsetType = UNSET


class PatchOperation(View):
    """`path` is the attribute's name after a slash."""

    op: Literal["add", "remove", "replace"]
    path: str
    value: Any = UNSET


class OldPatchOperation(View):
    """One of the three has the path."""

    add: str | UnsetType = UNSET
    remove: str | UnsetType = UNSET
    replace: str | UnsetType = UNSET
    value: Any = UNSET


PATCH_TYPE = "application/openstack-images-v2.1-json-patch"
OLD_PATCH_TYPE = "application/openstack-images-v2.0-json-patch"
Patch = Annotated[list[PatchOperation], media(PATCH_TYPE)]
OldPatch = Annotated[list[OldPatchOperation], media(OLD_PATCH_TYPE)]


class ImageRecord(Image):
    """An image with its extra properties, as `ImageClient` gives it."""

    properties: dict[str, str] = msgspec.field(default_factory=dict)


def flat(image: ImageRecord, store: str | None) -> dict[str, Any]:
    """The image as clients see it; `store` names the store of its data."""
    shown: dict[str, Any] = dict(image.properties)
    shown |= {name: getattr(image, name) for name in FIXED}
    if store is not None:
        shown["stores"] = store
    path = f"/v2/images/{image.id}"
    return shown | {"self": path, "file": f"{path}/file", "schema": "/v2/schemas/image"}


def from_flat(shown: dict[str, Any]) -> ImageRecord:
    """The inverse of `flat`."""
    extra = {k: v for k, v in shown.items() if k not in FIXED and k not in LINKS and isinstance(v, str)}
    return msgspec.convert({k: shown[k] for k in FIXED} | {"properties": extra}, ImageRecord)

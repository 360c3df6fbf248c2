"""Settings of the image service."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

GiB = 1 << 30


class ImageQuotas(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a project may have, by upstream's names; -1 is no limit. `image_size_total` in bytes of all its images,
    `image_count_total` images, `image_count_uploading` uploads at once."""

    image_size_total: int = 1024 * GiB
    image_count_total: int = 1000
    image_count_uploading: int = 100


class ImageOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`store` names the back end where image data lies, `store_dir` its folder (default: `images` in the state
    directory). Sizes are in bytes; `max_image_size` caps one image. `quotas` limit each project but those that `project_quotas`
    names by id with limits of their own: `[image.project_quotas.ID]`."""

    store: str = "file"
    store_dir: str | None = None
    max_image_size: Annotated[int, Meta(description="bytes of one image")] = 1024 * GiB
    disk_formats: tuple[str, ...] = (
        "ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop",
    )  # fmt: skip
    container_formats: tuple[str, ...] = ("ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed")
    limit_default: int = 25
    limit_max: int = 1000
    max_properties: Annotated[int, Meta(description="extra properties of one image")] = 128
    max_tags: Annotated[int, Meta(description="tags of one image")] = 128
    max_members: Annotated[int, Meta(description="projects that one image is shared with")] = 128
    quotas: Annotated[
        ImageQuotas, Meta(description="of a project: bytes of all its images, images, uploads at once; -1 is no limit")
    ] = msgspec.field(default_factory=ImageQuotas)
    project_quotas: Annotated[
        dict[str, ImageQuotas], Meta(description="project id → its own quotas, instead of `quotas`")
    ] = msgspec.field(default_factory=dict)

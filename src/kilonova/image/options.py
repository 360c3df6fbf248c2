"""Settings of the image service."""

from __future__ import annotations

import msgspec

GiB = 1 << 30


class ImageOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`store` names the back end where image data lies, `store_dir` its folder (default: `images` in the state
    directory). Sizes are in bytes."""

    store: str = "file"
    store_dir: str | None = None
    max_image_size: int = 1024 * GiB
    disk_formats: tuple[str, ...] = (
        "ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop",
    )  # fmt: skip
    container_formats: tuple[str, ...] = ("ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed")
    limit_default: int = 25
    limit_max: int = 1000
    max_properties: int = 128
    max_tags: int = 128
    max_members: int = 128

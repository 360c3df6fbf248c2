"""Settings of the image service."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from kilonova.core.config import doc

GiB = 1 << 30


class ImageQuotas(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a project may have, by upstream's names; -1 is no limit."""

    image_size_total: Annotated[int, doc("Bytes of all images.", ge=-1)] = 1024 * GiB
    image_count_total: Annotated[int, doc("Images.", ge=-1)] = 1000
    image_count_uploading: Annotated[int, doc("Uploads at once.", ge=-1)] = 100


class ImageOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`quotas` limit each project but those that `project_quotas` names by id."""

    store: Annotated[str, doc("Back end that stores image data: file, or rbd (Ceph: section ceph).")] = "file"
    store_dir: Annotated[str | None, doc("Folder of the store file; not set: images in the state directory.")] = None
    not_raw: Annotated[
        Literal["auto", "accept", "refuse", "convert"],
        doc(
            "Uploads of disk formats other than raw: accept, refuse, convert (to raw), or auto: refuse where servers' disks "
            "are clones of raw images, as with the store rbd."
        ),
    ] = "auto"
    show_image_direct_url: Annotated[bool, doc("Whether images show the URL of their data in the store.")] = False
    show_multiple_locations: Annotated[
        bool, doc("Whether images show `locations` to those whom the policy `get_image_location` lets see them.")
    ] = False
    max_image_size: Annotated[int, doc("Bytes of one image.", ge=1)] = 1024 * GiB
    disk_formats: Annotated[tuple[str, ...], doc("Disk formats that images may have.")] = (
        "ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop",
    )  # fmt: skip
    container_formats: Annotated[tuple[str, ...], doc("Container formats that images may have.")] = (
        "ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed",
    )  # fmt: skip
    limit_default: Annotated[int, doc("Entries of a list where the request names no limit.", ge=1)] = 25
    limit_max: Annotated[int, doc("Most entries of a list that one request gets.", ge=1)] = 1000
    max_properties: Annotated[int, doc("Extra properties of one image.", ge=0)] = 128
    max_tags: Annotated[int, doc("Tags of one image.", ge=0)] = 128
    max_members: Annotated[int, doc("Projects that one image is shared with.", ge=0)] = 128
    quotas: Annotated[ImageQuotas, doc("Default limits of a project.")] = msgspec.field(default_factory=ImageQuotas)
    project_quotas: Annotated[dict[str, ImageQuotas], doc("Project id → its own limits, instead of `quotas`.")] = (
        msgspec.field(default_factory=dict)
    )

"""Settings of the compute API, and of what all of compute's components share."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from kilonova.core.config import doc

INSTANCE_NAME = "instance-%08x"


class Quotas(msgspec.Struct, frozen=True, kw_only=True):
    """Default limits of a project; -1 is no limit."""

    instances: Annotated[int, doc("Servers.", ge=-1)] = 10
    cores: Annotated[int, doc("Virtual CPUs of all servers.", ge=-1)] = 20
    ram: Annotated[int, doc("Memory of all servers, in MiB.", ge=-1)] = 51200
    metadata_items: Annotated[int, doc("Metadata items of one server.", ge=-1)] = 128
    injected_files: Annotated[int, doc("Files that are given to one server.", ge=-1)] = 5
    injected_file_content_bytes: Annotated[int, doc("Bytes of one such file.", ge=-1)] = 10240
    injected_file_path_bytes: Annotated[int, doc("Bytes of the path of one such file.", ge=-1)] = 255
    key_pairs: Annotated[int, doc("Key pairs of one user.", ge=-1)] = 100
    server_groups: Annotated[int, doc("Server groups.", ge=-1)] = 10
    server_group_members: Annotated[int, doc("Servers of one group.", ge=-1)] = 10


class ComputeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Conductor, scheduler and compute agents take from here what they share."""

    quotas: Annotated[Quotas, doc("Default limits of a project.")] = msgspec.field(default_factory=Quotas)
    default_availability_zone: Annotated[str, doc("Zone of hosts that no aggregate puts into one.")] = "nova"
    internal_zone: Annotated[str, doc("Zone that services other than compute hosts are shown in.")] = "internal"
    service_down_time: Annotated[float, doc("Seconds after which a silent host or service is down.", gt=0)] = 60.0
    instance_name_template: Annotated[str, doc("Name of a server's guest at the hypervisor, from its number.")] = (
        INSTANCE_NAME
    )
    snapshot_image_format: Annotated[
        Literal["qcow2", "raw"],
        doc("Format of images of servers' disks: raw where the image service has the store rbd."),
    ] = "qcow2"
    allow_resize_to_same_host: Annotated[bool, doc("Whether a resized server may stay on its host.")] = False
    resize_confirm_window: Annotated[float, doc("Seconds after which a resize confirms itself; 0: never.", ge=0)] = 0.0
    password_length: Annotated[int, doc("Characters of a generated administrator's password.", ge=1)] = 12
    reclaim_instance_interval: Annotated[
        float,
        doc("Seconds for which a deleted server is kept, off, and can be restored; 0: it is deleted at once.", ge=0),
    ] = 0.0
    enable_instance_password: Annotated[
        bool, doc("Whether answers to launches and rebuilds have the administrator's password.")
    ] = True
    page_size: Annotated[int, doc("Most entries of a list that one request gets.", ge=1)] = 1000
    console_bytes: Annotated[int, doc("Most bytes of a console's log that one request gets.", ge=1)] = 102400
    max_servers_per_request: Annotated[int, doc("Most servers that one request may launch.", ge=1)] = 1000
    rescue_image_ref: Annotated[
        str, doc('Id of the image that servers are rescued with when the request names none; "": their own.')
    ] = ""
    non_inheritable_image_properties: Annotated[
        tuple[str, ...], doc("Properties of images that the images made of servers do not get.")
    ] = ("cache_in_nova", "bittorrent")
    default_flavors: Annotated[bool, doc("Whether an empty database gets the usual flavors (m1.tiny …).")] = True

    def __post_init__(self) -> None:
        try:
            names = {self.instance_name_template % number for number in (1, 2)}
        except (TypeError, ValueError) as error:
            raise ValueError(f"instance_name_template: {self.instance_name_template!r}: {error}") from None
        if len(names) < 2:
            raise ValueError(f"instance_name_template: {self.instance_name_template!r} names all guests alike")

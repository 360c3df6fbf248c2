"""What an operator may say about a back end: one Struct for each kind, found by `driver`."""

from __future__ import annotations

from typing import Annotated

import msgspec

from kilonova.core.ceph.options import CephOptions
from kilonova.core.config import doc


class FakeBackendOptions(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="driver", tag="fake"
):
    """Of volumes without data, for scale and for trying things out. An operation is a method of the driver."""

    delay: Annotated[dict[str, float], doc("Operation, or * for all → seconds it takes.")] = {}
    fail: Annotated[
        dict[str, float | str],
        doc(
            "Operation, or * for all → probability that it fails (0 to 1), or a file name pattern of the ids it fails for."
        ),
    ] = {}
    total_gb: Annotated[int, doc("Size of the pool, in GiB.", ge=0)] = 1_000_000


class LocalBackendOptions(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="driver", tag="local"
):
    """Of volumes that are files of the agent's host."""

    folder: Annotated[str, doc('Where the files are; "": a folder of the state directory.')] = ""
    address: Annotated[
        str, doc('IP address by which guests of other hosts reach the volumes; "": the host\'s own, if it has one.')
    ] = ""
    listen: Annotated[str, doc('IP address to listen on for them; "": the same.')] = ""
    first_port: Annotated[int, doc("First of the TCP ports, one for each volume that they use.", ge=1, le=65535)] = (
        61000
    )
    ports: Annotated[int, doc("How many ports there are.", ge=1)] = 4000
    remote_write_cache: Annotated[
        bool, doc("Whether what other hosts write may be lost with this host's power while it is not flushed.")
    ] = False


class IscsiBackendOptions(LocalBackendOptions, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="iscsi"):
    """Of volumes that are files of the agent's host and exported by iSCSI."""

    target_prefix: Annotated[str, doc("Begin of targets' names.")] = "iqn.2010-10.org.openstack:"


class RbdBackendOptions(
    CephOptions, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="driver", tag="rbd"
):
    """Of volumes in Ceph: the cluster, the user, and the pools of volumes and of the images that they are cloned from."""


BackendOptions = FakeBackendOptions | LocalBackendOptions | IscsiBackendOptions | RbdBackendOptions

"""How this process reaches Ceph."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from kilonova.core.config import doc


class CephOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How this process reaches Ceph: the cluster, the user, the pools."""

    conf: Annotated[Path, doc("File that says where the monitors are; guests' hypervisor reads it too.")] = Path(
        "/etc/ceph/ceph.conf"
    )
    user: Annotated[str, doc("Name of the Ceph user, without `client.`.")] = "kilonova"
    keyring: Annotated[str, doc('File with the user\'s key; "": where the conf file says.')] = ""
    timeout: Annotated[float, doc("Seconds after which a cluster that does not answer is away.", gt=0)] = 30.0
    image_pool: Annotated[str, doc("Pool of the image service's store `rbd`.")] = "images"
    volume_pool: Annotated[str, doc("Pool of volumes.")] = "volumes"
    server_pool: Annotated[str, doc("Pool of servers' disks.")] = "servers"

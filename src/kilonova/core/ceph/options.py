"""How this process reaches Ceph."""

from __future__ import annotations

import base64
import configparser
from pathlib import Path
from typing import Annotated

import msgspec

from kilonova.core.config import doc
from kilonova.core.secret import Secret

PLACES = ("/etc/ceph/ceph.client.{}.keyring", "/etc/ceph/ceph.keyring", "/etc/ceph/keyring")


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


class NoKey(Exception):
    """The user's key is not on this host."""


def key_of(options: CephOptions) -> Secret:
    """The user's key, for programs that are given it; blocking. Raises NoKey."""
    places = [options.keyring] if options.keyring else [place.format(options.user) for place in PLACES]
    for place in places:
        found = configparser.ConfigParser()
        try:
            found.read(place)
            return Secret(base64.b64decode(found[f"client.{options.user}"]["key"]))
        except (KeyError, ValueError, configparser.Error):
            continue
    raise NoKey(f"no key of Ceph's user client.{options.user} in {', '.join(places)}")

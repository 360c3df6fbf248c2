"""The volume service's client, where the cloud has that service."""

from __future__ import annotations

from kilonova.compute.volumes import VolumeAccess
from kilonova.core.service import Core
from kilonova.volume.client import VolumeClient


def volume_client(core: Core) -> VolumeAccess | None:
    return VolumeClient(core) if core.endpoints.get("volume") else None

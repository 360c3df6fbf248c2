"""The only interface to the volume service for other services."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import msgspec
from msgspec import field

from kilonova.compute.volumes import AttachmentFacts, SnapshotFacts, VolumeFacts, VolumeOrder
from kilonova.core import errors
from kilonova.core.context import RequestContext
from kilonova.core.service import Core

VERSION = {"OpenStack-API-Version": "volume 3.71"}
PAGE = 1000


class _Attached(msgspec.Struct):
    server_id: str | None


class _Volume(msgspec.Struct, kw_only=True):
    id: str
    status: str
    size: int
    bootable: str
    multiattach: bool
    encrypted: bool
    attachments: list[_Attached]
    migration_status: str | None = None
    volume_image_metadata: dict[str, str] = {}
    tenant: str = field(default="", name="os-vol-tenant-attr:tenant_id")


class _VolumeBody(msgspec.Struct):
    volume: _Volume


class _SnapshotBody(msgspec.Struct):
    snapshot: SnapshotFacts


class _Type(msgspec.Struct):
    id: str
    name: str


class _TypesBody(msgspec.Struct):
    volume_types: list[_Type]


class _Attachment(msgspec.Struct, kw_only=True):
    id: str
    status: str
    instance: str | None
    volume_id: str
    connection_info: dict[str, Any] = {}


class _AttachmentBody(msgspec.Struct):
    attachment: _Attachment


class _AttachmentsBody(msgspec.Struct):
    attachments: list[_Attachment]


class VolumeClient:
    """With a context that carries a token, on that caller's behalf; without one, on the component's own account."""

    def __init__(self, core: Core) -> None:
        self._http = core.client("volume", "/v3", headers=VERSION)

    # ---- reading

    async def volume(self, ctx: RequestContext | None, volume_id: str) -> VolumeFacts:
        """Raises NotFound."""
        return _facts((await self._http.get(f"/volumes/{volume_id}", _VolumeBody, ctx=ctx)).volume)

    async def snapshot(self, ctx: RequestContext | None, snapshot_id: str) -> SnapshotFacts:
        """Raises NotFound."""
        return (await self._http.get(f"/snapshots/{snapshot_id}", _SnapshotBody, ctx=ctx)).snapshot

    async def volume_types(self, ctx: RequestContext | None) -> list[tuple[str, str]]:
        """(id, name) of the types that the caller may use."""
        found = await self._http.get("/types?is_public=none", _TypesBody, ctx=ctx)
        return [(kind.id, kind.name) for kind in found.volume_types]

    # ---- changing

    async def order(self, wanted: VolumeOrder) -> VolumeFacts:
        """A volume for a project, by the component's own account; the same order again gives the same volume. Raises BadRequest,
        NotFound, TooLarge (over quota)."""
        given = {
            "size": wanted.size, "name": wanted.name, "imageRef": wanted.image_id, "snapshot_id": wanted.snapshot_id,
            "volume_type": wanted.volume_type, "availability_zone": wanted.availability_zone,
        }  # fmt: skip
        owner = {"id": wanted.id, "project_id": wanted.project_id, "user_id": wanted.user_id}
        body = {"volume": given, "kilonova:order": owner}
        return _facts((await self._http.send("POST", "/volumes", body, _VolumeBody)).volume)

    async def delete(self, volume_id: str) -> None:
        """Nothing happens when there is none. Raises BadRequest while it is attached, or has snapshots."""
        await self._gone(f"/volumes/{volume_id}")

    async def take_snapshot(self, ctx: RequestContext | None, volume_id: str, name: str) -> SnapshotFacts:
        """Of a volume that may be in use."""
        body = {"snapshot": {"volume_id": volume_id, "name": name}}
        return (await self._http.send("POST", "/snapshots", body, _SnapshotBody, ctx=ctx)).snapshot

    async def delete_snapshot(self, ctx: RequestContext | None, snapshot_id: str) -> None:
        """Nothing happens when there is none."""
        await self._gone(f"/snapshots/{snapshot_id}", ctx)

    # ---- attachments

    async def attachments(self, server_id: str | None = None) -> list[AttachmentFacts]:
        """Those of a server, or all."""
        query = {"all_tenants": "1", "limit": str(PAGE)} | ({"instance_id": server_id} if server_id is not None else {})
        found: list[AttachmentFacts] = []
        while True:
            page = (await self._http.get(f"/attachments/detail?{urlencode(query)}", _AttachmentsBody)).attachments
            found += map(_attachment, page)
            if len(page) < PAGE:
                return found
            query |= {"marker": page[-1].id}

    async def attach(self, volume_id: str, server_id: str, connector: dict[str, Any] | None = None) -> AttachmentFacts:
        """A new attachment; without a connector the volume is reserved. Raises NotFound, BadRequest for a volume that is not
        to be had, ServiceUnavailable while its back end is away."""
        asked = {"volume_uuid": volume_id, "instance_uuid": server_id, "connector": connector}
        return _attachment(
            (await self._http.send("POST", "/attachments", {"attachment": asked}, _AttachmentBody)).attachment
        )

    async def connect(self, attachment_id: str, connector: dict[str, Any]) -> AttachmentFacts:
        """The attachment gets the host's connector, and how the host reaches the volume."""
        body = {"attachment": {"connector": connector}}
        path = f"/attachments/{attachment_id}"
        return _attachment((await self._http.send("PUT", path, body, _AttachmentBody)).attachment)

    async def complete(self, attachment_id: str) -> None:
        """The guest has it."""
        await self._http.request("POST", f"/attachments/{attachment_id}/action", body={"os-complete": {}})

    async def detach(self, attachment_id: str) -> None:
        """Nothing happens when there is none."""
        await self._gone(f"/attachments/{attachment_id}")

    async def _gone(self, path: str, ctx: RequestContext | None = None) -> None:
        try:
            await self._http.request("DELETE", path, ctx=ctx)
        except errors.NotFound:
            return


def _facts(volume: _Volume) -> VolumeFacts:
    return VolumeFacts(
        id=volume.id, status=volume.status, size=volume.size, project_id=volume.tenant, bootable=volume.bootable == "true",
        multiattach=volume.multiattach, encrypted=volume.encrypted, migrating=bool(volume.migration_status),
        image=volume.volume_image_metadata,
        attached_to=[held.server_id for held in volume.attachments if held.server_id is not None],
    )  # fmt: skip


def _attachment(found: _Attachment) -> AttachmentFacts:
    """Upstream's API has what is under `data` beside the type: here it is as drivers gave it."""
    info = {key: value for key, value in found.connection_info.items() if key != "attachment_id"}
    kind = info.pop("driver_volume_type", None)
    return AttachmentFacts(
        id=found.id, volume_id=found.volume_id, server_id=found.instance or "", status=found.status,
        connection={"driver_volume_type": kind, "data": info} if kind else {},
    )  # fmt: skip

"""Volumes as clients see them."""

from __future__ import annotations

from msgspec import UNSET

from kilonova.core.web.call import Call
from kilonova.volume.resources.base import links, owned
from kilonova.volume.resources.volumes import schemas as shapes
from kilonova.volume.resources.volumes.logic import Known
from kilonova.volume.resources.volumes.policies import HOST, MIGRATION, TENANT
from kilonova.volume.store.attachments import AttachmentRow
from kilonova.volume.times import shown

USED = ("attached", "attaching", "detaching")


def brief(call: Call, known: Known) -> shapes.VolumeBrief:
    row = known.row
    return shapes.VolumeBrief(id=row.id, name=row.name, links=links(call, "volumes", row.id))


def full(call: Call, known: Known, *, extended: bool = True) -> shapes.VolumeView:
    """What creates and changes a volume answers without the `extended` attributes."""
    row, target = known.row, owned(known.row)
    sees_host = call.allowed(HOST, target)
    view = shapes.VolumeView(
        id=row.id, name=row.name, links=links(call, "volumes", row.id), description=row.description, size=row.size,
        status=row.status, created_at=shown(row.created_at) or "", updated_at=shown(row.updated_at),
        availability_zone=row.availability_zone, bootable="true" if row.bootable else "false", encrypted=bool(row.encrypted),
        multiattach=bool(row.multiattach), volume_type=known.type.name if known.type else None, volume_type_id=row.type_id,
        snapshot_id=row.snapshot_id, source_volid=row.source_volid, user_id=row.user_id, replication_status=None,
        consistencygroup_id=None, group_id=row.group_id, metadata=known.metadata,
        attachments=[_attached(item, sees_host) for item in known.attachments if item.status in USED],
        volume_image_metadata=known.image or UNSET, service_uuid=known.service_uuid,
    )  # fmt: skip
    if not extended:
        view.volume_image_metadata = UNSET
        return view
    if sees_host:
        view.host, view.provider_id, view.cluster_name = row.host, None, None
    if call.allowed(TENANT, target):
        view.tenant = row.project_id
    if call.allowed(MIGRATION, target):
        view.migration_status = view.migstat = row.migration_status
        view.name_id = None
    return view


def _attached(item: AttachmentRow, sees_host: bool) -> shapes.AttachedView:
    return shapes.AttachedView(
        id=item.volume_id, attachment_id=item.id, volume_id=item.volume_id, server_id=item.instance_id,
        host_name=item.host if sees_host else None, device=item.mountpoint, attached_at=shown(item.attached_at),
    )  # fmt: skip

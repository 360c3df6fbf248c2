"""What compute knows of volumes, and what it asks of the volume service: that service's client implements it, and so do the stubs
of tests."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from kilonova.core.context import RequestContext


class VolumeFacts(msgspec.Struct, kw_only=True):
    """A volume as a caller sees it; `size` in GiB. `image` is what is known of the image that it was made of: its properties,
    with min_ram, min_disk and its formats. `attached_to`: ids of servers."""

    id: str
    status: str
    size: int
    project_id: str = ""
    bootable: bool = False
    multiattach: bool = False
    encrypted: bool = False
    migrating: bool = False
    image: dict[str, str] = {}
    attached_to: list[str] = []


class SnapshotFacts(msgspec.Struct, kw_only=True):
    id: str
    volume_id: str
    status: str
    size: int


class AttachmentFacts(msgspec.Struct, kw_only=True):
    """`connection` is what a host opens the volume with (Cinder's connection_info); {} until there is a connector."""

    id: str
    volume_id: str
    server_id: str
    status: str = "reserved"
    connection: dict[str, Any] = {}


class VolumeOrder(msgspec.Struct, kw_only=True):
    """A volume to make for a project. Repeating the order with the same id gives the same volume."""

    id: str
    project_id: str
    user_id: str
    size: int
    name: str = ""
    image_id: str | None = None
    snapshot_id: str | None = None
    volume_type: str | None = None
    availability_zone: str | None = None


class VolumeReader(Protocol):
    """With a context that carries a token, on that caller's behalf; without one, on the component's own account."""

    async def volume(self, ctx: RequestContext | None, volume_id: str) -> VolumeFacts:
        """Raises NotFound."""

    async def snapshot(self, ctx: RequestContext | None, snapshot_id: str) -> SnapshotFacts:
        """Raises NotFound."""

    async def volume_types(self, ctx: RequestContext | None) -> list[tuple[str, str]]:
        """(id, name) of the types that the caller may use."""


class VolumeAccess(VolumeReader, Protocol):
    """What the control plane does with volumes, on its own account."""

    async def order(self, wanted: VolumeOrder) -> VolumeFacts: ...
    async def delete(self, volume_id: str) -> None:
        """Nothing happens when there is none."""

    async def attachments(self, server_id: str | None = None) -> list[AttachmentFacts]:
        """Those of a server, or all."""

    async def attach(self, volume_id: str, server_id: str, connector: dict[str, Any] | None = None) -> AttachmentFacts:
        """A new attachment; without a connector the volume is reserved. Raises BadRequest for a volume that is not to be had."""

    async def connect(self, attachment_id: str, connector: dict[str, Any]) -> AttachmentFacts:
        """The attachment gets the host's connector, and how the host reaches the volume."""

    async def complete(self, attachment_id: str) -> None:
        """The guest has it."""

    async def detach(self, attachment_id: str) -> None:
        """Nothing happens when there is none."""

    async def take_snapshot(self, ctx: RequestContext, volume_id: str, name: str) -> SnapshotFacts:
        """Of a volume that may be in use."""

    async def delete_snapshot(self, ctx: RequestContext, snapshot_id: str) -> None:
        """Nothing happens when there is none."""

"""What the volume agent asks of a back end: the driver interface and its typed parts.

A back end is a subclass of `VolumeDriver` and a line in `kilonova.volume.backends.registry`; it passes
`tests/unit/volume/backends/conformance.py`.

All methods are coroutines; a driver moves blocking calls to threads itself. Each is idempotent: doing it twice is as doing it
once, also after a crash in the middle. Ids are uuids and the only keys; sizes are GiB.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

import msgspec

from kilonova.core.secret import Secret

Open = Callable[[], AsyncIterator[bytes]]
"""Begins to read bytes from their start."""


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """Of a back end's one pool. `provisioned_gb`: the sizes of all its volumes together, which thin ones do not use up."""

    total_gb: float
    free_gb: float
    provisioned_gb: float = 0.0
    thin: bool = True
    protocol: str = ""  # storage_protocol: nbd, ceph, iSCSI, fake
    multiattach: bool = False


class VolumeImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image that a volume is made of, as the image service describes it. Sizes: `size` bytes, `min_disk` GiB. `open` reads its
    bytes, which the back end checks; one that finds it at one of the `locations` (URLs) may clone it there."""

    id: str
    disk_format: str  # raw, qcow2, iso …
    size: int
    hash_algo: str | None  # sha512
    hash_value: str | None
    open: Open
    container_format: str = "bare"
    min_disk: int = 0
    locations: tuple[str, ...] = ()


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """A volume's bytes in one of the image formats; `size` in bytes."""

    size: int
    open: Open


class Connector(msgspec.Struct, frozen=True, kw_only=True):
    """The host that is going to use a volume, as the attachments API has it; keys that are not named here are ignored."""

    host: str
    ip: str = ""
    initiator: str = ""  # iSCSI's name of the host
    mode: str = "rw"  # rw | ro


class ConnectionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """How a guest reaches a volume, in Cinder's form. `data` may hold secrets: it is for compute hosts alone, never for logs.

    nbd: `export`, and `socket` (a path on the volume's host) or `host`, `port`, `user` and `psk` (TLS with a pre-shared key, in
    hex).
    """

    driver_volume_type: str  # nbd, rbd, iscsi, fake
    data: dict[str, Any]

    def __repr__(self) -> str:
        return f"ConnectionInfo({self.driver_volume_type})"


class StoredVolume(msgspec.Struct, frozen=True, kw_only=True):
    """What a back end has of a volume, for `kilonova verify`. `size_gb` rounded up; ids of its snapshots; ids of the attachments
    that it is exported for."""

    id: str
    size_gb: int
    snapshots: tuple[str, ...] = ()
    attachments: tuple[str, ...] = ()


class VolumeDriver(ABC):
    """One back end of one volume agent. Its errors are those of `backends/errors.py`.

    A `key` is the passphrase of a volume that is encrypted (LUKS): the guest's host decrypts, so that neither the medium nor the
    network has plain text. Copies of a volume or a snapshot have its key."""

    name: ClassVar[str]

    @abstractmethod
    async def start(self) -> None:
        """Check that the back end can work and bring back exports that were there before; raises BackendAway with advice."""

    @abstractmethod
    async def stop(self) -> None:
        """Let go of connections; exports go on, as guests do."""

    @abstractmethod
    async def capacity(self) -> Capacity: ...

    @abstractmethod
    async def create(self, volume_id: str, size_gb: int, *, key: Secret | None = None) -> None:
        """An empty volume. One that is there stays as it is."""

    @abstractmethod
    async def create_from_image(
        self, volume_id: str, size_gb: int, image: VolumeImage, *, key: Secret | None = None
    ) -> None:
        """A volume that begins with the image's content. Raises ImageRefused also where the image is larger."""

    @abstractmethod
    async def clone(self, volume_id: str, size_gb: int, source_id: str) -> None:
        """A volume with the content that another one, which may be attached, has now; not smaller than it. The two are
        independent: either may be deleted."""

    @abstractmethod
    async def create_from_snapshot(self, volume_id: str, size_gb: int, snapshot_id: str, source_id: str) -> None:
        """The same, with the content of a snapshot of the volume `source_id`."""

    @abstractmethod
    async def delete(self, volume_id: str) -> None:
        """Nothing happens when there is none. Raises VolumeBusy while it is exported or has snapshots."""

    @abstractmethod
    async def extend(self, volume_id: str, size_gb: int) -> None:
        """Nothing happens when it is as large already. It may be attached: compute tells the guest afterwards."""

    @abstractmethod
    async def snapshot(self, snapshot_id: str, volume_id: str) -> None:
        """Keep what the volume has at one moment; it may be attached."""

    @abstractmethod
    async def delete_snapshot(self, snapshot_id: str, volume_id: str) -> None:
        """Nothing happens when there is none."""

    @abstractmethod
    async def revert(self, volume_id: str, snapshot_id: str) -> None:
        """The volume has the snapshot's content again, and its own size. Raises VolumeBusy while it is exported."""

    @abstractmethod
    def export(self, volume_id: str, disk_format: str) -> AbstractAsyncContextManager[Export]:
        """The volume's bytes as an image of this format (raw or qcow2) until the block ends; raises NotSupported for others."""

    @abstractmethod
    async def connect(self, volume_id: str, attachment_id: str, connector: Connector) -> ConnectionInfo:
        """Let this host use the volume, for this attachment. A repeated call answers the same."""

    @abstractmethod
    async def disconnect(self, volume_id: str, attachment_id: str) -> None:
        """What the attachment was given is void from now on; nothing happens when it was given nothing."""

    @abstractmethod
    async def volumes(self) -> list[StoredVolume]:
        """All that is there, also what no one knows of."""

    async def clean(self) -> None:
        """What it keeps on this host goes, volumes too (for `kilonova clean`)."""
        return

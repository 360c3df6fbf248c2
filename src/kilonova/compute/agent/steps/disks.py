"""Steps 12–14: volumes, the root disk from the image, and personalisation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

import msgspec

from kilonova.compute import models
from kilonova.compute.agent.reasons import Explained
from kilonova.compute.agent.runner import Operation, OperationStep
from kilonova.compute.agent.volumes import connected, disconnect, volume_disk
from kilonova.compute.device_names import CONFIG_DRIVE, NAMES, ROOT
from kilonova.compute.guest_facts import facts_of
from kilonova.compute.virt.block import BlockSource
from kilonova.compute.virt.disks import BaseImage, InjectedFile
from kilonova.compute.virt.driver import GuestDisk
from kilonova.compute.virt.personalise import config_drive_tree, injection_files
from kilonova.core.block.images import ImageSource

MIB_PER_GIB = 1024
KEYS = "/root/.ssh/authorized_keys"


class BlockDeviceMapping(OperationStep):
    """The volumes are connected to this host; local disks belong to step 13."""

    async def do(self, operation: Operation) -> None:
        await connected(operation)

    async def undo(self, operation: Operation) -> None:
        if operation.origin.is_new:
            await disconnect(operation)


EPHEMERAL = "disk.eph0"


class Wipe(OperationStep):
    """The old disks are gone; the ephemeral one stays where the request said so."""

    async def do(self, operation: Operation) -> None:
        await _wipe(operation)


async def _wipe(operation: Operation) -> None:
    kept = [EPHEMERAL] if operation.build.spec.preserve_ephemeral else []
    await operation.host.driver.disks.wipe(operation.uuid, keep=kept)


class Image(OperationStep):
    async def do(self, operation: Operation) -> None:
        spec = operation.build.spec
        if spec.image is None:
            raise Explained("the server has no image")
        if operation.origin.move is None and operation.origin.has_old_disks:
            await operation.host.driver.disks.put_back(operation.uuid)  # of a move that was cut off
        store, uuid = operation.host.driver.disks, operation.uuid
        volumes = await connected(operation)
        bus = spec.image.properties.get("hw_disk_bus") or "virtio"
        if spec.volume_backed:
            operation.disks = [_root_volume(volumes, bus)]
        else:
            root = await self._root(operation, spec.image)
            operation.disks = [GuestDisk(source=root, target=ROOT, boot_index=1, bus=bus)]
        await self._add_blanks(operation)
        operation.disks += [volume_disk(volume, bus) for volume in volumes if volume.boot_index != 0]
        if spec.image.kernel is not None:
            operation.kernel = await store.kernel(uuid, "kernel", await fetch(operation, spec.image.kernel))
        if spec.image.ramdisk is not None:
            operation.initrd = await store.kernel(uuid, "ramdisk", await fetch(operation, spec.image.ramdisk))

    @staticmethod
    async def _root(operation: Operation, image: models.Image) -> BlockSource:
        """An overlay of the server's image, or, of a server that comes back from an image of its disk, a disk of its own."""
        spec, store, uuid = operation.build.spec, operation.host.driver.disks, operation.uuid
        held = operation.origin.has_old_disks or spec.disk_from is not None
        root = await store.own_root(uuid, size_gb=spec.flavor.root_gb) if held else None
        if root is None and spec.disk_from is not None:
            base = await fetch(operation, spec.disk_from)
            root = await store.full_root(uuid, base, size_gb=spec.flavor.root_gb)
        if root is not None:
            return root
        operation.base = await fetch(operation, image)
        return await store.overlay(uuid, operation.base, size_gb=spec.flavor.root_gb)

    async def undo(self, operation: Operation) -> None:
        """Of a rebuild, the ephemeral disk that was to be kept is."""
        origin = operation.origin
        if not origin.has_old_disks:
            await (operation.host.driver.disks.remove(operation.uuid) if origin.is_new else _wipe(operation))

    async def _add_blanks(self, operation: Operation) -> None:
        """Ephemeral disks and swap."""
        spec, store, uuid = operation.build.spec, operation.host.driver.disks, operation.uuid
        own = [models.Ephemeral()] if spec.flavor.ephemeral_gb else []
        for number, wanted in enumerate(own if spec.ephemerals is None else spec.ephemerals):
            size = wanted.size_gb or spec.flavor.ephemeral_gb
            made = await store.blank(uuid, f"disk.eph{number}", size_gb=size, filesystem=wanted.format or "ext4")
            self._add(operation, made)
        if swap := spec.flavor.swap_mb if spec.swap_mb is None else spec.swap_mb:
            self._add(operation, await store.blank(uuid, "disk.swap", size_gb=swap / MIB_PER_GIB, filesystem="swap"))

    @staticmethod
    def _add(operation: Operation, source: BlockSource) -> None:
        target = NAMES[len(operation.disks)]
        operation.disks.append(GuestDisk(source=source, target=target, bus=operation.disks[0].bus))


def _root_volume(volumes: Sequence[models.ConnectedVolume], bus: str) -> GuestDisk:
    for volume in volumes:
        if volume.boot_index == 0:
            return volume_disk(volume, bus)
    raise Explained("the volume that the server boots from is not there")


async def fetch(operation: Operation, image: models.Image) -> BaseImage:
    """An image of the server, in the host's cache."""
    source = ImageSource(
        id=image.id,
        disk_format=image.disk_format or "raw",
        container_format=image.container_format or "bare",
        size=image.size,
        hash_algo=image.hash_algo,
        hash_value=image.hash_value,
        min_disk=image.min_disk,
    )
    store = operation.host.driver.disks
    return await operation.host.ask_service(
        lambda: store.fetch(source, _download(operation, image.id)), server=operation.uuid
    )


def _download(operation: Operation, image_id: str) -> Callable[[], AsyncIterator[bytes]]:
    return lambda: operation.host.image.granted(operation.build.grant).download(image_id)


class Personalise(OperationStep):
    """Config drive when asked for, files into the disk when the host is set to. The metadata service needs nothing here."""

    async def do(self, operation: Operation) -> None:
        host, build = operation.host, operation.build
        wanted = build.server.config_drive or host.options.force_config_drive
        if not wanted and not (host.options.inject and not operation.origin.has_old_disks):
            return
        facts = facts_of(build, operation.vifs, _tagged(operation), domain=host.options.dhcp_domain)
        store = host.driver.disks
        if wanted:
            drive = await store.config_drive(operation.uuid, config_drive_tree(facts))
            operation.disks.append(GuestDisk(source=drive, target=CONFIG_DRIVE, readonly=True))
        if host.options.inject and not operation.origin.has_old_disks and not build.spec.volume_backed:
            root = operation.disks[0].source
            files = injection_files(facts)
            held = await store.read(root, KEYS)
            await store.inject(root, [_added(file, held) for file in files])


def _tagged(operation: Operation) -> list[models.TaggedVolume]:
    return [
        models.TaggedVolume(volume_id=volume.volume_id, name=volume.name, tag=volume.tag)
        for volume in operation.volumes or ()
        if volume.tag
    ]


def _added(file: InjectedFile, held: bytes | None) -> InjectedFile:
    """Keys that the image brought stay."""
    if file.path != KEYS or not held or file.content.strip() in held:
        return file
    return msgspec.structs.replace(file, content=held.rstrip(b"\n") + b"\n" + file.content)

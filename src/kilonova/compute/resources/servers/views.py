"""Servers as clients see them."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

from msgspec import UNSET

from kilonova.compute.resources.servers import view_schemas as shapes
from kilonova.compute.resources.servers.logic import Extras
from kilonova.compute.states import Vm, status
from kilonova.compute.store.faults import FaultRow
from kilonova.compute.store.servers import ServerKey, ServerRow
from kilonova.compute.times import shown, shown_bare
from kilonova.compute.web.fields import Link
from kilonova.compute.web.links import bookmark, links, root
from kilonova.compute.web.query import at_least
from kilonova.core.web.call import Call

PROGRESS = frozenset(["ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING"])
FAULTY = frozenset(["ERROR", "DELETED"])
IMAGE_PROPERTIES = ("hw_", "os_", "img_", "traits:", "cinder_img_")
ADMIN_ATTRIBUTES = "os_compute_api:os-extended-server-attributes"
HOST_STATUS = "os_compute_api:servers:show:host_status"
EXTRA_SPECS = "os_compute_api:servers:show:flavor-extra-specs"


class ServerViews:
    """What one caller may see, at its version, of any number of servers."""

    def __init__(self, call: Call, *, instance_name: str) -> None:
        """`instance_name` is the template of guests' names."""
        self.call, self.instance_name = call, instance_name
        self.attributes = call.allowed(ADMIN_ATTRIBUTES)
        self.host_status = at_least(call, "2.16") and call.allowed(HOST_STATUS)
        self.extra_specs = at_least(call, "2.47") and call.allowed(EXTRA_SPECS)
        self.hostname = at_least(call, "2.90")
        self.needs_spec = self.attributes or at_least(call, "2.96")
        self.eyes = (
            call.version, call.base_url + root(call), call.ctx.is_admin, self.attributes, self.host_status, self.extra_specs
        )  # fmt: skip
        """All that decides what the caller sees of a server."""
        self._bookmarks: dict[tuple[str, str], list[Link]] = {}  # many servers have the same image and flavor

    def brief(self, row: ServerKey) -> shapes.Brief:
        return shapes.Brief(id=row.uuid, name=row.name, links=links(self.call, "servers", row.uuid))

    def detail(self, row: ServerRow, extras: Extras, *, one: bool = True, full: bool = True) -> shapes.ServerView:
        """`one`: not part of a list; `full` False: without the fields that answers to PUT had not before 2.75."""
        state = status(row.vm_state, row.task_state)
        view = shapes.ServerView(
            id=row.uuid, name=row.name, status=state, tenant_id=row.project_id, user_id=row.user_id,
            metadata=row.metadata, host_id=host_id(row.project_id, row.host), image=self._image(row, extras),
            flavor_link=self._flavor_link(row), flavor=self._flavor(row), created=shown(row.created_at) or "",
            updated=shown(row.updated_at or row.created_at) or "", addresses=addresses(row, extended=full),
            access_ip_v4=row.access_ip_v4 or "", access_ip_v6=row.access_ip_v6 or "",
            links=links(self.call, "servers", row.uuid), disk_config=row.disk_config,
            locked=row.locked_by is not None, description=row.description, tags=row.tags,
            trusted_image_certificates=row.trusted_image_certificates, locked_reason=row.locked_reason,
        )  # fmt: skip
        if state in PROGRESS:
            view.progress = row.progress
        if state in FAULTY and row.uuid in extras.faults:
            view.fault = self._fault(extras.faults[row.uuid])
        if one:
            view.server_groups = [row.server_group_id] if row.server_group_id else []
        if full:
            self._add_rest(view, row, extras)
        return view

    def _add_rest(self, view: shapes.ServerView, row: ServerRow, extras: Extras) -> None:
        spec = extras.specs.get(row.uuid)
        view.availability_zone = row.availability_zone or ""
        view.config_drive = "True" if row.config_drive else ""
        view.key_name = row.key_name
        view.launched_at, view.terminated_at = shown_bare(row.launched_at), shown_bare(row.terminated_at)
        if row.security_groups:
            view.security_groups = [shapes.GroupName(name=name) for name in row.security_groups]
        view.task_state, view.vm_state, view.power_state = row.task_state, row.vm_state, row.power_state
        view.volumes_attached = [
            shapes.VolumeAttached(id=device.volume_id, delete_on_termination=device.delete_on_termination)
            for device in extras.devices.get(row.uuid, ())
        ]
        if self.attributes:
            self._add_attributes(view, row, spec)
        elif self.hostname:
            view.hostname = row.hostname
        if self.host_status:
            view.host_status = extras.host_status.get(row.host, "") if row.host else ""
        if spec is not None:
            view.pinned_availability_zone, view.scheduler_hints = spec.availability_zone, dict(spec.scheduler_hints)

    def _add_attributes(self, view: shapes.ServerView, row: ServerRow, spec: Any) -> None:
        image = spec.image if spec is not None else None
        view.host, view.hypervisor_hostname = row.host, row.node
        view.instance_name = self.instance_name % row.id
        view.hostname, view.launch_index, view.reservation_id = row.hostname, row.launch_index, row.reservation_id
        view.kernel_id = image.kernel.id if image is not None and image.kernel is not None else ""
        view.ramdisk_id = image.ramdisk.id if image is not None and image.ramdisk is not None else ""
        view.root_device_name = "/dev/vda"
        view.user_data = getattr(row, "user_data", None)

    def _image(self, row: ServerRow, extras: Extras) -> shapes.ImageLink | str:
        if not row.image_id:
            return ""
        spec = extras.specs.get(row.uuid)
        properties = spec.image.properties if spec is not None and spec.image is not None else {}
        return shapes.ImageLink(
            id=row.image_id, links=self._bookmark("images", row.image_id),
            properties={k: v for k, v in properties.items() if k.startswith(IMAGE_PROPERTIES)},
        )  # fmt: skip

    def _flavor_link(self, row: ServerRow) -> shapes.FlavorLink:
        flavor_id = row.flavor["id"]
        return shapes.FlavorLink(id=flavor_id, links=self._bookmark("flavors", flavor_id))

    def _bookmark(self, collection: str, item: str) -> list[Link]:
        known = self._bookmarks.get((collection, item))
        if known is None:
            known = self._bookmarks[collection, item] = bookmark(self.call, collection, item)
        return known

    def _flavor(self, row: ServerRow) -> shapes.FlavorInside:
        flavor = row.flavor
        return shapes.FlavorInside(
            vcpus=flavor["vcpus"], ram=flavor["memory_mb"], disk=flavor["root_gb"],
            ephemeral=flavor.get("ephemeral_gb", 0), swap=flavor.get("swap_mb", 0), original_name=flavor["name"],
            extra_specs=flavor.get("extra_specs", {}) if self.extra_specs else UNSET,
        )  # fmt: skip

    def _fault(self, row: FaultRow) -> shapes.FaultView:
        view = shapes.FaultView(code=row.code, created=shown(row.created_at) or "", message=row.message)
        if row.details and (self.call.ctx.is_admin or row.code != 500):
            view.details = row.details
        return view


@lru_cache(4096)
def host_id(project_id: str, host: str | None) -> str:
    """The same for servers of a project on the same host; it shows nothing else about the host."""
    return hashlib.sha224(f"{project_id}{host}".encode()).hexdigest() if host else ""


def addresses(row: ServerRow, *, extended: bool = True) -> dict[str, list[shapes.Address]]:
    """Network name → addresses; nothing while the server is building."""
    found: dict[str, list[shapes.Address]] = {}
    if row.vm_state == Vm.BUILDING:
        return found
    for vif in row.network_info:
        shown_ips = found.setdefault(vif["network_name"], [])
        for fixed in vif.get("fixed_ips", ()):
            every = [(fixed["address"], "fixed"), *((ip, "floating") for ip in fixed.get("floating_ips", ()))]
            for address, kind in every:
                item = shapes.Address(version=6 if ":" in address else 4, addr=address)
                if extended:
                    item.type, item.mac_address = kind, vif["mac_address"]
                shown_ips.append(item)
    return found

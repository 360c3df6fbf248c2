"""What the image needs of the hypervisor: architecture, type, version, mode, firmware."""

from __future__ import annotations

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.filters.base import Filter
from kilonova.compute.scheduler.request import FilterRequest
from kilonova.compute.scheduler.versions import satisfies

NAMES = (("hw_architecture", "architecture"), ("img_hv_type", "hypervisor_type"), ("hw_vm_mode", "vm_mode"))
FIRMWARE = "hw_firmware_type"
VERSION = ("img_hv_requested_version", "hypervisor_version_requires")
ALIASES = {"amd64": "x86_64", "x86-64": "x86_64", "i386": "i686", "i586": "i686", "arm64": "aarch64", "pv": "xen",
           "hv": "hvm"}  # fmt: skip


class ImagePropertiesFilter(Filter):
    name = "ImagePropertiesFilter"

    def applies(self, request: FilterRequest) -> bool:
        held = request.image_properties
        return any(name in held for names in (*NAMES, VERSION, (FIRMWARE,)) for name in names)

    def passes(self, host: HostState, request: FilterRequest) -> str | None:
        held = request.image_properties
        wanted = [_plain(held.get(new) or held.get(old) or "") for new, old in NAMES]
        if any(wanted) and not any(_fits(wanted, supported) for supported in host.facts.supported):
            return f"no support for {' '.join(filter(None, wanted))}"
        requires = held.get(VERSION[0]) or held.get(VERSION[1]) or ""
        if requires and not satisfies(host.hypervisor_version, requires):
            return f"hypervisor version {host.hypervisor_version}, wanted {requires[:60]}"
        firmware, known = held.get(FIRMWARE), host.facts.firmware
        return f"no {firmware[:20]} firmware" if firmware and known is not None and firmware not in known else None


def _plain(value: str) -> str:
    return ALIASES.get(value.strip().lower(), value.strip().lower())


def _fits(wanted: list[str], supported: tuple[str, str, str]) -> bool:
    return all(not want or want == _plain(have) for want, have in zip(wanted, supported, strict=True))

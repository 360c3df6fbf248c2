"""The catalogue of image properties and of flavors' extra specs: their values, and which of them this cloud can give.

Names and values are upstream's. What is in here with a value that it does not know, or that takes no effect here, keeps a server
from being launched: nothing that was asked for is passed over in silence. Names that are not in here are the user's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

ON, OFF = ("true", "1", "yes", "on"), ("false", "0", "no", "off")
SHORT = {"t": "true", "y": "true", "f": "false", "n": "false"}


class Property(msgspec.Struct, frozen=True):
    """`values` are all there are, or a `pattern` fits them, and `words` say so. `served` are those that take effect; None: all.
    Where `folded`, upper case is lower case; `older` are other words for values, in lower case."""

    values: tuple[str, ...] = ()
    pattern: str = ""
    words: str = ""
    served: tuple[str, ...] | None = None
    folded: bool = False
    older: Mapping[str, str] = {}

    def plain(self, value: str) -> str:
        """A value as it is in this table."""
        text = value.lower() if self.folded else value
        return self.older.get(text, text)

    def fault(self, value: str) -> str | None:
        """What is wrong with a value that was given; None for nothing."""
        text = self.plain(value)
        if not (text in self.values if self.values else re.fullmatch(self.pattern, text)):
            return f"is {value[:60]!r}; allowed are {self.words or ', '.join(self.values)}"
        if self.served is not None and text not in self.served:
            gives = f"; it has {', '.join(self.served)}" if self.served else ""
            return f"is {value[:60]!r}, which this cloud does not have{gives}"
        return None


def one_of(*values: str, served: tuple[str, ...] | None = None) -> Property:
    return Property(values=values, served=served)


def folded(*values: str, served: tuple[str, ...] | None = None, older: Mapping[str, str] | None = None) -> Property:
    return Property(values=values, served=served, folded=True, older=older or {})


def flag(served: tuple[str, ...] | None = None) -> Property:
    return Property(values=ON + OFF, served=served, folded=True, older=SHORT)


def number(served: tuple[str, ...] | None = None) -> Property:
    return Property(pattern=r"[0-9]{1,9}", words="whole numbers", served=served)


def text(served: tuple[str, ...] | None = None, *, pattern: str = r"[^\x00-\x1f\x7f]*", words: str = "") -> Property:
    return Property(pattern=pattern, words=words or "texts without control characters", served=served)


NONE: tuple[str, ...] = ()
BUSES = ("fdc", "ide", "sata", "scsi", "usb", "virtio", "xen", "lxc", "uml")
ARCHITECTURES = (
    "alpha", "armv6", "armv7l", "armv7b", "aarch64", "cris", "i686", "ia64", "lm32", "m68k", "microblaze", "microblazeel",
    "mips", "mipsel", "mips64", "mips64el", "openrisc", "parisc", "parisc64", "ppc", "ppcle", "ppc64", "ppc64le", "ppcemb",
    "s390", "s390x", "sh4", "sh4eb", "sparc", "sparc64", "unicore32", "x86_64", "xtensa", "xtensaeb",
    "i386", "i486", "i586", "x86_32", "amd64", "x86-64", "arm64",
)  # fmt: skip
HYPERVISORS = (
    "baremetal", "bhyve", "docker", "fake", "hyperv", "ironic", "kqemu", "kvm", "lxc", "lxd", "openvz", "parallels", "vz",
    "phyp", "qemu", "test", "uml", "vbox", "vmware", "xen", "xapi", "zvm", "prsm",
)  # fmt: skip
OLD_NICS = {
    "virtuale1000": "e1000", "virtuale1000e": "e1000e", "virtualpcnet32": "pcnet", "virtualsriovethernetcard": "sriov",
    "virtualvmxnet": "vmxnet", "virtualvmxnet3": "vmxnet3",
}  # fmt: skip
_ALIAS = r"[^:,\s][^:,]*:[0-9]{1,9}"  # begins and ends with what is in no gap: a text is read in one way alone
PAGES = text(
    ("small", "any"), pattern=r"(large|small|any|[0-9]+([kKMGT]i?)?(b|bit|B)?)", words="small, large, any or a size"
)
_ONE = r"\s?(>=|<=|==|!=|>|<|=)?\s?[0-9]{1,6}(\.[0-9]{1,6}){0,2}\s?"
VERSIONS = text(
    pattern=rf"{_ONE}(,{_ONE}){{0,9}}", words="up to ten versions such as >=6.0,<8"
)  # each host is compared

HARDWARE: dict[str, Property] = {  # what both images (hw_…) and flavors (hw:…) may ask of a guest
    "boot_menu": flag(),
    "cpu_cores": number(("1",)),  # guests have one core a socket and one thread a core
    "cpu_max_cores": number(),
    "cpu_max_sockets": number(NONE),
    "cpu_max_threads": number(),
    "cpu_policy": one_of("dedicated", "shared", "mixed", served=("shared",)),
    "cpu_realtime_mask": text(NONE),
    "cpu_sockets": number(NONE),
    "cpu_thread_policy": one_of("prefer", "isolate", "require", served=("prefer",)),
    "cpu_threads": number(("1",)),
    "ephemeral_encryption": flag(OFF),
    "ephemeral_encryption_format": one_of("plain", "luks", "luksv2", served=NONE),
    "locked_memory": flag(OFF),
    "maxphysaddr_bits": number(NONE),
    "maxphysaddr_mode": one_of("passthrough", "emulate", served=NONE),
    "mem_encryption": flag(OFF),
    "mem_encryption_model": one_of("amd-sev", "amd-sev-es", "amd-sev-snp", "intel-tdx", served=NONE),
    "mem_page_size": PAGES,
    "numa_nodes": number(NONE),
    "pci_numa_affinity_policy": one_of(
        "required", "preferred", "legacy", "socket"
    ),  # of devices that there are none of
    "pmu": flag(NONE),
    "redirected_usb_ports": number(("0",)),
    "serial_port_count": number(("1",)),
    "sound_model": one_of("sb16", "es1370", "pcspk", "ac97", "ich6", "ich9", "usb", "virtio", served=NONE),
    "tpm_model": one_of("tpm-tis", "tpm-crb", served=NONE),
    "tpm_version": one_of("1.2", "2.0", served=NONE),
    "usb_model": one_of("none", "nec-xhci", "qemu-xhci", served=("none",)),
    "vif_multiqueue_enabled": flag(OFF),
    "viommu_model": one_of("intel", "smmuv3", "virtio", "auto", served=NONE),
    "virtio_packed_ring": flag(OFF),
    "watchdog_action": one_of("none", "pause", "poweroff", "reset", "disabled"),
}

IMAGE: dict[str, Property] = {f"hw_{name}": known for name, known in HARDWARE.items()} | {
    "hw_architecture": Property(values=ARCHITECTURES, folded=True),  # this and the next three the scheduler serves
    "hw_vm_mode": Property(values=("hvm", "xen", "uml", "exe", "pv", "hv", "baremetal"), folded=True),
    "img_hv_type": Property(values=HYPERVISORS, folded=True),
    "img_hv_requested_version": VERSIONS,
    "hw_cdrom_bus": one_of(*BUSES),  # of devices that guests do not have
    "hw_floppy_bus": one_of(*BUSES),
    "hw_rescue_bus": one_of(*BUSES),
    "hw_rescue_device": one_of("cdrom", "disk", "floppy", "fs", "lun"),
    "hw_disk_bus": one_of(*BUSES, served=("virtio", "scsi", "sata")),
    "hw_emulation_architecture": Property(values=ARCHITECTURES, served=NONE, folded=True),
    "hw_ephemeral_encryption_secret_uuid": text(NONE),
    "hw_firmware_type": one_of("uefi", "bios"),
    "hw_firmware_stateless": flag(OFF),
    "hw_input_bus": one_of("usb", "virtio", served=NONE),
    "hw_ipxe_boot": flag(OFF),
    "hw_machine_type": text(pattern=r"[A-Za-z0-9._+-]{1,64}", words="names of machine types, such as q35"),
    "hw_pointer_model": one_of("usbtablet", served=NONE),
    "hw_qemu_guest_agent": flag(),
    "hw_rng_model": one_of("virtio"),
    "hw_scsi_model": folded(
        "buslogic", "ibmvscsi", "lsilogic", "lsisas1068", "lsisas1078", "virtio-scsi", "vmpvscsi", served=("virtio-scsi",),
        older={"lsilogicsas": "lsisas1068", "paravirtual": "vmpvscsi"},
    ),
    "hw_time_hpet": flag(OFF),
    "hw_video_model": one_of(
        "cirrus", "qxl", "vga", "vmvga", "xen", "virtio", "gop", "none", "bochs",
        served=("vga", "virtio", "cirrus", "qxl", "bochs", "none"),
    ),
    "hw_video_ram": number(NONE),
    "hw_vif_model": folded(
        "virtio", "ne2k_pci", "pcnet", "rtl8139", "e1000", "e1000e", "netfront", "spapr-vlan", "lan9118", "sriov", "vmxnet",
        "vmxnet3", "igb", served=("virtio", "e1000", "e1000e", "rtl8139"), older=OLD_NICS,
    ),
    "img_config_drive": one_of("optional", "mandatory"),
    "img_hide_hypervisor_id": flag(OFF),
    "os_command_line": text(),
    "os_require_quiesce": flag(),
    "os_secure_boot": one_of("required", "disabled", "optional", served=("disabled", "optional")),
    "os_type": folded("linux", "windows"),
}  # fmt: skip
OLD_NAMES = {
    "architecture": "hw_architecture", "hypervisor_type": "img_hv_type", "vm_mode": "hw_vm_mode",
    "hypervisor_version_requires": "img_hv_requested_version", "ipxe_boot": "hw_ipxe_boot",
}  # fmt: skip

FLAVOR: dict[str, Property] = {f"hw:{name}": known for name, known in HARDWARE.items()} | {
    "hw:cpu_dedicated_mask": text(NONE),
    "hw:cpu_realtime": flag(OFF),
    "hw:emulator_threads_policy": one_of("isolate", "share", served=NONE),
    "hw:hide_hypervisor_id": flag(OFF),
    "hw:pmem": text(NONE),
    "hw:tpm_secret_security": one_of("user", "host", "deployment", served=NONE),
    "hw_rng:allowed": flag(ON),
    "hw_rng:rate_bytes": number(NONE),
    "hw_rng:rate_period": number(NONE),
    "hw_video:ram_max_mb": number(),  # an upper bound of what is not given at all
    "os:secure_boot": one_of("disabled", "required", served=("disabled",)),
    "accel:device_profile": text(NONE),
    "pci_passthrough:alias": text(NONE, pattern=rf"{_ALIAS}(\s*,\s*{_ALIAS})*", words="alias:count, …"),
}
FAMILIES: tuple[tuple[re.Pattern[str], Property], ...] = (
    (re.compile(r"hw[_:]numa_cpus\.[0-9]+"), text(NONE)),
    (re.compile(r"hw[_:]numa_mem\.[0-9]+"), number(NONE)),
    (re.compile(r"trait[A-Za-z0-9_-]{0,64}:[A-Z0-9_]{1,255}"), one_of("required", "forbidden", served=NONE)),
    (re.compile(r"resources[A-Za-z0-9_-]{0,64}:[A-Z0-9_]{1,255}"), number(NONE)),
    (re.compile(r"quota:[a-z_]{1,60}"), number(NONE)),
)
"""Properties that are many, by their names."""
CLOSED = frozenset(["hw", "hw_rng", "hw_video", "os", "accel", "pci_passthrough", "quota", "resources", "trait"])
"""Namespaces of extra specs in which there is nothing that is not in here."""


def image_faults(properties: Mapping[str, str]) -> Iterator[str]:
    """What keeps an image from being booted: «property hw_vif_model is 'bogus'; allowed are …»."""
    for name, value in properties.items():
        known = _known(IMAGE, OLD_NAMES.get(name, name))
        if known is not None and value != "" and (fault := known.fault(value)) is not None:
            yield f"property {name} {fault}"


def spec_faults(specs: Mapping[str, str], *, to_launch: bool = True) -> Iterator[str]:
    """The same of a flavor's extra specs; not `to_launch`: only what upstream refuses when they are set."""
    for name, value in specs.items():
        known = _known(FLAVOR, name)
        if known is None:
            if ":" in name and name.partition(":")[0] in CLOSED:
                yield f"extra spec '{name[:60]}' does not appear to be a valid extra spec"
            continue
        if not to_launch:
            known = msgspec.structs.replace(known, served=None)
        if (fault := known.fault(value)) is not None:
            yield f"extra spec {name} {fault}"


def hardware(image: Mapping[str, str], specs: Mapping[str, str]) -> dict[str, str]:
    """The hw_… properties of a guest: the flavor's, and the image's before them."""
    ours = {f"hw_{name.removeprefix('hw:')}": value for name, value in specs.items() if name.startswith("hw:")}
    asked = ours | {name: value for name, value in image.items() if name.startswith("hw_")}
    return {name: IMAGE[name].plain(value) if name in IMAGE else value for name, value in asked.items()}


def _known(table: Mapping[str, Property], name: str) -> Property | None:
    if name in table:
        return table[name]
    return next((known for pattern, known in FAMILIES if pattern.fullmatch(name)), None)

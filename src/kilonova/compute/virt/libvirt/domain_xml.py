"""From typed parts to a libvirt domain definition. Pure: the same guest and host give the same text."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import msgspec
from lxml import etree

from kilonova.compute.properties import ON
from kilonova.compute.virt.driver import GuestDisk, GuestInterface, GuestSpec
from kilonova.compute.virt.libvirt.devices import SECRETS, SOURCES, VIFS
from kilonova.compute.virt.libvirt.elements import clean, el
from kilonova.compute.virt.libvirt.options import HostFacts

NAMESPACE = "urn:kilonova:instance:1"
"""The metadata element in this namespace marks a domain as ours."""

QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"

HOT_PLUG_PORTS = 10
"""PCIe root ports of a q35 guest at least; each device takes one, the rest is for hot plug."""

PREFIX = {"virtio": "vd", "scsi": "sd", "sata": "sd", "usb": "sd", "ide": "hd"}
VIDEO_MODELS = {"vga", "virtio", "cirrus", "qxl", "bochs", "none"}
WATCHDOG_ACTIONS = {"reset", "poweroff", "pause", "none"}


def domain_xml(guest: GuestSpec, host: HostFacts) -> str:
    """The persistent definition of `guest` on `host`."""
    machine = guest.machine or host.machine
    root = el(
        "domain",
        el("name", guest.name),
        el("uuid", guest.uuid),
        _metadata(guest, host),
        el("memory", str(guest.memory_mb), unit="MiB"),
        el("vcpu", str(guest.vcpus), placement="static"),
        _sysinfo(guest),
        _os(guest, host, machine),
        el("features", el("acpi"), el("apic")),
        _cpu(guest, host),
        _clock(host),
        el("on_poweroff", "destroy"),
        el("on_reboot", "restart"),
        el("on_crash", "destroy"),
        _devices(guest, host, pcie=not is_i440fx(machine)),
        _cpu_in_words(guest, host),
        type=host.virt_type,
    )
    text: str = etree.tostring(root, pretty_print=True, encoding="unicode")
    return text


def is_i440fx(machine: str) -> bool:
    """Whether this is the old machine type with PCI and IDE instead of PCIe."""
    return machine == "pc" or machine.startswith("pc-i440fx")


def _metadata(guest: GuestSpec, host: HostFacts) -> etree._Element:
    def ours(tag: str, text: str) -> etree._Element:
        child = etree.SubElement(instance, f"{{{NAMESPACE}}}{tag}")
        child.text = clean(text)
        return child

    instance = etree.Element(f"{{{NAMESPACE}}}instance", nsmap={"kilonova": NAMESPACE})
    instance.set("cloud", clean(host.cloud))
    for tag, text in (("name", guest.title), ("flavor", guest.flavor), ("owner", guest.owner)):
        if text:
            ours(tag, text)
    return el("metadata", instance)


def _sysinfo(guest: GuestSpec) -> etree._Element:
    # cloud-init takes these very words as the sign that an OpenStack metadata service answers
    system = {
        "manufacturer": "OpenStack Foundation",
        "product": "OpenStack Nova",
        "serial": guest.uuid,
        "uuid": guest.uuid,
        "family": "Virtual Machine",
    }
    return el(
        "sysinfo",
        el("system", *(el("entry", text, name=name) for name, text in system.items())),
        type="smbios",
    )


def _os(guest: GuestSpec, host: HostFacts, machine: str) -> etree._Element:
    return el(
        "os",
        el("type", "hvm", arch=host.arch, machine=machine),
        el("kernel", str(guest.kernel)) if guest.kernel else None,
        el("initrd", str(guest.initrd)) if guest.initrd else None,
        el("cmdline", guest.cmdline) if guest.kernel and guest.cmdline else None,
        el("bootmenu", enable="yes") if _flag(guest, "hw_boot_menu") else None,
        el("smbios", mode="sysinfo"),
        firmware="efi" if guest.properties.get("hw_firmware_type") == "uefi" else None,
    )


def _cpu(guest: GuestSpec, host: HostFacts) -> etree._Element | None:
    mode, model = host.cpu_mode, host.cpu_model
    if guest.cpu_model:
        mode, model = "custom", guest.cpu_model
    if mode == "default":
        mode = "host-model" if host.virt_type == "kvm" else "none"
    if mode == "none":
        return None
    if mode == "custom":
        return el("cpu", el("model", model or "", fallback="forbid"), mode="custom", match="exact")
    return el("cpu", mode=mode)


def _cpu_in_words(guest: GuestSpec, host: HostFacts) -> etree._Element | None:
    """After each start libvirt reads what CPU the guest got: some 400 queries, one for each feature, which take longer than
    the rest of a start. When the document declares that this QEMU can't list features, libvirt reads the CPUID words, by one
    query. For an emulated CPU both give the same, as libvirt compares it with nothing; a KVM guest's features are not all in
    CPUID."""
    if host.ask_cpu or _cpu(guest, host) is not None:
        return None
    node = etree.Element(f"{{{QEMU}}}capabilities", nsmap={"qemu": QEMU})
    etree.SubElement(node, f"{{{QEMU}}}del").set("capability", "cpu-unavailable-features")
    return node


def _clock(host: HostFacts) -> etree._Element:
    if host.virt_type != "kvm":
        return el("clock", offset="utc")
    return el(
        "clock",
        el("timer", name="pit", tickpolicy="delay"),
        el("timer", name="rtc", tickpolicy="catchup"),
        el("timer", name="hpet", present="no"),
        offset="utc",
    )


def _devices(guest: GuestSpec, host: HostFacts, *, pcie: bool) -> etree._Element:
    placed = list(_place(guest.disks, pcie=pcie))
    order = {} if guest.kernel else _boot_order(guest.disks)
    return el(
        "devices",
        *(_disk(disk, bus, target, order.get(disk.target), host) for disk, bus, target in placed),
        *_controllers(guest, {bus for _, bus, _ in placed}, pcie=pcie),
        *(_interface(interface) for interface in guest.interfaces),
        _serial(guest.console_log),
        _agent_channel(guest),
        el("graphics", el("listen", type="socket"), type="vnc"),  # where only root and the guest's user have access
        el("video", el("model", type=_choice(guest, "hw_video_model", VIDEO_MODELS, "vga"))),
        _watchdog(guest),
        el("memballoon", model="virtio"),
        el("rng", el("backend", "/dev/urandom", model="random"), model="virtio"),
    )  # fmt: skip


def _controllers(guest: GuestSpec, buses: set[str], *, pcie: bool) -> Iterator[etree._Element]:
    yield el("controller", type="usb", model="none")
    if "scsi" in buses:
        yield el("controller", type="scsi", index="0", model="virtio-scsi")
    if pcie:
        ports = max(HOT_PLUG_PORTS, len(guest.disks) + len(guest.interfaces) + 6)
        yield el("controller", type="pci", model="pcie-root")
        for _ in range(ports):
            yield el("controller", type="pci", model="pcie-root-port")


def _place(
    disks: Iterable[GuestDisk], *, pcie: bool, taken: Collection[str] = ()
) -> Iterator[tuple[GuestDisk, str, str]]:
    """Each disk with a bus the machine has and a target name that fits the bus, beside those that are `taken`."""
    disks = tuple(disks)
    taken = {*taken, *(disk.target for disk in disks)}
    for disk in disks:
        bus, target = _bus(disk, pcie=pcie), disk.target
        if not target.startswith(PREFIX[bus]):
            target = next(name for c in "abcdefghijklmnopqrstuvwxyz" if (name := PREFIX[bus] + c) not in taken)
            taken.add(target)
        yield disk, bus, target


def _bus(disk: GuestDisk, *, pcie: bool) -> str:
    """q35 has no IDE, and cloud kernels lack AHCI: a CD-ROM goes to virtio-scsi there, to IDE on the old machine."""
    if disk.device == "cdrom":
        if disk.bus == "virtio" or (disk.bus == "ide" and pcie):
            return "scsi" if pcie else "ide"
    elif disk.bus == "ide" and pcie:
        return "sata"
    return disk.bus


def _boot_order(disks: Iterable[GuestDisk]) -> dict[str, int]:
    bootable = [(disk.boot_index, disk.target) for disk in disks if disk.boot_index is not None]
    return {target: n for n, (_, target) in enumerate(sorted(b for b in bootable if b[0] >= 0), start=1)}


def _disk(disk: GuestDisk, bus: str, target: str, order: int | None, host: HostFacts) -> etree._Element:
    cdrom = disk.device == "cdrom"
    given = SOURCES[type(disk.source)](disk.source, host)
    if disk.passphrase is not None:
        secret = el("secret", type="passphrase", uuid=secret_uuid(disk.serial or ""))
        given.source.append(el("encryption", secret, format="luks"))
    failing = "stop" if given.waits else None
    return el(
        "disk",
        el(
            "driver",
            name="qemu",
            type=given.format,
            cache=host.disk_cache,
            error_policy=failing,
            rerror_policy=failing,
            discard=None if cdrom else "unmap",
        ),
        given.source,
        el("target", dev=target, bus=bus),
        el("serial", disk.serial) if disk.serial else None,
        el("boot", order=order) if order else None,
        el("readonly") if disk.readonly or cdrom else None,
        type=given.type,
        device=disk.device,
    )


def secret_uuid(serial: str) -> str:
    """Of libvirt's secret for the passphrase of a disk: the same each time."""
    return str(uuid.uuid5(SECRETS, serial))


def disk_xml(disk: GuestDisk, taken: Collection[str], host: HostFacts, *, pcie: bool) -> tuple[str, str]:
    """One disk, for a domain that has disks of the names `taken` already; (its name, its element)."""
    placed = msgspec.structs.replace(disk, target=disk.target if disk.target not in taken else "")
    ((_, bus, target),) = _place((placed,), pcie=pcie, taken=taken)
    text: str = etree.tostring(_disk(disk, bus, target, None, host), encoding="unicode")
    return target, text


def interface_xml(interface: GuestInterface) -> str:
    """One interface, for a domain that has been defined."""
    text: str = etree.tostring(_interface(interface), encoding="unicode")
    return text


def _interface(interface: GuestInterface) -> etree._Element:
    given = VIFS[type(interface.vif)](interface.vif)
    return el(
        "interface",
        el("mac", address=interface.mac),
        *given.plug,
        el("model", type=interface.model),
        el("rom", enabled="no"),  # no guest boots from the network; saves SeaBIOS a second
        el("mtu", size=interface.mtu) if interface.mtu else None,
        type=given.type,
    )


def _serial(log: Path | None) -> etree._Element:
    return el("serial", el("log", file=log, append="on") if log else None, el("target", port="0"), type="pty")


def _agent_channel(guest: GuestSpec) -> etree._Element | None:
    if not _flag(guest, "hw_qemu_guest_agent"):
        return None
    return el("channel", el("target", type="virtio", name="org.qemu.guest_agent.0"), type="unix")


def _watchdog(guest: GuestSpec) -> etree._Element | None:
    action = _choice(guest, "hw_watchdog_action", WATCHDOG_ACTIONS, "")
    return el("watchdog", model="i6300esb", action=action) if action else None


def _flag(guest: GuestSpec, name: str) -> bool:
    return guest.properties.get(name, "").lower() in ON


def _choice(guest: GuestSpec, name: str, known: set[str], default: str) -> str:
    value = guest.properties.get(name, default)
    return value if value in known else default

"""Definitions compared with the files in `golden/` (KILONOVA_WRITE_GOLDEN=1 writes them anew: read the difference)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from kilonova.compute.virt.block import FileSource, IscsiSource, NbdSource, RbdSource
from kilonova.compute.virt.driver import GuestDisk, GuestInterface, GuestSpec
from kilonova.compute.virt.libvirt.domain_xml import NAMESPACE, domain_xml
from kilonova.compute.virt.libvirt.host import firmware
from kilonova.compute.virt.libvirt.options import HostFacts, LibvirtOptions
from kilonova.compute.virt.vif import BridgeVif
from kilonova.core.ceph import CephOptions
from kilonova.core.secret import Secret

GOLDEN = Path(__file__).parent / "golden"
SCHEMA = Path("/usr/share/libvirt/schemas/domain.rng")
UUID = "5f0c1f6e-8a2f-4c39-9b6a-0b3a3c2d1e4f"


def file_at(path: str, format: str = "raw") -> FileSource:
    return FileSource(path=Path(path), format=format)


def nbd(volume: str) -> NbdSource:
    return NbdSource(export=volume, socket=Path("/run/kilonova/exports") / volume / "nbd")


CHAP = IscsiSource(
    host="192.0.2.7",
    port=61000,
    target="iqn.2010-10.org.openstack:volume-1",
    unit=1,
    user="one",
    password=Secret(b"not seen"),
)
ROOT = GuestDisk(source=file_at("/srv/disks/root.qcow2", "qcow2"), target="vda", boot_index=0)
CONFIG = GuestDisk(source=file_at("/srv/disks/config.iso"), target="vdb", device="cdrom", readonly=True)
BRIDGED = BridgeVif(tap_name="tap0123abcd-ef", bridge_name="brq0123abcd-ef")
PORT = GuestInterface(mac="fa:16:3e:11:22:33", vif=BRIDGED, mtu=1450)


def guest(**more: object) -> GuestSpec:
    base: dict[str, object] = {"uuid": UUID, "name": "instance-0000002a", "vcpus": 1, "memory_mb": 128}
    return GuestSpec(**{**base, **more})  # type: ignore[arg-type]


CASES = {
    "q35_qemu": (
        guest(
            title="web-1",
            flavor="m1.tiny",
            owner="d1f0a1b2c3d4e5f60718293a4b5c6d7e",
            disks=(ROOT, CONFIG),
            interfaces=(PORT,),
            console_log=Path("/srv/logs/console.log"),
        ),
        HostFacts(),
    ),
    "cpu_in_words": (guest(disks=(ROOT,)), HostFacts(ask_cpu=False)),
    "kernel": (
        guest(
            kernel=Path("/srv/k/vmlinuz"),
            initrd=Path("/srv/k/initrd"),
            cmdline="root=/dev/vda console=ttyS0 quiet",
            disks=(ROOT,),
        ),
        HostFacts(),
    ),
    "pc_kvm_custom_cpu": (
        guest(vcpus=4, memory_mb=4096, machine="pc", cpu_model="Nehalem", disks=(ROOT, CONFIG)),
        HostFacts(virt_type="kvm", cpu_mode="host-model"),
    ),
    "volumes": (
        guest(
            disks=(
                GuestDisk(
                    source=nbd("9b1e0d52-1111-4000-8000-000000000001"), target="vda", boot_index=0, serial="root-volume"
                ),
                GuestDisk(
                    source=nbd("9b1e0d52-1111-4000-8000-000000000002"),
                    target="vdb",
                    serial="9b1e0d52-1111-4000-8000-000000000002",
                    passphrase=Secret(b"not to be seen"),
                ),
            ),
        ),
        HostFacts(),
    ),
    "network_disks": (
        guest(
            disks=(
                GuestDisk(source=RbdSource(pool="servers", image=f"{UUID}_disk"), target="vda", boot_index=0),
                GuestDisk(source=CHAP, target="vdb", serial="volume"),
            )
        ),
        HostFacts(ceph=CephOptions(conf=Path("/etc/ceph/ceph.conf"), user="compute")),
    ),
    "all_properties": (
        guest(
            disks=(
                ROOT,
                GuestDisk(
                    source=file_at("/srv/swap.raw"),
                    target="vdb",
                    serial="swap",
                    boot_index=-1,
                ),
                GuestDisk(source=file_at("/srv/second"), target="sda", bus="scsi", boot_index=1),
                GuestDisk(source=file_at("/srv/dvd.iso"), target="hda", bus="ide", device="cdrom"),
            ),
            properties={
                "hw_video_model": "virtio",
                "hw_qemu_guest_agent": "yes",
                "hw_watchdog_action": "reset",
                "hw_firmware_type": "uefi",
                "hw_boot_menu": "True",
            },
        ),
        HostFacts(virt_type="kvm", disk_cache="writeback"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str) -> None:
    text = domain_xml(*CASES[name])
    path = GOLDEN / f"{name}.xml"
    if os.environ.get("KILONOVA_WRITE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.skipif(not SCHEMA.exists(), reason="needs libvirt's schemas")
@pytest.mark.parametrize("name", CASES)
def test_libvirts_own_schema_agrees(name: str) -> None:
    schema = etree.RelaxNG(etree.parse(str(SCHEMA)))
    assert schema.validate(etree.fromstring(domain_xml(*CASES[name]))), schema.error_log


EVIL = "</kilonova:name><devices/> & \"quotes\" 'single' \x00\x07\x1b[31m\u0085\ud800\ufffe\nümlaut 界"


def test_a_users_text_stays_text() -> None:
    root = etree.fromstring(domain_xml(guest(title=EVIL, cmdline="a\nb", kernel=Path("/k")), HostFacts()))
    assert len(root.findall("devices")) == 1
    name = root.findtext(f"metadata/{{{NAMESPACE}}}instance/{{{NAMESPACE}}}name")
    assert name == "</kilonova:name><devices/> & \"quotes\" 'single' [31mümlaut 界"
    assert root.findtext("os/cmdline") == "ab"


def test_unknown_property_values_fall_back() -> None:
    root = etree.fromstring(
        domain_xml(guest(properties={"hw_video_model": "<evil>", "hw_watchdog_action": "explode"}), HostFacts())
    )
    model = root.find("devices/video/model")
    assert model is not None
    assert model.get("type") == "vga"
    assert root.find("devices/watchdog") is None


@pytest.mark.parametrize(
    ("virt_type", "mode", "model", "wanted"),
    [
        ("qemu", "default", None, None),
        ("kvm", "default", None, "host-model"),
        ("kvm", "none", None, None),
        ("kvm", "host-passthrough", None, "host-passthrough"),
        ("qemu", "maximum", None, "maximum"),
        ("qemu", "custom", "Haswell", "custom"),
    ],
)
def test_cpu(virt_type: str, mode: str, model: str | None, wanted: str | None) -> None:
    cpu = etree.fromstring(domain_xml(guest(), HostFacts(virt_type=virt_type, cpu_mode=mode, cpu_model=model))).find(
        "cpu"
    )
    assert (None if cpu is None else cpu.get("mode")) == wanted
    if model:
        assert cpu is not None
        assert cpu.findtext("model") == model


def test_many_devices_leave_ports_for_hot_plug() -> None:
    disks = tuple(GuestDisk(source=file_at(f"/d{n}"), target=f"vd{chr(97 + n)}") for n in range(12))
    root = etree.fromstring(domain_xml(guest(disks=disks, interfaces=(PORT,)), HostFacts()))
    assert len(root.findall("devices/controller[@model='pcie-root-port']")) == 19


@pytest.mark.parametrize(
    "bad", [{"virt_type": "xen"}, {"cpu_mode": "best"}, {"cpu_mode": "custom"}, {"cpu_model": "x"}]
)
def test_options_are_checked(bad: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"virt_type|cpu_mode"):
        LibvirtOptions(**bad)  # type: ignore[arg-type]


def test_the_mark_of_a_cloud() -> None:
    assert LibvirtOptions(state_dir=Path("/srv/a")).mark == "/srv/a"
    assert LibvirtOptions(cloud="blue").mark == "blue"


@pytest.mark.parametrize(
    ("virt_type", "version", "options", "asks"),
    [
        ("qemu", 9_000_000, {}, False),
        ("qemu", 5_000_000, {}, True),
        ("qemu", 9_000_000, {"ask_emulated_cpu": True}, True),
        ("qemu", 9_000_000, {"cpu_mode": "maximum"}, True),
        ("kvm", 9_000_000, {}, True),
    ],
)
def test_libvirt_asks_for_cpu_features_where_they_count(
    virt_type: str, version: int, options: dict[str, Any], asks: bool
) -> None:
    host = HostFacts.of(LibvirtOptions(**options), virt_type=virt_type, arch="x86_64", version=version)
    assert ("cpu-unavailable-features" not in domain_xml(guest(), host)) is asks
    assert "cpu-unavailable-features" not in domain_xml(guest(cpu_model="Nehalem"), host)


@pytest.mark.parametrize(
    ("values", "known"), [("", ("bios",)), ("<value>bios</value><value>efi</value>", ("bios", "uefi"))]
)
def test_the_firmware_of_a_host(values: str, known: tuple[str, ...]) -> None:
    document = f"<domainCapabilities><os><enum name='firmware'>{values}</enum><loader/></os></domainCapabilities>"
    assert firmware(document) == known

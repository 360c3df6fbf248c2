"""Image properties and extra specs: what is wrong or not to be had is refused at once, and names what there is."""

from __future__ import annotations

import pytest

from kilonova.compute import properties, tables
from tests.service.compute_api.support import IMAGE, image
from tests.service.compute_api.test_launch import rows

BOGUS = [
    ("architecture", "x64", "is 'x64'; allowed are alpha, "),
    ("hw_architecture", "x64", "is 'x64'; allowed are alpha, "),
    ("hw_vif_model", "bogus", "is 'bogus'; allowed are virtio, "),
    ("hw_disk_bus", "bogus", "is 'bogus'; allowed are fdc, ide, "),
    ("hw_rng_model", "bogus", "is 'bogus'; allowed are virtio"),
    ("hw_video_model", "bogus", "is 'bogus'; allowed are cirrus, qxl, vga, "),
    ("hw_firmware_type", "bogus", "is 'bogus'; allowed are uefi, bios"),
    ("hw_scsi_model", "bogus", "allowed are buslogic"),
    ("hw_watchdog_action", "bogus", "allowed are none, pause, poweroff, reset, disabled"),
    ("hw_qemu_guest_agent", "perhaps", "allowed are true, 1, yes, on, false, 0, no, off"),
    ("hw_machine_type", "a b", "allowed are names of machine types"),
    ("vm_mode", "bogus", "allowed are hvm, xen"),
    ("hypervisor_type", "bogus", "allowed are baremetal"),
    ("img_config_drive", "bogus", "allowed are optional, mandatory"),
    ("img_hv_requested_version", "newer", "allowed are up to ten versions such as >=6.0,<8"),
    ("hypervisor_version_requires", ",".join([">=0"] * 20_000), "allowed are up to ten versions"),
    ("os_type", "bogus", "allowed are linux, windows"),
    ("hw_cpu_cores", "many", "allowed are whole numbers"),
    ("hw_mem_page_size", "huge", "allowed are small, large, any or a size"),
]
NOT_HERE = [
    ("hw_video_model", "gop", "is 'gop', which this cloud does not have; it has vga, virtio, "),
    ("hw_vif_model", "igb", "which this cloud does not have; it has virtio, e1000, e1000e, rtl8139"),
    ("hw_disk_bus", "usb", "which this cloud does not have; it has virtio, scsi, sata"),
    ("hw_cpu_policy", "dedicated", "which this cloud does not have; it has shared"),
    ("hw_cpu_threads", "2", "which this cloud does not have"),
    ("hw_tpm_model", "tpm-crb", "which this cloud does not have"),
    ("hw_mem_encryption", "True", "which this cloud does not have; it has false, 0, no, off"),
    ("hw_vif_multiqueue_enabled", "true", "which this cloud does not have"),
    ("os_secure_boot", "required", "which this cloud does not have; it has disabled, optional"),
    ("hw_mem_page_size", "2MB", "which this cloud does not have; it has small, any"),
    ("hw_numa_nodes", "2", "which this cloud does not have"),
    ("hw_numa_cpus.0", "0-1", "which this cloud does not have"),
    ("trait:HW_CPU_X86_AVX2", "required", "which this cloud does not have"),
]
GOOD = {
    "architecture": "x86_64", "hw_architecture": "AMD64", "hw_vif_model": "e1000", "hw_disk_bus": "scsi",
    "hw_scsi_model": "virtio-scsi", "hw_rng_model": "virtio", "hw_video_model": "cirrus", "hw_firmware_type": "bios",
    "hw_watchdog_action": "reset", "hw_qemu_guest_agent": "yes", "hw_machine_type": "pc-q35-9.2", "vm_mode": "hvm",
    "hw_mem_encryption": "False", "hw_cpu_policy": "shared", "hw_boot_menu": "", "os_distro": "debian", "anything": "goes",
    "hw_of_my_own": "1", "hw_cpu_threads": "1", "hw_cpu_cores": "1", "hw_time_hpet": "N", "os_require_quiesce": "Y",
    "img_hv_requested_version": ">=6.0, <8", "hypervisor_version_requires": "!= 7.2.1", "os_type": "linux",
}  # fmt: skip


@pytest.mark.parametrize(("name", "value", "words"), [*BOGUS, *NOT_HERE])
async def test_an_image_that_asks_what_can_not_be_is_refused(cloud, name, value, words):
    cloud.images.held[IMAGE] = image(properties={"os_distro": "debian", name: value})
    answer = await cloud.boot()
    assert answer.status == 400, answer.content
    message = answer.json["badRequest"]["message"]
    assert message.startswith(f"Image {IMAGE} is unacceptable: property {name} is ")
    assert words in message
    assert await rows(cloud, tables.servers) == []


@pytest.mark.parametrize(("name", "value"), GOOD.items())
async def test_what_can_be_is_taken(cloud, name, value):
    cloud.images.held[IMAGE] = image(properties={name: value})
    assert (await cloud.boot()).status == 202


async def test_an_image_may_need_a_config_drive(cloud):
    for wish, has in (("optional", False), ("mandatory", True)):
        cloud.images.held[IMAGE] = image(properties={"img_config_drive": wish})
        server_id = (await cloud.boot()).json["server"]["id"]
        (row,) = await rows(cloud, tables.servers, uuid=server_id)
        assert row.config_drive is has


SPECS = [  # key, value, may be set since 2.86, may be launched with
    ("hw:cpu_policy", "shared", True, True), ("hw:cpu_policy", "dedicated", True, False), ("hw:cpu_policy", "x", False, False),
    ("hw:numa_nodes", "2", True, False), ("hw:numa_nodes", "two", False, False), ("hw:numa_mem.0", "512", True, False),
    ("hw:watchdog_action", "reset", True, True), ("hw:watchdog_action", "explode", False, False),
    ("hw:no_such", "1", False, False), ("hw_rng:allowed", "True", True, True), ("hw_rng:allowed", "False", True, False),
    ("quota:cpu_shares", "5", True, False), ("trait:CUSTOM_FAST", "required", True, False),
    ("trait:CUSTOM_FAST", "perhaps", False, False), ("resources:VCPU", "1", True, False), ("resources:VCPU", "x", False, False),
    ("pci_passthrough:alias", "gpu:1", True, False), ("pci_passthrough:alias", "gpu one:1 , nic:2", True, False),
    ("pci_passthrough:alias", "gpu:1" + ",   gpu:1" * 25 + "!", False, False), ("os:secure_boot", "required", True, False),
    ("capabilities:cpu_arch", "x86_64", True, True), ("my:own", "x", True, True), ("plain", "x", True, True),
    ("aggregate_instance_extra_specs:ssd", "true", True, True),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value", "known", "served"), SPECS)
async def test_extra_specs(cloud, key, value, known, served):
    path, body = "/flavors/42/os-extra_specs", {"extra_specs": {key: value}}
    strict = await cloud("POST", path, token="admin", json=body, at="2.86")
    assert strict.status == (200 if known else 400), strict.content
    if not known:
        assert strict.json["badRequest"]["message"].startswith("Validation failed; extra spec ")
        one = await cloud("PUT", f"{path}/{key}", token="admin", json={key: value}, at="2.86")
        assert one.status in (400, 404)
    assert (await cloud("POST", path, token="admin", json=body, at="2.85")).status == 200
    answer = await cloud.boot()
    assert answer.status == (202 if served else 400), answer.content
    if not served:
        assert answer.json["badRequest"]["message"].startswith("Flavor 42 is unacceptable: extra spec ")
        assert key in answer.json["badRequest"]["message"]


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("hw_vif_model", "VirtualE1000", "e1000"), ("hw_vif_model", "VIRTIO", "virtio"),
        ("hw_scsi_model", "VIRTIO-SCSI", "virtio-scsi"), ("os_type", "Windows", None),
        ("hw_qemu_guest_agent", "Y", "true"), ("hw_boot_menu", "f", "false"),
    ],
)  # fmt: skip
async def test_upper_case_and_older_words_are_upstreams(cloud, name, value, meant):
    cloud.images.held[IMAGE] = image(properties={name: value})
    assert (await cloud.boot()).status == 202
    assert properties.hardware({name: value}, {}).get(name) == meant


def test_the_image_comes_before_the_flavor():
    image_properties = {"hw_watchdog_action": "pause", "os_distro": "x"}
    specs = {"hw:watchdog_action": "reset", "hw:boot_menu": "true", "plain": "x"}
    assert properties.hardware(image_properties, specs) == {"hw_watchdog_action": "pause", "hw_boot_menu": "true"}


def test_a_flavors_short_flag_reaches_the_guest():
    assert properties.hardware({}, {"hw:boot_menu": "T"}) == {"hw_boot_menu": "true"}


def test_what_is_served_is_among_the_values():
    for table in (properties.IMAGE, properties.FLAVOR):
        for name, known in table.items():
            for value in known.served or ():
                assert known.fault(value) is None, (name, value)

"""Each filter's own table of cases: (host, request, passes)."""

from __future__ import annotations

import pytest

from kilonova.compute.models import HostFacts
from kilonova.compute.scheduler.filters import BUILT_IN, NamedHosts
from kilonova.compute.scheduler.options import SchedulerOptions
from tests.unit.scheduler.hosts import group, host, request, stats

H = host()


def query(text: str):
    return request(hints={"query": [text]})


def near(ip: str, cidr: str | None = None):
    return request(hints={"build_near_host_ip": [ip]} | ({"cidr": [cidr]} if cidr else {}))


def caps(**specs: str):
    return request(extra={"capabilities:" + key.replace("__", ":"): value for key, value in specs.items()})


SSD = host(aggregates=[{"ssd": "true", "cpus": "8"}, {"ssd": "maybe, yes", "availability_zone": "a"}])
CASES = {
    "AvailabilityZoneFilter": [
        (H, request(), True),
        (H, request(availability_zone="nova"), True),
        (H, request(availability_zone="east"), False),
        (host(availability_zone="east"), request(availability_zone="east"), True),
    ],
    "ComputeFilter": [
        (H, request(), True),
        (host(up=False), request(), False),
        (host(enabled=False), request(), False),
    ],
    "RamFilter": [
        (H, request(flavor={"memory_mb": 8192}), True),
        (H, request(flavor={"memory_mb": 8193}), False),
        (host(memory_mb_free=1023), request(), False),
        (host(memory_mb_free=99999), request(flavor={"memory_mb": 8193}), False),  # overcommit is not for one server
    ],
    "CoreFilter": [
        (H, request(flavor={"vcpus": 8}), True),
        (H, request(flavor={"vcpus": 9}), False),
        (host(vcpus_free=32), request(flavor={"vcpus": 9}), False),
        (host(vcpus_free=0), request(), False),
        (host(vcpus_free=-3), request(), False),
    ],
    "DiskFilter": [
        (H, request(flavor={"root_gb": 100}), True),
        (H, request(flavor={"root_gb": 100, "swap_mb": 1}), False),
        (H, request(flavor={"root_gb": 60, "ephemeral_gb": 41}), False),
        (host(disk_gb_free=0), request(flavor={"root_gb": 0}), True),
    ],
    "NumInstancesFilter": [(H, request(), True), (host(stats=stats(running_vms=50)), request(), False)],
    "IoOpsFilter": [
        (host(stats=stats(io_ops=7)), request(), True),
        (host(stats=stats(io_ops=8)), request(), False),
    ],
    "ServerGroupAntiAffinityFilter": [
        (H, request(), True),
        (H, request(group=group("affinity", {"host-1": 1})), True),
        (H, request(group=group("anti-affinity")), True),
        (H, request(group=group("anti-affinity", {"host-2": 1})), True),
        (H, request(group=group("anti-affinity", {"host-1": 1})), False),
        (H, request(group=group("anti-affinity", {"host-1": 1}, max_server_per_host=2)), True),
        (H, request(group=group("anti-affinity", {"host-1": 2}, max_server_per_host=2)), False),
        (H, request(group=group("soft-anti-affinity", {"host-1": 1})), True),
    ],
    "ServerGroupAffinityFilter": [
        (H, request(), True),
        (H, request(group=group("affinity")), True),
        (H, request(group=group("affinity", {"host-1": 3})), True),
        (H, request(group=group("affinity", {"host-2": 1})), False),
        (H, request(group=group("soft-affinity", {"host-2": 1})), True),
    ],
    "SameHostFilter": [
        (H, request(), True),
        (H, request(hints={"same_host": ["a", "b"]}, servers={"b": "host-1"}), True),
        (H, request(hints={"same_host": ["a"]}, servers={"a": "host-2"}), False),
        (H, request(hints={"same_host": ["unknown"]}), False),
    ],
    "DifferentHostFilter": [
        (H, request(), True),
        (H, request(hints={"different_host": ["a", "b"]}, servers={"b": "host-1"}), False),
        (H, request(hints={"different_host": ["a"]}, servers={"a": "host-2"}), True),
        (H, request(hints={"different_host": ["unknown"]}), True),
    ],
    "SimpleCIDRAffinityFilter": [
        (H, request(), True),
        (H, near("10.0.0.77"), True),
        (H, near("10.0.1.77"), False),
        (H, near("10.0.1.77", "/16"), True),
        (H, near("10.0.1.77", "16"), True),
        (H, near("10.0.1.77", "/99"), False),
        (H, near("nonsense"), False),
        (host(host_ip=None), near("10.0.0.1"), False),
        (host(host_ip="fd00::5"), near("fd00::1", "/64"), True),
        (host(host_ip="fd00::5"), near("10.0.0.1"), False),
    ],
    "ImagePropertiesFilter": [
        (H, request(), True),
        (H, request(image={"os_distro": "debian"}), True),
        (H, request(image={"hw_architecture": "x86_64"}), True),
        (H, request(image={"hw_firmware_type": "uefi"}), True),  # not known
        (host(facts=HostFacts(firmware=["bios", "uefi"])), request(image={"hw_firmware_type": "uefi"}), True),
        (host(facts=HostFacts(firmware=["bios"])), request(image={"hw_firmware_type": "uefi"}), False),
        (host(facts=HostFacts(firmware=["bios"])), request(image={"hw_firmware_type": "bios"}), True),
        (H, request(image={"hw_architecture": "amd64"}), True),
        (H, request(image={"architecture": "i686"}), True),
        (H, request(image={"hw_architecture": "aarch64"}), False),
        (H, request(image={"hypervisor_type": "QEMU", "vm_mode": "hvm"}), True),
        (H, request(image={"img_hv_type": "xen"}), False),
        (H, request(image={"hw_vm_mode": "xen"}), False),
        (H, request(image={"hw_architecture": "x86_64", "hw_vm_mode": "exe"}), False),
        (H, request(image={"hypervisor_version_requires": ">=6.0,<8"}), True),
        (H, request(image={"img_hv_requested_version": ">=7.2.1"}), False),
        (H, request(image={"hypervisor_version_requires": "7.2"}), True),
        (H, request(image={"hypervisor_version_requires": "!=7.2"}), False),
        (H, request(image={"hypervisor_version_requires": "~7"}), False),
    ],
    "ComputeCapabilitiesFilter": [
        (H, request(extra={"hw:cpu_policy": "dedicated", "colour": "red"}), True),
        (H, caps(hypervisor_type="QEMU"), True),
        (H, caps(hypervisor_type="s== QEMU"), True),
        (H, caps(hypervisor_type="s!= QEMU"), False),
        (H, caps(hypervisor_type="<or> KVM <or> QEMU"), True),
        (H, caps(hypervisor_type="<or> KVM <or> Xen"), False),
        (H, caps(vcpus_total=">= 8"), True),
        (H, caps(vcpus_total="> 8"), False),
        (H, caps(vcpus_total="= 4"), True),
        (H, caps(vcpus_total="== 4"), False),
        (H, caps(free_ram_mb="<= 8192"), True),
        (H, caps(cpu_info__vendor="Intel"), True),
        (H, caps(cpu_info__model="<in> well"), True),
        (H, caps(cpu_info__model="<all-in> Broad well"), True),
        (H, caps(cpu_info__model="<all-in> Broad bad"), False),
        (H, caps(cpu_info__nothing="x"), False),
        (H, caps(unknown="1"), False),
        (H, caps(vcpus_total=">= many"), False),
        (H, caps(vcpus_total=""), False),
    ],
    "AggregateInstanceExtraSpecsFilter": [
        (H, request(), True),
        (SSD, request(extra={"ssd": "true"}), True),
        (SSD, request(extra={"aggregate_instance_extra_specs:ssd": "yes"}), True),
        (SSD, request(extra={"ssd": "<or> yes <or> no"}), True),
        (SSD, request(extra={"cpus": ">= 4"}), True),
        (SSD, request(extra={"cpus": ">= 9"}), False),
        (SSD, request(extra={"ssd": "!"}), False),
        (SSD, request(extra={"hdd": "!"}), True),
        (SSD, request(extra={"hw:cpu_policy": "shared"}), True),
        (H, request(extra={"ssd": "true"}), False),
    ],
    "JsonFilter": [
        (H, request(), True),
        (H, query('[">=", "$free_ram_mb", 1024]'), True),
        (H, query('[">", "$free_ram_mb", 8192]'), False),
        (H, query('["and", [">=", "$free_ram_mb", 1024], [">=", "$free_disk_mb", 102400]]'), True),
        (H, query('["or", ["=", "$host", "x"], ["=", "$hypervisor_hostname", "host-1"]]'), True),
        (H, query('["not", ["=", "$host", "host-1"]]'), False),
        (H, query('["in", "$host", "host-2", "host-1"]'), True),
        (H, query('["<", "$vcpus_total", 9, 10]'), True),
        (H, query('["=", "$cpu_info.vendor", "Intel"]'), True),
        (H, query('["=", "$cpu_info.vendor.deeper", "Intel"]'), False),
        (H, query('["<", "$host", 5]'), False),
        (H, query('["<", 1]'), False),
        (H, query('["explode", 1]'), False),
        (H, query("{not json"), False),
        (H, query("[]"), False),
        (H, query("[[]]"), False),
        (H, query('["not", ' * 40 + "true" + "]" * 40), False),
        (H, query("[" * 5000 + "]" * 5000), False),
        (H, query('["=", "' + "x" * 20000 + '"]'), False),
    ],
}


@pytest.mark.parametrize(("name", "number"), [(name, n) for name, cases in CASES.items() for n in range(len(cases))])
def test_case(name, number):
    state, asked, passes = CASES[name][number]
    found = BUILT_IN[name](SchedulerOptions())
    saw = found.passes(state, asked)
    assert (saw is None) is passes, saw
    assert found.applies(asked) or saw is None, "a filter that does not apply refuses nothing"


ISOLATED = SchedulerOptions(isolated_hosts=("host-1",), isolated_images=("image-1",))
OPEN = SchedulerOptions(
    isolated_hosts=("host-1",), isolated_images=("image-2",), restrict_isolated_hosts_to_isolated_images=False
)


@pytest.mark.parametrize(
    ("options", "name", "passes"),
    [
        (SchedulerOptions(), "host-1", True),
        (ISOLATED, "host-1", True),
        (ISOLATED, "host-2", False),
        (SchedulerOptions(isolated_hosts=("host-1",)), "host-1", False),
        (SchedulerOptions(isolated_hosts=("host-1",)), "host-2", True),
        (OPEN, "host-1", True),
        (OPEN, "host-2", True),
    ],
)
def test_isolated_hosts(options, name, passes):
    found = BUILT_IN["IsolatedHostsFilter"](options)
    assert (found.passes(host(name), request()) is None) is passes


@pytest.mark.parametrize(
    ("spec", "passes"),
    [
        ({}, True),
        ({"ignore_hosts": ["host-1"]}, False),
        ({"ignore_hosts": ["host-2"]}, True),
        ({"requested_host": "host-1"}, True),
        ({"requested_host": "host-2"}, False),
        ({"failed_hosts": {"host-1": "image: broken"}}, False),
    ],
)
def test_named_hosts(spec, passes):
    assert (NamedHosts(SchedulerOptions()).passes(H, request(**spec)) is None) is passes


def test_every_filter_has_cases():
    assert set(CASES) | {"IsolatedHostsFilter"} == set(BUILT_IN)

"""Host states and requests for tests of filters, weighers and drivers."""

from __future__ import annotations

from typing import Any

from kilonova.compute.models import Flavor, HostFacts, HostState, HostStats, Image, RequestSpec
from kilonova.compute.scheduler.request import FilterRequest, GroupView

FACTS = HostFacts(
    cpu_arch="x86_64",
    cpu_info={"vendor": "Intel", "model": "Broadwell"},
    supported=[("x86_64", "qemu", "hvm"), ("i686", "qemu", "hvm")],
)


def host(name: str = "host-1", **more: Any) -> HostState:
    values: dict[str, Any] = {
        "node": name, "node_uuid": name, "vcpus_total": 8, "vcpus_free": 8, "memory_mb_total": 8192,
        "memory_mb_free": 8192, "disk_gb_total": 100, "disk_gb_free": 100, "host_ip": "10.0.0.5",
        "hypervisor_type": "QEMU", "hypervisor_version": 7002000, "facts": FACTS,
    }  # fmt: skip
    return HostState(host=name, **values | more)


def stats(**more: int) -> HostStats:
    return HostStats(**more)


def request(
    *, flavor: dict[str, Any] | None = None, extra: dict[str, str] | None = None, image: dict[str, str] | None = None,
    hints: dict[str, list[str]] | None = None, group: GroupView | None = None, servers: dict[str, str] | None = None,
    **spec: Any,
) -> FilterRequest:  # fmt: skip
    values: dict[str, Any] = {"id": "1", "name": "small", "vcpus": 1, "memory_mb": 1024, "root_gb": 10}
    made = RequestSpec(
        flavor=Flavor(**values | (flavor or {}), extra_specs=extra or {}),
        image=Image(id="image-1", properties=image or {}), scheduler_hints=hints or {}, **spec,
    )  # fmt: skip
    found = FilterRequest.of(made)
    found.group, found.server_hosts = group, servers or {}
    return found


def group(policy: str, hosts: dict[str, int] | None = None, **rules: int) -> GroupView:
    return GroupView(uuid="g", policy=policy, rules=rules, hosts=hosts or {})

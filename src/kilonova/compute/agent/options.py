"""Options of a compute host."""

from __future__ import annotations

from typing import Annotated

import msgspec

from kilonova.compute.options import INSTANCE_NAME
from kilonova.core.config import derived, doc

TIMEOUT_ACTIONS = ("abort", "force_complete")


class AgentOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Of a compute host, and of its network agent as far as both need it."""

    host: Annotated[str, doc('Name of this host in the cloud; "": the machine\'s name.')] = ""
    host_ip: Annotated[
        str,
        doc(
            "Address of this host at which other hosts and console proxies reach its disks, guests and consoles; "
            "hypervisor lists show it."
        ),
    ] = "127.0.0.1"
    transfer_port: Annotated[
        int,
        doc("Port of host_ip where disks are served to the hosts that take servers over; 0: any that is free.", ge=0),
    ] = 0
    live_migration_port: Annotated[
        int,
        doc(
            "Port of host_ip where guests that come from other hosts while they run are awaited; 0: any that is free.",
            ge=0,
        ),
    ] = 0
    live_migration_timeout: Annotated[
        float,
        doc(
            "Seconds that a live migration may take for each GiB of memory and of disks that are copied, counted as "
            "2 GiB at least; 0: any time.",
            ge=0,
        ),
    ] = 800.0
    live_migration_timeout_action: Annotated[
        str, doc("What then happens: abort, or force_complete, which pauses the guest until it is there.")
    ] = "abort"
    driver: Annotated[str, doc("Hypervisor driver: libvirt, fake, or one of an installed package.")] = "libvirt"
    max_concurrent_builds: Annotated[int, doc("Servers that are built here at once; others wait.", ge=1)] = 10
    heartbeat: Annotated[float, doc("Seconds between two reports of this host.", gt=0)] = 10.0
    reserved_memory_mb: Annotated[int, doc("Memory kept for the host itself, in MiB.", ge=0)] = 512
    reserved_disk_gb: Annotated[int, doc("Disk kept for the host itself, in GiB.", ge=0)] = 0
    reserved_vcpus: Annotated[int, doc("Virtual CPUs kept for the host itself.", ge=0)] = 0
    cpu_ratio: Annotated[float, doc("Virtual CPUs given to guests for each CPU of the host.", gt=0)] = 4.0
    ram_ratio: Annotated[float, doc("Memory given to guests for each MiB of the host.", gt=0)] = 1.0
    disk_ratio: Annotated[float, doc("Disk given to guests for each GiB of the host.", gt=0)] = 1.0
    vif_plugging_timeout: Annotated[float, doc("Seconds that a guest's start waits for network-vif-plugged.", ge=0)] = (
        300.0
    )
    vif_plugging_is_fatal: Annotated[bool, doc("Whether the start fails when that event does not come.")] = True
    plug_again: Annotated[
        float, doc("Seconds without that event after which the network is asked once more.", gt=0)
    ] = 5.0
    service_patience: Annotated[
        float, doc("Seconds that a launch retries while the network or image service is unreachable.", ge=0)
    ] = 30.0
    shutdown_timeout: Annotated[float, doc("Seconds a guest has to shut down before it is switched off.", ge=0)] = 60.0
    running_timeout: Annotated[float, doc("Seconds a started guest has to be seen running.", gt=0)] = 60.0
    build_resumes: Annotated[int, doc("How often a build is resumed that a crash of this agent cut off.", ge=0)] = 2
    stop_grace: Annotated[float, doc("Seconds a stopping agent waits for work in progress.", ge=0)] = 5.0
    force_config_drive: Annotated[bool, doc("Whether every server gets a config drive.")] = False
    inject: Annotated[bool, doc("Whether key, network settings and files are written into the guest's disk.")] = False
    resume_guests_on_boot: Annotated[
        bool, doc("Whether guests that were running are started again after the host was off.")
    ] = True
    dhcp_domain: Annotated[str, doc("Domain that a guest's host name is completed with.")] = "novalocal"
    instance_name_template: Annotated[str, derived("compute.instance_name_template")] = INSTANCE_NAME

    def __post_init__(self) -> None:
        if self.live_migration_timeout_action not in TIMEOUT_ACTIONS:
            raise ValueError(f"live_migration_timeout_action must be one of {', '.join(TIMEOUT_ACTIONS)}")

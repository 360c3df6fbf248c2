"""Options of a compute host."""

from __future__ import annotations

import msgspec


class AgentOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes in MiB and GiB, times in seconds. `service_patience`: how long a launch waits for the network or image service when
    it is away. `plug_again`: after how long without its word the network is asked once more.

    `inject` also writes key and files into the disk; `force_config_drive` gives every server a config drive."""

    host: str = ""  # "": the machine's name
    host_ip: str = "127.0.0.1"
    driver: str = "libvirt"
    max_concurrent_builds: int = 10
    heartbeat: float = 10.0
    reserved_memory_mb: int = 512
    reserved_disk_gb: int = 0
    reserved_vcpus: int = 0
    cpu_ratio: float = 4.0
    ram_ratio: float = 1.0
    disk_ratio: float = 1.0
    vif_plugging_timeout: float = 300.0
    vif_plugging_is_fatal: bool = True
    plug_again: float = 5.0
    service_patience: float = 30.0
    shutdown_timeout: float = 60.0
    running_timeout: float = 60.0
    build_resumes: int = 2  # how often a build cut off by a crash of the agent is taken up again
    stop_grace: float = 5.0  # how long a stopping agent waits for work in progress
    force_config_drive: bool = False
    inject: bool = False
    resume_guests_on_boot: bool = True
    instance_name_template: str = "instance-%08x"  # the domain's name, made of the server's number
    dhcp_domain: str = "novalocal"

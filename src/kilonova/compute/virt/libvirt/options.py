"""What an operator may say about the libvirt driver, and the facts of a host that a definition depends on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from kilonova.core.ceph.options import CephOptions
from kilonova.core.config import derived, doc

VIRT_TYPES = ("kvm", "qemu")
KNOWS_CPU_WORDS = 6_000_000  # from this version libvirt knows the capability that `ask_cpu` is about
CPU_MODES = ("default", "none", "host-model", "host-passthrough", "maximum", "custom")


class LibvirtOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of the libvirt driver."""

    uri: Annotated[str, doc("Where libvirtd is reached.")] = "qemu:///system"
    virt_type: Annotated[str, doc("kvm, qemu, or auto: kvm if a guest really runs with it, else qemu.")] = "auto"
    cpu_mode: Annotated[
        str,
        doc(
            "CPU mode of guests: none, host-model, host-passthrough, maximum, custom, or default: host-model with kvm."
        ),
    ] = "default"
    cpu_model: Annotated[str | None, doc("CPU model of guests, for cpu_mode custom.")] = None
    ask_emulated_cpu: Annotated[
        bool, doc("Whether libvirt asks an emulated guest for each CPU feature at its start; slow.")
    ] = False
    machine: Annotated[str, doc("Machine type of guests whose image names none.")] = "q35"
    disk_cache: Annotated[str, doc("Cache mode of guests' disks; none needs O_DIRECT on their file system.")] = "none"
    cloud: Annotated[
        str, doc('Mark of this cloud\'s guests on a libvirtd that others use too; "": the path of the state directory.')
    ] = ""
    migration_dir: Annotated[
        Path,
        doc(
            "Folder of sockets of guests on their way to another host; the same on all hosts, its owner runs the guests."
        ),
    ] = Path("/var/lib/libvirt/qemu")
    migration_downtime: Annotated[
        int, doc("Milliseconds that a guest may be still at the end of a live migration.", ge=1)
    ] = 300
    migration_bandwidth: Annotated[
        int, doc("MiB per second that a live migration may take; 0: all there is.", ge=0)
    ] = 0
    start_daemons: Annotated[bool, doc("Whether libvirt's daemons are started where no init system does.")] = True
    workers: Annotated[int, doc("Calls to libvirtd at once; it serves five of one client.", ge=1)] = 6
    call_timeout: Annotated[float, doc("Seconds that one call to libvirtd may take.", gt=0)] = 120.0
    state_dir: Annotated[Path, derived()] = Path("/var/lib/kilonova")
    guest_user: Annotated[str, derived()] = "libvirt-qemu"
    ceph: Annotated[CephOptions, derived()] = CephOptions()

    def __post_init__(self) -> None:
        if self.virt_type not in ("auto", *VIRT_TYPES):
            raise ValueError(f"virt_type must be auto, kvm or qemu, not {self.virt_type!r}")
        if self.cpu_mode not in CPU_MODES:
            raise ValueError(f"cpu_mode must be one of {', '.join(CPU_MODES)}, not {self.cpu_mode!r}")
        if (self.cpu_mode == "custom") != (self.cpu_model is not None):
            raise ValueError("cpu_mode custom and cpu_model belong together")

    @property
    def mark(self) -> str:
        """The mark of our domains: those of another cloud on the same libvirtd have another."""
        return self.cloud or str(self.state_dir)


class HostFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a domain definition depends on besides the guest itself."""

    virt_type: str = "qemu"  # kvm | qemu
    arch: str = "x86_64"
    machine: str = "q35"
    cpu_mode: str = "default"
    cpu_model: str | None = None
    ask_cpu: bool = True  # libvirt asks the started guest for each CPU feature
    disk_cache: str = "none"
    ceph: CephOptions = CephOptions()
    cloud: str = "kilonova"

    @classmethod
    def of(cls, options: LibvirtOptions, *, virt_type: str, arch: str, version: int) -> HostFacts:
        """`version` is libvirt's own number: 9000000 is 9.0.0."""
        known = version >= KNOWS_CPU_WORDS and arch == "x86_64" and virt_type == "qemu"
        return cls(
            virt_type=virt_type,
            arch=arch,
            machine=options.machine,
            cpu_mode=options.cpu_mode,
            cpu_model=options.cpu_model,
            ask_cpu=options.ask_emulated_cpu or not known,
            disk_cache=options.disk_cache,
            ceph=options.ceph,
            cloud=options.mark,
        )

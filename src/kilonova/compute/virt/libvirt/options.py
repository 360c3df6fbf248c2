"""What an operator may say about the libvirt driver, and the facts of a host that a definition depends on."""

from __future__ import annotations

from pathlib import Path

import msgspec

VIRT_TYPES = ("kvm", "qemu")
KNOWS_CPU_WORDS = 6_000_000  # from this version libvirt knows the capability that `ask_cpu` is about
CPU_MODES = ("default", "none", "host-model", "host-passthrough", "maximum", "custom")


class LibvirtOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of the libvirt driver. Times in seconds. `ask_emulated_cpu`: let libvirt ask each emulated guest for all its CPU
    features, one by one, at start."""

    uri: str = "qemu:///system"
    virt_type: str = "auto"  # auto: kvm if a guest really runs with it, else qemu
    cpu_mode: str = "default"  # default: host-model under kvm, none under qemu
    cpu_model: str | None = None  # for cpu_mode custom
    ask_emulated_cpu: bool = False
    machine: str = "q35"
    disk_cache: str = "none"  # needs O_DIRECT on the state directory's file system
    state_dir: Path = Path("/var/lib/kilonova")
    cloud: str = ""  # only domains marked with this word are ours; "": the state directory's path
    start_daemons: bool = True  # where no init system does
    workers: int = 6  # libvirtd serves five calls of one client at a time
    call_timeout: float = 120.0

    def __post_init__(self) -> None:
        if self.virt_type not in ("auto", *VIRT_TYPES):
            raise ValueError(f"virt_type must be auto, kvm or qemu, not {self.virt_type!r}")
        if self.cpu_mode not in CPU_MODES:
            raise ValueError(f"cpu_mode must be one of {', '.join(CPU_MODES)}, not {self.cpu_mode!r}")
        if (self.cpu_mode == "custom") != (self.cpu_model is not None):
            raise ValueError("cpu_mode custom and cpu_model belong together")

    @property
    def mark(self) -> str:
        """Tells our domains from those of another cloud on the same libvirtd."""
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
            cloud=options.mark,
        )

"""`kilonova doctor`: what this machine has, what it lacks, and the command that installs what is missing."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from kilonova.cli.common import CONFIG, FORMAT, STATE, console, print_json, settings_of
from kilonova.compute.virt.driver import HypervisorUnavailable
from kilonova.compute.virt.libvirt.probe import probe

SEARCH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
PROGRAMS: tuple[tuple[str, str, str], ...] = (
    # program, Debian package, what for
    ("qemu-system-x86_64", "qemu-system-x86", "runs guests"),
    ("qemu-img", "qemu-utils", "makes disks"),
    ("qemu-storage-daemon", "qemu-utils", "injects files into disks"),
    ("fusermount3", "fuse3", "injects files into disks"),
    ("debugfs", "e2fsprogs", "injects files into disks"),
    ("libvirtd", "libvirt-daemon-system", "manages guests"),
    ("virtlogd", "libvirt-daemon-system", "keeps the guests' console logs"),
    ("dnsmasq", "dnsmasq-base", "gives guests their addresses"),
    ("iptables-restore", "iptables", "security groups"),
    ("nft", "nftables", "anti-spoofing"),
    ("ip", "iproute2", "bridges and namespaces"),
    ("conntrack", "conntrack", "cuts connections when a rule goes"),
    ("extlinux", "extlinux", "kilonova image build-guest"),
    ("dropbear", "dropbear-bin", "kilonova image build-guest"),
    ("busybox", "busybox-static", "kilonova image build-guest"),
    ("cpio", "cpio", "kilonova image build-guest"),
    ("depmod", "kmod", "kilonova image build-guest"),
    ("strip", "binutils", "kilonova image build-guest"),
    ("openssl", "openssl", "kilonova image build-guest"),
)
DEVICES = (("/dev/net/tun", "taps of guests"), ("/dev/fuse", "injects files into disks"))


class Finding(msgspec.Struct):
    """`needed_for` is what does not work without it; `package` installs it where there is one."""

    what: str
    good: bool
    note: str
    needed_for: str = ""
    package: str | None = None


def doctor(state: Path | None = STATE, config: Path | None = CONFIG, format: str = FORMAT) -> None:
    """Print what is installed, what is missing and how to install it; try KVM by really starting a guest.

    Exit code 0 when real guests can run here, 1 when something is missing."""
    settings = settings_of(state, config)
    findings = [*_programs(), _libvirt_module(), *_devices(), _root(), *asyncio.run(_hypervisor(settings.state_dir))]
    missing = sorted({f.package for f in findings if not f.good and f.package})
    advice = f"apt-get install --no-install-recommends {' '.join(missing)}" if missing else ""
    good = all(f.good for f in findings)
    if format == "json":
        print_json({"good": good, "install": advice, "findings": findings})
    else:
        _show(findings, advice, good)
    raise typer.Exit(0 if good else 1)


def _programs() -> list[Finding]:
    found = []
    for program, package, purpose in PROGRAMS:
        path = shutil.which(program, path=SEARCH)
        found.append(Finding(program, path is not None, path or f"not installed ({package})", purpose, package))
    return found


def _libvirt_module() -> Finding:
    there = importlib.util.find_spec("libvirt") is not None
    return Finding("libvirt for Python", there, "" if there else "not installed", "manages guests", "python3-libvirt")


def _devices() -> list[Finding]:
    return [
        Finding(path, os.access(path, os.R_OK | os.W_OK), "" if Path(path).exists() else "not there", purpose)
        for path, purpose in DEVICES
    ]


def _root() -> Finding:
    root = os.geteuid() == 0
    return Finding("root", root, "" if root else "without root only `kilonova up --driver fake` works", "real guests")


async def _hypervisor(state_dir: Path) -> list[Finding]:
    """One guest is started with KVM, and one emulated where that fails. Only emulation failing is an ailment."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            verdict = await probe(Path(scratch) / "probe.json")
        except HypervisorUnavailable as error:
            return [Finding("a guest", False, str(error), "real guests", "qemu-system-x86")]
    note = "runs with KVM" if verdict.virt_type == "kvm" else f"runs emulated, slower; KVM: {verdict.reason}"
    return [Finding("a guest", True, note, "real guests")]


def _show(findings: list[Finding], advice: str, good: bool) -> None:
    table = Table("", "what", "needed for", "", box=None, header_style="dim")
    for item in findings:
        mark = "[green]✓[/green]" if item.good else "[red]✗[/red]"
        table.add_row(mark, item.what, item.needed_for, escape(item.note))
    console.print(table)
    if advice:
        console.print(f"\ninstall what is missing with:\n  {advice}", highlight=False, soft_wrap=True)
    if good:
        console.print("\n[green]real guests can run here[/green]")

"""A real guest: from POST to ACTIVE, split into its steps, beside libvirt's bare `virsh define` and `virsh start`.

Needs root, libvirt and the guest's image (built at first). A cloud of its own comes up with real libvirt and the bridge data
plane. One server, the first with its image fetched, stays as neighbour so that network and libvirt are at work. Then, in
turn: a server with one port is launched, its domain's XML and disk are copied, it is deleted, and the very same domain is
defined and started by virsh under another name, with a disk and a tap of its own on the same bridge; and once more without
what the driver says only to make libvirt faster."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import shutil
import subprocess
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lxml import etree

from benchmarks.clouds import end_libvirt, workplace
from benchmarks.results import Row
from kilonova.cli.trace import timeline
from kilonova.compute.steps import STEPS
from kilonova.compute.virt.libvirt.domain_xml import QEMU
from kilonova.guest.build import build_guest
from tests.host.guest_cloud.clouds import own_cloud
from tests.process.cloud.harness import Api

PER_ROUND = 3  # launches
POLL = 0.02  # seconds between a client's looks
BOOT = 60.0
FLAVOR = {"flavor": {"name": "m1.real", "vcpus": 1, "ram": 128, "disk": 1}}
TAP = "benchtap0"
Steps = dict[str, float]


class Launches:
    """Launches in one cloud, all alike."""

    def __init__(self, api: Api, disk: Path) -> None:
        self.api = api
        self.image = api.image("disk", disk.read_bytes(), disk_format="qcow2")
        self.network = api.network("real", "10.67.0.0/24")
        self.flavor = str(api.ok("POST", "compute", "/flavors", FLAVOR)["flavor"]["id"])

    def one(self) -> tuple[str, float, Steps]:
        """(its id, seconds from POST to ACTIVE as a client sees it, milliseconds of each step)."""
        began = time.perf_counter()
        server = self.api.launch(self.image, [{"uuid": self.network}], flavorRef=self.flavor)
        while (status := self.api.server(server)["status"]) == "BUILD":
            time.sleep(POLL)
        took = time.perf_counter() - began
        if status != "ACTIVE":
            raise RuntimeError(f"a server failed: {self.api.server(server)['fault']}")
        return server, took, self._steps(server)

    def _steps(self, server: str) -> Steps:
        base = f"/servers/{server}/os-instance-actions"
        request = self.api.ok("GET", "compute", base)["instanceActions"][0]["request_id"]
        action = self.api.ok("GET", "compute", f"{base}/{request}")["instanceAction"]
        return {step.step: step.duration_ms or 0.0 for step in timeline(action).steps}

    def wait_booted(self, server: str) -> None:
        """Until the guest is idle."""
        until = time.monotonic() + BOOT
        console = {"os-getConsoleOutput": {}}
        while "login:" not in self.api.ok("POST", "compute", f"/servers/{server}/action", console)["output"]:
            if time.monotonic() > until:
                raise RuntimeError("the neighbour did not boot")
            time.sleep(0.5)

    def delete(self, server: str) -> None:
        self.api.ok("DELETE", "compute", f"/servers/{server}")
        self.api.wait_gone(server)


def virsh(*words: str) -> str:
    command = ["virsh", "-q", "-c", "qemu:///system", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def copied(server: str, folder: Path) -> Path:
    """The definition of the server's domain, with a name, an id and files of its own."""
    domain = etree.fromstring(virsh("dumpxml", "--inactive", server).encode())
    own = str(uuid.uuid4())
    for path, text in (("name", f"bench-{own[:8]}"), ("uuid", own)):
        domain.find(path).text = text
    for entry in domain.iterfind("sysinfo/system/entry"):
        if entry.get("name") in ("uuid", "serial"):
            entry.text = own
    domain.remove(domain.find("metadata"))  # or the cloud would take it for one of its own
    disk = domain.find("devices/disk/source")
    shutil.copyfile(disk.get("file"), folder / "disk")
    disk.set("file", str(folder / "disk"))
    domain.find("devices/serial/log").set("file", str(folder / "console.log"))
    domain.find("devices/interface/target").set("dev", TAP)
    file = folder / "domain.xml"
    file.write_bytes(etree.tostring(domain))
    return file


def unhurried(definition: Path) -> Path:
    """The same domain without what only saves libvirt questions."""
    domain = etree.fromstring(definition.read_bytes())
    for node in domain.iterfind(f"{{{QEMU}}}capabilities"):
        domain.remove(node)
    definition.write_bytes(etree.tostring(domain))
    return definition


def bare(definition: Path) -> tuple[float, float, float]:
    """Milliseconds of define, of start, of destroy and undefine together."""
    name = re.search("<name>(.*?)</name>", definition.read_text())[1]  # type: ignore[index]
    times = [time.perf_counter()]
    virsh("define", str(definition))
    try:
        times.append(time.perf_counter())
        virsh("start", name)
        times.append(time.perf_counter())
        virsh("destroy", name)
    finally:
        virsh("undefine", name)
        times.append(time.perf_counter())
    define, start, end = ((b - a) * 1000 for a, b in itertools.pairwise(times))
    return define, start, end


@contextmanager
def launches() -> Iterator[tuple[Launches, Path]]:
    """In a cloud of its own, and a folder for copies that guests can reach."""
    if os.geteuid() != 0:
        raise RuntimeError("real guests need root")
    cache = Path(os.environ.get("KILONOVA_CACHE", Path.home() / ".cache" / "kilonova"))
    images = asyncio.run(build_guest(cache / "guest", lambda _text, _fraction: None))
    with end_libvirt(), workplace() as folder, own_cloud("kb") as (cloud, _env):
        shutil.chown(folder, "libvirt-qemu")
        yield Launches(cloud.api(), images.disk_qcow2), folder


def run(rounds: int) -> list[Row]:
    whole, steps, without, plain = [], defaultdict(list), [], []
    with launches() as (made, folder):
        neighbour, first, first_steps = made.one()
        made.wait_booted(neighbour)
        for _ in range(rounds * PER_ROUND):
            server, took, split = made.one()
            whole.append(took * 1000)
            for name, ms in split.items():
                steps[name].append(ms)
            definition = copied(server, folder)
            made.delete(server)
            without.append(bare(definition))
            plain.append(bare(unhurried(definition)))
    alone = [define + start for define, start, _ in without]
    return [
        Row(what="POST to ACTIVE, one port, the host's first: image fetched", unit="ms", samples=[first * 1000]),
        Row(what="… of which image", unit="ms", samples=[first_steps["image"]]),
        Row(what="POST to ACTIVE, one port, image there", unit="ms", samples=whole, asked=800),
        *(Row(what=f"… {s.name}", unit="ms", samples=steps[s.name]) for s in STEPS if s.name in steps),
        Row(what="virsh define", unit="ms", samples=[define for define, _, _ in without]),
        Row(what="virsh start", unit="ms", samples=[start for _, start, _ in without]),
        Row(what="virsh destroy and undefine", unit="ms", samples=[end for _, _, end in without]),
        Row(what="virsh define and start, libvirt asking for each CPU feature", unit="ms",
            samples=[define + start for define, start, _ in plain]),
        Row(what="POST to ACTIVE less virsh define and start", unit="ms",
            samples=[w - a for w, a in zip(whole, alone, strict=True)]),
        Row(what="POST to ACTIVE through virsh define and start", unit="×",
            samples=[w / a for w, a in zip(whole, alone, strict=True)]),
    ]  # fmt: skip

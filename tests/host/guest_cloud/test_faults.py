"""What breaks below a running cloud: libvirt ends, a tool is missing, the disk is full, an image is hostile. Each fault has
one reason, leaves nothing behind, and is over once its cause is repaired."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kilonova.compute.virt.libvirt.daemons import ensure_daemons
from kilonova.guest.build import GuestImages
from tests.eventually import eventually
from tests.host.guest_cloud.clouds import own_cloud
from tests.process.cloud.harness import Api, CloudProcess

pytestmark = pytest.mark.guest
LIBVIRT = "/run/libvirt/libvirt-sock"
TMPFS_MB = 160
SPARE = 6 << 20  # bytes left on a full disk: less than the image has
RELAY = """
import asyncio, sys

async def serve(reader, writer):
    try:
        far_reader, far_writer = await asyncio.open_unix_connection(sys.argv[2])
    except OSError:
        writer.close()
        return
    await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

async def pump(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
    except ConnectionError:
        pass
    writer.close()

async def main():
    await (await asyncio.start_unix_server(serve, sys.argv[1])).serve_forever()

asyncio.run(main())
"""


class Relay:
    """A socket in front of libvirtd's, to cut one cloud's line without harm to others."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", RELAY, str(self.path), LIBVIRT])
        eventually(self.path.exists, "the relay did not start")

    def cut(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.path.unlink(missing_ok=True)
            self.process = None


class Faulty:
    """A cloud on a small disk, behind a relay to libvirt, whose tools are links that a test may remove."""

    def __init__(
        self, cloud: CloudProcess, relay: Relay, tools: Path, env: dict[str, str], images: GuestImages
    ) -> None:
        self.cloud, self.relay, self.tools, self.env = cloud, relay, tools, env
        self.api: Api = (
            cloud.api()
        )  # a small disk has no whole GiB: an administrator may use a flavor that asks for none
        flavor = {"flavor": {"name": "diskless", "vcpus": 1, "ram": 128, "disk": 0}}
        self.flavor = self.api.ok("POST", "compute", "/flavors", flavor)["flavor"]["id"]
        self.disk = images.disk_qcow2.read_bytes()
        self.network = self.api.network("faults", "10.68.0.0/24")
        self.image = self.api.image("disk", self.disk, disk_format="qcow2")

    def launch(self, image: str | None = None, network: str | None = None) -> str:
        return self.api.launch(image or self.image, [{"uuid": network or self.network}], flavorRef=self.flavor)

    def works(self, image: str | None = None, network: str | None = None) -> None:
        """A launch comes up, goes away, and nothing is left."""
        server = self.launch(image, network)
        self.api.wait(server, "ACTIVE", timeout=300)
        self.remove(server)

    def fails(self, *words: str, image: str | None = None, network: str | None = None) -> str:
        """A launch ends in ERROR; an admin reads all `words` in its fault, and no port or file of it stays. Its id."""
        server = self.launch(image, network)
        fault = self.api.wait(server, "ERROR", timeout=300)["fault"]
        text = f"{fault['message']}\n{fault['details']}"
        assert [word for word in words if word not in text] == [], text
        assert str(self.cloud.state) not in fault["message"]
        assert self.api.ok("GET", "network", f"/ports?device_id={server}")["ports"] == []
        assert not (self.cloud.state / "instances" / server).exists()
        return server

    def remove(self, server: str) -> None:
        self.api.ok("DELETE", "compute", f"/servers/{server}")
        self.api.wait_gone(server)
        assert self.cloud.verify() == []


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={TMPFS_MB}m,mode=711", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def linked_tools(folder: Path) -> Path:
    """A directory of links to all programs."""
    folder.mkdir()
    for place in ("/usr/sbin", "/usr/bin", "/sbin", "/bin"):
        for program in os.scandir(place):
            if not (folder / program.name).is_symlink():
                (folder / program.name).symlink_to(program.path)
    return folder


@pytest.fixture(scope="module")
def faulty(guest_images: GuestImages) -> Iterator[Faulty]:
    if os.geteuid() != 0:
        pytest.skip("real guests need root")
    base = Path(tempfile.mkdtemp(prefix="kilonova-faults-", dir="/var/tmp"))
    base.chmod(0o711)
    (base / "state").mkdir()
    asyncio.run(ensure_daemons())  # the cloud behind the relay may not
    relay, tools = Relay(base / "libvirt"), linked_tools(base / "bin")
    relay.start()
    options = {
        "uri": f"qemu+unix:///system?socket={relay.path}", "start_daemons": False, "disk_cache": "writeback",
    }  # fmt: skip
    settings = {
        "KILONOVA_DRIVER_LIBVIRT": json.dumps(options), "KILONOVA_IMAGE_STORE_DIR": str(base / "images"),
        "PATH": str(tools),
    }  # fmt: skip
    try:
        with small_disk(base / "state") as state, own_cloud("kf", state, **settings) as (cloud, env):
            yield Faulty(cloud, relay, tools, env, guest_images)
            if relay.process is None:
                relay.start()
    finally:
        relay.cut()
        shutil.rmtree(base)


def test_the_disk_is_full_while_an_image_is_fetched(faulty: Faulty) -> None:
    state = faulty.cloud.state
    ballast = state / "ballast"
    with ballast.open("wb") as file:
        room = os.statvfs(state)
        os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - SPARE)
    server = faulty.fails("image: no space is left on the host's disk")
    assert [path.name for path in (state / "_base").iterdir() if path.name != ".locks"] == []
    assert faulty.cloud.verify() == []
    ballast.unlink()
    faulty.remove(server)
    faulty.works()


def test_libvirt_ends(faulty: Faulty) -> None:
    running = faulty.launch()
    faulty.api.wait(running, "ACTIVE", timeout=300)
    faulty.relay.cut()
    server = faulty.launch()
    fault = faulty.api.wait(server, "ERROR", timeout=300)["fault"]
    assert "accept: the hypervisor is unreachable" in fault["message"]
    assert faulty.api.ok("GET", "network", f"/ports?device_id={server}")["ports"] == []
    assert not (faulty.cloud.state / "instances" / server).exists()
    # it still exists for requests that only read
    assert faulty.api.server(running)["status"] == "ACTIVE"
    assert len(faulty.api.ok("GET", "compute", "/servers")["servers"]) == 2
    faulty.relay.start()
    faulty.remove(server)
    faulty.remove(running)
    faulty.works()


def test_libvirt_is_not_running_at_the_start(faulty: Faulty) -> None:
    faulty.cloud.stop()
    faulty.relay.cut()
    ended = up(faulty)
    assert ended.returncode == 2, ended.stderr
    assert "can't reach libvirt" in ended.stderr
    assert "systemctl start libvirtd" in ended.stderr
    assert "Traceback" not in ended.stderr
    faulty.relay.start()


def test_libvirt_ends_in_the_middle_of_a_launch(faulty: Faulty) -> None:
    """The defined guest can't be undone while libvirt is not running: it is once libvirt is back, also by a new process."""
    for restarted in (False, True):
        faulty.cloud.stop()
        gate = faulty.cloud.state / f"start-{restarted}"
        faulty.cloud.start(**faulty.env, KILONOVA_FAULTS=f"step=start,when=before,do=wait:{gate}")
        server = faulty.launch()
        eventually(lambda server=server: server in domains(), "the guest is not defined")
        faulty.relay.cut()
        gate.touch()
        fault = faulty.api.wait(server, "ERROR", timeout=300)["fault"]
        assert "start: the hypervisor is unreachable" in fault["message"]
        assert server in domains()
        if restarted:
            faulty.cloud.kill()
        faulty.relay.start()
        if restarted:
            faulty.cloud.start(**faulty.env)
        faulty.remove(server)
        assert server not in domains()


def domains() -> list[str]:
    listed = subprocess.run(
        ["virsh", "list", "--all", "--uuid"], capture_output=True, text=True, check=True, timeout=30
    )
    return listed.stdout.split()


def test_dnsmasq_is_missing(faulty: Faulty) -> None:
    dnsmasq = faulty.tools / "dnsmasq"
    real = dnsmasq.readlink()
    dnsmasq.unlink()
    fresh = faulty.api.network("fresh", "10.69.0.0/24")
    server = faulty.fails("plug: ", "dnsmasq not found: install the package dnsmasq-base", network=fresh)
    faulty.cloud.stop()
    ended = up(faulty)
    assert ended.returncode == 2
    assert "dnsmasq not found: install the package dnsmasq-base" in ended.stderr
    dnsmasq.symlink_to(real)
    faulty.cloud.start(**faulty.env)
    faulty.remove(server)
    faulty.works(network=fresh)


def up(faulty: Faulty) -> subprocess.CompletedProcess[str]:
    words = ["up", "--state", str(faulty.cloud.state), "--port", str(faulty.cloud.port), "--driver", "libvirt"]
    return subprocess.run(
        [sys.executable, "-m", "kilonova", *words], env=os.environ | faulty.env, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        ["-b", "/etc/passwd", "-F", "raw"],
        ["-b", "json:{\"driver\": \"raw\", \"file\": {\"driver\": \"file\", \"filename\": \"/etc/passwd\"}}", "-F", "raw"],
        ["-o", "data_file=/etc/passwd,data_file_raw=on"],
    ],
)  # fmt: skip
def test_a_hostile_image_is_refused(faulty: Faulty, tmp_path: Path, options: list[str]) -> None:
    file = tmp_path / "evil.qcow2"
    if options[0] == "-o":
        options = ["-o", f"data_file={tmp_path}/data,data_file_raw=on"]
    subprocess.run(["qemu-img", "create", "-q", "-u", "-f", "qcow2", *options, str(file), "1M"], check=True)
    for disk_format in ("qcow2", "raw"):
        body = {"name": "evil", "disk_format": disk_format, "container_format": "bare"}
        image = faulty.api.ok("POST", "image", "/images", body)["id"]
        answer = faulty.api(
            "PUT", "image", f"/images/{image}/file", content=file.read_bytes(),
            headers={"Content-Type": "application/octet-stream"},
        )  # fmt: skip
        assert answer.status_code == 415, answer.text
        assert faulty.api.ok("GET", "image", f"/images/{image}")["status"] == "queued"
        wanted = {"name": "evil", "imageRef": image, "flavorRef": faulty.flavor, "networks": "none"}
        assert faulty.api("POST", "compute", "/servers", {"server": wanted}).status_code == 400
        faulty.api.ok("DELETE", "image", f"/images/{image}")
    assert faulty.cloud.verify() == []

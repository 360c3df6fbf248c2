"""`python -m kilonova.testing`: a cluster of two virtual hosts on this machine, kept running. What `make cluster` calls."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import typer

from kilonova.cli.common import is_alive
from kilonova.core.clock import SYSTEM
from kilonova.testing.cluster import ClusterFailed
from kilonova.testing.engines import Engine, EngineFailed
from kilonova.testing.hosted import HostedCluster
from kilonova.testing.hosts import HostFailed, Underlay, VirtualHost, holders
from kilonova.testing.memory import pss

FOLDER = Path(os.environ.get("KILONOVA_CLUSTER", "/var/lib/kilonova-cluster"))
UNDERLAY = Underlay("kn", 240)
LAYOUT = {
    "identity": 2, "image": 2, "placement": 2, "network-api": 2, "compute-api": 2, "metadata": 2, "conductor": 2,
    "scheduler": 2,
}  # fmt: skip
SECRETS = ("admin_password", "demo_password", "service_password", "metadata_secret")
START_TIMEOUT, STOP_TIMEOUT = 180.0, 120.0
LOOK = 0.5  # seconds between two checks for processes that died
REST = 1.0  # seconds that a dead process stays dead, as under systemd
FAILURES = (ClusterFailed, EngineFailed, HostFailed)

app = typer.Typer(name="python -m kilonova.testing", help=__doc__, no_args_is_help=True, rich_markup_mode=None)


class Part(msgspec.Struct):
    """One process as `status` shows it. `pid` 0: it does not run."""

    name: str
    pid: int
    where: str
    log: str


class Standing(msgspec.Struct):
    """What a running cluster says of itself in `standing.json`. `pid`: the process that keeps it."""

    pid: int
    parts: list[Part]


class Keeper:
    """Starts a cluster, starts again what dies, and ends all of it on SIGTERM."""

    def __init__(self) -> None:
        self.ending = False
        self._published: list[Part] = []
        made = {name: SYSTEM.random_bytes(12).hex() for name in SECRETS}
        settings = {"secrets": made, "cloud": {"state_dir": str(FOLDER / "state")}}
        self.cluster = HostedCluster(
            FOLDER, UNDERLAY.start(), LAYOUT, balanced=True, settings=settings,
            progress=lambda text: print(f"starting {text}", flush=True),
        )  # fmt: skip

    def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        try:
            with self.cluster:
                while not self.ending:
                    self._publish()
                    time.sleep(LOOK)
                    self._revive()
        finally:
            UNDERLAY.remove()
            (FOLDER / "standing.json").unlink(missing_ok=True)

    def _end(self, *_: object) -> None:
        self.ending = True

    def _revive(self) -> None:
        """What died, but for what lived on a host that is dead itself."""
        cluster = self.cluster
        dead = [name for name, process in cluster.processes.items() if not process.is_alive()]
        dead = [name for name in dead if (at := name.partition("@")[2]) not in cluster.hosts or cluster.hosts[at].alive]
        dead += [name for name, engine in cluster.engines.items() if not _pid(engine)]
        if not dead:
            return
        self._publish()
        time.sleep(REST)
        for name in dead:
            with contextlib.suppress(*FAILURES):  # it is tried again at the next look
                if name in cluster.engines:
                    cluster.kill(name)  # what it left of itself
                cluster.start_process(name, ready=False)

    def _publish(self) -> None:
        parts = list(self._parts())
        if parts != self._published:
            fresh = FOLDER / "standing.json.new"
            fresh.write_bytes(msgspec.json.encode(Standing(os.getpid(), parts)))
            fresh.replace(FOLDER / "standing.json")
            self._published = parts

    def _parts(self) -> Iterator[Part]:
        for name, engine in self.cluster.engines.items():
            yield Part(name, _pid(engine), f"{engine.address}:{engine.port}", str(engine.log))
        for name, process in self.cluster.processes.items():
            pid = process.pid if process.is_alive() else 0
            yield Part(name, pid, f"{process.address}:{process.port}", str(process.log))


def _pid(engine: Engine) -> int:
    """0 when it does not run."""
    return engine.process.pid if engine.process and engine.process.poll() is None else 0


def standing() -> Standing | None:
    """The cluster that runs from FOLDER, if one does."""
    try:
        found = msgspec.json.decode((FOLDER / "standing.json").read_bytes(), type=Standing)
    except (OSError, msgspec.DecodeError):
        return None
    return found if is_alive(found.pid) else None


def fail(text: object) -> typer.Exit:
    print(f"cluster: {text}", file=sys.stderr)
    return typer.Exit(2)


@app.command()
def up() -> None:
    """Start it in the background and return when all of it is ready. Nothing happens when it runs."""
    if os.geteuid() != 0:
        raise fail("virtual hosts need root")
    if standing() is not None:
        print("the cluster runs already")
        return
    clear()
    FOLDER.mkdir(parents=True)
    FOLDER.chmod(0o755)  # engines and guests run as users of their own
    log = FOLDER / "keeper.log"
    with log.open("wb") as output:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "kilonova.testing", "keep"], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
    until = SYSTEM.monotonic() + START_TIMEOUT
    with log.open() as said:
        while standing() is None:
            ended = keeper.poll() is not None
            print(said.read(), end="", flush=True)
            if ended:
                raise fail(f"it did not start (logs: {FOLDER}/logs)")
            if SYSTEM.monotonic() > until:
                keeper.terminate()
                raise fail(f"not ready within {START_TIMEOUT:g} s (logs: {FOLDER}/logs)")
            time.sleep(0.1)


@app.command(hidden=True)
def keep() -> None:
    """Keep it running in the foreground."""
    try:
        Keeper().run()
    except FAILURES as error:
        print(error)
        raise typer.Exit(2) from error


@app.command()
def down() -> None:
    """End all of it, guests included, and remove what it made."""
    found = standing()
    if found is not None:
        os.kill(found.pid, signal.SIGTERM)
        until = SYSTEM.monotonic() + STOP_TIMEOUT
        while standing() is not None and SYSTEM.monotonic() < until:
            time.sleep(0.1)
    clear()


def clear() -> None:
    """Whatever a cluster left: hosts, underlay, files. A killed keeper's processes ended with it."""
    UNDERLAY.remove()
    shutil.rmtree(FOLDER, ignore_errors=True)


@app.command()
def status() -> None:
    """What runs, where, and how much memory each takes (PSS in MB, children included)."""
    found = standing()
    if found is None:
        raise fail("no cluster runs: make cluster")
    total = 0.0
    for part in found.parts:
        size = pss(part.pid)
        total += size
        print(
            f"{part.name:28} {part.where:22} {f'pid {part.pid}' if part.pid else 'dead':12} {size:7.1f} MB  {part.log}"
        )
    for name in sorted(name for name in holders() if name.startswith(f"{UNDERLAY.prefix}-")):
        rest = sum(pss(pid, children=False) for pid in of(name).processes() if not _is_agent(pid, found))
        total += rest
        print(f"{name + ': libvirtd, guests…':68} {rest:7.1f} MB")
    print(f"{'together':68} {total:7.1f} MB")


def _is_agent(pid: int, found: Standing) -> bool:
    return pid in {part.pid for part in found.parts}


@app.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def execute(host: str, command: list[str]) -> None:
    """Run a command inside a host: exec kn-compute1 virsh list."""
    try:
        words = of(host).wrap(*command)
    except HostFailed as error:
        raise fail(error) from error
    os.execvp(words[0], words)  # noqa: S606


@app.command()
def kill(name: str) -> None:
    """SIGKILL to a process or an engine, which comes back, or to all of a host, which stays dead until `boot`."""
    found = standing()
    if found is None:
        raise fail("no cluster runs: make cluster")
    if name in holders():
        of(name).kill()
        return
    pid = next((part.pid for part in found.parts if part.name == name), 0)
    if not pid:
        raise fail(
            f"nothing named {name} runs; there are: {', '.join([*(p.name for p in found.parts if p.pid), *holders()])}"
        )
    os.killpg(pid, signal.SIGKILL)


@app.command()
def boot(host: str) -> None:
    """Start a host that was killed; its agents follow."""
    try:
        of(host).start()
    except HostFailed as error:
        raise fail(error) from error


def of(host: str) -> VirtualHost:
    number = host.removeprefix(f"{UNDERLAY.prefix}-compute")
    if not number.isdecimal():
        raise fail(f"there is no host {host}")
    return VirtualHost(UNDERLAY, f"compute{number}", int(number), FOLDER / f"compute{number}")


if __name__ == "__main__":
    app()

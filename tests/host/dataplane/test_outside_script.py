"""The external network that `make launch` makes, in a namespace as the machine: guests reach the machine's outside."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.lab
SCRIPTS = Path(__file__).parents[3] / "scripts"


class Machine:
    """A namespace with an outside that knows nothing of the external network's addresses."""

    def __init__(self, state: Path) -> None:
        tag = secrets.token_hex(3)
        self.state, self.name, self.world, self.guest = state, f"ktm-{tag}", f"ktw-{tag}", f"ktg-{tag}"

    def ip(self, *words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True, text=True)

    def on(self, place: str, *command: str, check: bool = True) -> str:
        words = ["ip", "netns", "exec", place, *command]
        done = subprocess.run(
            words, check=check, capture_output=True, text=True, env=os.environ | {"KILONOVA_STATE": str(self.state)}
        )
        return done.stdout

    def script(self, function: str) -> None:
        self.on(self.name, "bash", "-c", f". {SCRIPTS}/common.sh; . {SCRIPTS}/outside.sh; {function}")

    def make(self) -> None:
        for place in (self.name, self.world, self.guest):
            self.ip("netns", "add", place)
        self.ip("-n", self.name, "link", "add", "up0", "type", "veth", "peer", "eth0", "netns", self.world)
        for place, device, address in ((self.name, "up0", "192.0.2.1/24"), (self.world, "eth0", "192.0.2.2/24")):
            self.ip("-n", place, "address", "add", address, "dev", device)
            self.ip("-n", place, "link", "set", device, "up")

    def join(self) -> None:
        """A guest's address on the bridge."""
        words = ("master", "kilonova-ext", "type", "veth", "peer", "eth0", "netns", self.guest)
        self.ip("-n", self.name, "link", "add", "guest0", *words)
        self.ip("-n", self.name, "link", "set", "guest0", "up")
        self.ip("-n", self.guest, "address", "add", "203.0.113.10/24", "dev", "eth0")
        self.ip("-n", self.guest, "link", "set", "eth0", "up")
        self.ip("-n", self.guest, "route", "add", "default", "via", "203.0.113.1")

    def reaches(self) -> bool:
        return "1 received" in self.on(self.guest, "ping", "-c", "1", "-W", "2", "192.0.2.2", check=False)

    def links(self) -> str:
        """Names alone: a bridge's address and state change as it is used."""
        return " ".join(line.split("@")[0].split()[0] for line in self.on(self.name, "ip", "-br", "link").splitlines())

    def shown(self) -> tuple[str, str, str]:
        rules = self.on(self.name, "iptables-save", "-t", "nat") + self.on(self.name, "iptables-save", "-t", "filter")
        lines = "\n".join(line for line in rules.splitlines() if line.startswith("-A"))
        return (
            lines,
            self.on(self.name, "cat", "/proc/sys/net/ipv4/ip_forward"),
            self.links(),
        )


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path / "state")
    try:
        made.make()
        yield made
    finally:
        for place in (made.name, made.world, made.guest):
            subprocess.run(["ip", "netns", "delete", place], check=False, capture_output=True)


def test_guests_reach_the_outside_by_nat(machine: Machine) -> None:
    machine.on(machine.name, "sysctl", "-qw", "net.ipv4.ip_forward=0")
    machine.on(machine.name, "iptables", "-P", "FORWARD", "DROP")
    before = machine.shown()
    machine.script("make_outside")
    machine.join()
    assert machine.reaches()
    first = machine.shown()
    machine.script("make_outside")
    assert machine.shown() == first
    assert first[0].count("-j") == 3
    machine.ip("-n", machine.name, "link", "delete", "guest0")
    machine.script("remove_outside")
    assert machine.shown() == before

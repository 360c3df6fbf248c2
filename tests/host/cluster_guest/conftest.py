"""A cluster of two virtual hosts with real guests, and what tests do with them."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kilonova.guest.build import GuestImages
from kilonova.testing.hosted import HostedCluster
from kilonova.testing.hosts import Underlay, VirtualHost
from tests.host.guest_cloud.guests import Guest, Guests
from tests.process.cloud.harness import Api

OUTER_BRIDGE = "br-ex"
"""Where the physical network `public` leads, on a host that a test gives it."""
SETTINGS = {"dataplane": {"bridge_mappings": {"public": OUTER_BRIDGE}}}


class HostedCloud:
    """What tests of one host know as a cloud."""

    def __init__(self, cluster: HostedCluster) -> None:
        self.cluster, self.state = cluster, cluster.folder
        self.hosts = list(cluster.hosts.values())

    def api(self, user: str = "admin", **more: Any) -> Api:
        return Api(self.cluster.url, user, **more)

    def logs(self) -> str:
        """For a test that failed."""
        return "\n".join(f"--- {process.name}\n{process.words(8)}" for process in self.cluster.processes.values())

    def agents(self, host: VirtualHost) -> list[str]:
        """The names of the host's processes."""
        return [name for name, process in self.cluster.processes.items() if process.place is host]

    def verify(self, timeout: float = 20) -> list[dict[str, str]]:
        """What nothing explains, once work in progress had time to end; [] is clean."""
        return self.api().unexplained(timeout)


class HostedGuests(Guests):
    """Guests of an operator, which may choose the host of each. Tests speak to a guest from its network's namespace on
    its own host."""

    cloud: HostedCloud

    def on(self, host: VirtualHost, **fields: Any) -> str:
        """Ask for a guest on this host; its id."""
        return self.ask(availability_zone=f"nova:{host.name}", **fields)

    def guest(self, server_id: str) -> Guest:
        """The guest, once it is ACTIVE."""
        guest = Guest(self, server_id)
        host = self.cloud.cluster.hosts[self.demo.server(server_id)["OS-EXT-SRV-ATTR:host"]]
        guest.inside = functools.partial(self.inside_on, host)
        return guest

    def inside_on(self, host: VirtualHost, command: list[str], *, timeout: float) -> subprocess.CompletedProcess[str]:
        return self.run(host.wrap("ip", "netns", "exec", f"qdhcp-{self.network}", *command), timeout)


@pytest.fixture(scope="package")
def hosted() -> Iterator[HostedCloud]:
    if os.geteuid() != 0:
        pytest.skip("virtual hosts need root")
    folder = Path(tempfile.mkdtemp(prefix="kilonova-hosted-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        with Underlay.claim("kt") as underlay, HostedCluster(folder, underlay, settings=SETTINGS) as cluster:
            yield HostedCloud(cluster)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="package")
def guests(hosted: HostedCloud, guest_images: GuestImages) -> Iterator[HostedGuests]:
    made = HostedGuests(hosted, guest_images, "admin")
    yield made
    made.remove_all()

"""A cluster whose compute hosts are virtual hosts: real guests, bridges and filters, joined by VXLAN.

with Underlay.claim("kt") as underlay, HostedCluster(folder, underlay) as cloud:
    cloud.url("compute")
    cloud.hosts["kt0-compute1"].run("virsh", "list")
    cloud.hosts["kt0-compute1"].kill()            # with its agents
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from kilonova.testing.cluster import Cluster, Layout
from kilonova.testing.hosts import Underlay, VirtualHost

STATE = "/srv/kilonova"  # of a host
AGENTS = ("network-agent", "compute")
CONTROL: dict[str, int] = {
    "identity": 1, "image": 1, "placement": 1, "network-api": 1, "compute-api": 1, "metadata": 1, "conductor": 1,
    "scheduler": 1,
}  # fmt: skip


class HostedCluster(Cluster):
    """`hosts` virtual hosts named `<underlay's prefix>-compute1` and so on, with a network agent and a compute agent each; all
    else runs on this machine, `layout` as Cluster takes it. Needs a started underlay. `folder` must be searchable by
    everyone."""

    def __init__(
        self, folder: Path, underlay: Underlay, layout: Layout | None = None, *, hosts: int = 2,
        settings: Mapping[str, Mapping[str, Any]] | None = None, **more: Any,
    ) -> None:  # fmt: skip
        made = [VirtualHost(underlay, f"compute{n}", n, folder / f"compute{n}") for n in range(1, hosts + 1)]
        self.hosts = {host.name: host for host in made}
        super().__init__(
            folder,
            {**CONTROL, **(layout or {}), **{agent: list(self.hosts) for agent in AGENTS}},
            settings=_merged(SETTINGS, settings or {}),
            environment={f"{agent}@{host.name}": _variables(host) for agent in AGENTS for host in made},
            places=self.hosts,
            address=underlay.address,
            **more,
        )

    def start(self) -> Self:
        self.progress(f"{len(self.hosts)} hosts")
        for host in self.hosts.values():
            host.start()
        return super().start()

    def stop(self) -> None:
        """Also the hosts, with all that is in them."""
        try:
            super().stop()
        finally:
            for host in self.hosts.values():
                host.cleanup()

    def boot(self, name: str) -> None:
        """Start a host that was killed, and its agents."""
        self.hosts[name].start()
        self.start_process(*(f"{agent}@{name}" for agent in AGENTS))


SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "agent": {"driver": "libvirt", "shutdown_timeout": 20},
    "network": {"network_type": "vxlan"},
    "bus": {"host_users": "kilonova-host-{host}"},
}


def _variables(host: VirtualHost) -> dict[str, str]:
    """What differs from host to host. State is on the host's own disk, at the same place of each."""
    return {
        "KILONOVA_AGENT_HOST_IP": host.address,
        "KILONOVA_DATAPLANE_TUNNEL_IP": host.address,
        "KILONOVA_CLOUD_STATE_DIR": STATE,
    }


def _merged(*documents: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for document in documents:
        for section, values in document.items():
            found.setdefault(section, {}).update(values)
    return found

"""Router advertisements: a dnsmasq in the router's namespace that does nothing else."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from kilonova.core import log
from kilonova.core.folders import searchable
from kilonova.core.processes import command_line, stop
from kilonova.network.agent.l3.namespace.plan import interface_name
from kilonova.network.agent.model import RouterModel, router_namespace
from kilonova.network.agent.options import DataPlaneOptions
from kilonova.network.agent.system.daemons import dnsmasq_user, running, start
from kilonova.network.agent.system.names import clean_ip, clean_line, clean_network

KINDS = {"slaac": "ra-only", "dhcpv6-stateless": "ra-stateless", "dhcpv6-stateful": "static"}
INTERVAL, LIFETIME = 30, 1800  # seconds between advertisements at most; how long guests keep the router


class Advertisers:
    """Files of router R's are under `root/R`."""

    def __init__(self, options: DataPlaneOptions, root: Path) -> None:
        self.options, self.root = options, root
        self.logger = log.get("network.l3")

    async def ensure(self, router: RouterModel) -> None:
        """Running with just what `router` advertises, or not at all. Raises DataPlaneError, ValueError."""
        argv = arguments(router, str(self.root / router.id), dnsmasq_user(self.options, self.root))
        pid = running(self.root / router.id)
        if (command_line(pid) if pid else []) != argv:
            await asyncio.to_thread(self._replace, router.id, pid, argv)

    def _replace(self, router_id: str, pid: int | None, argv: list[str]) -> None:
        if pid:
            stop(pid)
        if argv:
            searchable(self.root, self.root / router_id)
            start(router_namespace(router_id), argv, self.options.command_timeout)
            self.logger.info("router advertisements started", router=router_id)

    def remove(self, router_id: str) -> None:
        """With all files of the router. Blocking."""
        if pid := running(self.root / router_id):
            stop(pid)
        shutil.rmtree(self.root / router_id, ignore_errors=True)


def arguments(router: RouterModel, folder: str, user: str) -> list[str]:
    """The command line, [] for a router that advertises nothing; a running dnsmasq with just this one is taken over. Only
    DHCPv6 of the network's own namespace gives addresses out: no client is known here."""
    names, ranges = [], []
    for interface in (i for i in router.interfaces if i.advertises):
        names.append(interface_name(interface.port_id))
        for number, one in enumerate(interface.advertises):
            tag, cidr = f"{names[-1]}-{number}", clean_network(one.cidr)
            if one.mode not in KINDS:
                raise ValueError(f"unknown mode of router advertisements {one.mode!r}")
            ranges.append(f"--dhcp-range=set:{tag},{cidr.network_address},{KINDS[one.mode]},{cidr.prefixlen},86400s")
            if one.dns_nameservers:
                servers = ",".join(f"[{clean_ip(server)}]" for server in one.dns_nameservers)
                ranges.append(f"--dhcp-option=tag:{tag},option6:dns-server,{servers}")
    if not names:
        return []
    return [
        "dnsmasq",
        "--conf-file=/dev/null",
        "--no-hosts",
        "--no-resolv",
        "--port=0",
        f"--user={user}",
        f"--pid-file={folder}/pid",
        f"--dhcp-leasefile={folder}/leases",
        "--bind-dynamic",
        *(f"--interface={name}" for name in names),
        "--except-interface=lo",
        "--enable-ra",
        *(f"--ra-param={name},{INTERVAL},{LIFETIME}" for name in names),
        "--dhcp-ignore=tag:!known",
        "--quiet-ra",
        "--quiet-dhcp6",
        *map(clean_line, ranges),
    ]

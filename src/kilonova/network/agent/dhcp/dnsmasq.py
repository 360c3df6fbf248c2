"""A dnsmasq for each network, in the network's namespace: started, reloaded on changes, taken over, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Collection
from pathlib import Path

from kilonova.core import log
from kilonova.core.folders import searchable
from kilonova.core.processes import command_line, stop
from kilonova.network.agent.dataplane import DataPlaneError, Leftover
from kilonova.network.agent.dhcp.files import DhcpFiles, arguments, dhcp_files, served
from kilonova.network.agent.model import HostModel, NetworkModel, dhcp_namespace
from kilonova.network.agent.options import DataPlaneOptions
from kilonova.network.agent.parts import Dhcp
from kilonova.network.agent.system import checks
from kilonova.network.agent.system.daemons import dnsmasq_user, running, start
from kilonova.network.agent.system.files import write
from kilonova.network.agent.system.names import check_uuid

FILES = ("hosts", "names", "local", "options")
"""Fields of DhcpFiles that are files of the same names; dnsmasq reads them again on SIGHUP."""


class Dnsmasq(Dhcp):
    """Files of network N are under `state_dir/networks/N`."""

    def __init__(self, options: DataPlaneOptions) -> None:
        self.options = options
        self.root = Path(options.state_dir) / "networks"
        self.logger = log.get("network.dhcp")
        self._told: dict[str, tuple[list[str], DhcpFiles]] = {}

    async def open(self) -> set[str]:
        await asyncio.to_thread(checks.check_rights)
        checks.check_tools("dnsmasq")
        await asyncio.to_thread(searchable, Path(self.options.state_dir))
        return set(await asyncio.to_thread(self.known))

    def serves(self, network: NetworkModel) -> bool:
        return bool(served(network))

    def folder(self, network_id: str) -> Path:
        return self.root / check_uuid("network", network_id)

    async def ensure(self, network: NetworkModel) -> None:
        """As `network` says: nothing when nothing changed, a signal when leases or options did, a new process when
        the ranges did or an address was taken from one guest and given to another."""
        try:
            files = dhcp_files(network, self.options.lease_time, self.options.dns_domain)
        except ValueError as why:
            raise DataPlaneError(f"network {network.id}: {why}") from None
        argv = arguments(network, files, str(self.folder(network.id)), dnsmasq_user(self.options, self.root))
        if self._told.get(network.id) == (argv, files) and self.pid(network.id):
            return
        self._told.pop(network.id, None)
        await asyncio.to_thread(self._ensure, network.id, argv, files)
        self._told[network.id] = argv, files

    def _ensure(self, network_id: str, argv: list[str], files: DhcpFiles) -> None:
        folder = self.folder(network_id)
        searchable(self.root, folder)
        changed = [write(folder / name, getattr(files, name)) for name in FILES]
        pid = self.pid(network_id)
        stale = self._stale(network_id, files)
        if pid and command_line(pid) == argv and not stale:
            if any(changed):
                os.kill(pid, signal.SIGHUP)
            return
        if pid:
            stop(pid)
        if stale:
            keep = [line for line in self.lease_lines(network_id) if line not in stale]
            write(folder / "leases", "".join(f"{line}\n" for line in keep))
        start(dhcp_namespace(network_id), argv, self.options.command_timeout)
        self.logger.info("dnsmasq started", network=network_id)

    def lease_lines(self, network_id: str) -> list[str]:
        """`EXPIRY MAC ADDRESS NAME CLIENT-ID` each."""
        try:
            return (self.folder(network_id) / "leases").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _stale(self, network_id: str, files: DhcpFiles) -> list[str]:
        """Leases of guests that are gone: dnsmasq would refuse their addresses to the next ones."""
        found = []
        for line in self.lease_lines(network_id):
            words = line.split()
            if (
                len(words) >= 3
                and words[0].isdecimal()
                and ":" not in words[2]
                and files.leases.get(words[2]) != words[1].lower()
            ):
                found.append(line)
        return found

    def pid(self, network_id: str) -> int | None:
        """Of the running dnsmasq of this network."""
        return running(self.folder(network_id))

    async def remove(self, network_id: str) -> None:
        self._told.pop(network_id, None)
        await asyncio.to_thread(self._remove, network_id)

    def _remove(self, network_id: str) -> None:
        pid = self.pid(network_id)
        if pid:
            stop(pid)
        shutil.rmtree(self.folder(network_id), ignore_errors=True)

    async def leftovers(self, networks: Collection[str]) -> list[Leftover]:
        return await asyncio.to_thread(self._leftovers)

    def _leftovers(self) -> list[Leftover]:
        found = []
        for network in self.known():
            pid = self.pid(network)
            found += [Leftover(kind="dnsmasq", name=str(pid), owner=network)] if pid else []
            found += [
                Leftover(kind="lease", name=_lease_name(line), owner=network)
                for line in self.lease_lines(network)
                if line[:1].isdecimal()
            ]
        return found

    async def stale(self, wanted: HostModel) -> list[Leftover]:
        return await asyncio.to_thread(self._stale_of, wanted)

    def _stale_of(self, wanted: HostModel) -> list[Leftover]:
        found = []
        for network in filter(self.serves, wanted.networks):
            with contextlib.suppress(ValueError):  # a fault of its own
                files = dhcp_files(network, self.options.lease_time, self.options.dns_domain)
                for line in self._stale(network.id, files):
                    found.append(Leftover(kind="lease", name=_lease_name(line), owner=network.id, stale=True))
        return found

    async def close(self, *, remove: bool = False) -> None:
        """Its servers keep running; they end with their networks."""

    def known(self) -> list[str]:
        """Networks that have a folder."""
        found = []
        with contextlib.suppress(FileNotFoundError):
            for entry in self.root.iterdir():
                with contextlib.suppress(DataPlaneError):
                    found.append(check_uuid("network", entry.name))
        return sorted(found)


def _lease_name(line: str) -> str:
    """Address and MAC."""
    return " ".join(line.split()[2:0:-1])

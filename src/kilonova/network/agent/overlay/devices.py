"""VXLAN devices by netlink: made, corrected, removed. Blocking."""

from __future__ import annotations

import errno
import os

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from kilonova.network.agent.dataplane import DataPlaneError
from kilonova.network.agent.system.names import network_alias, vxlan_link, vxlan_prefix
from kilonova.network.agent.system.netlink import Link, delete, quiet_ipv6, read, route


class Tunnels:
    """One instance's devices, each with its network's alias; one that was left half made has none. `address` is this host's."""

    def __init__(self, instance: str, address: str, port: int) -> None:
        self.instance, self.address, self.port = instance, address, port

    def name(self, vni: int) -> str:
        return vxlan_link(self.instance, vni)

    def _ours(self, ip: IPRoute) -> dict[str, Link]:
        prefix, alias = vxlan_prefix(self.instance), network_alias(self.instance)
        found = {name: link for name, link in read(ip).items() if name.startswith(prefix)}
        return {name: link for name, link in found.items() if not link.alias or link.alias.startswith(alias)}

    def _owner(self, link: Link) -> str:
        return link.alias.removeprefix(network_alias(self.instance))

    def survey(self) -> dict[str, str]:
        """Our devices by name, and the id of the network that each belongs to: "" of one that was left half made."""
        with route() as ip:
            return {name: self._owner(link) for name, link in self._ours(ip).items()}

    def sweep(self) -> set[str]:
        """Delete devices that were left half made; the networks of the others."""
        with route() as ip:
            ours = self._ours(ip).values()
            for link in ours:
                if not link.alias:
                    delete(ip, link.index)
        return {self._owner(link) for link in ours if link.alias}

    def ensure(self, network_id: str, vni: int) -> None:
        """The network's device, without peers and on no segment yet where it is new; another one of it goes. Raises
        DataPlaneError."""
        try:
            with route() as ip:
                self._ensure(ip, network_id, vni)
        except NetlinkError as why:
            raise DataPlaneError(f"network {network_id}: {os.strerror(why.code)} from the kernel ({why})") from None

    def _ensure(self, ip: IPRoute, network_id: str, vni: int) -> None:
        alias, name = network_alias(self.instance) + network_id, self.name(vni)
        links = read(ip)
        for other in self._ours(ip).values():
            if other.alias == alias and (other.name != name or not self._speaks(ip, other.index)):
                delete(ip, links.pop(other.name).index)
        there = links.get(name)
        if there is not None and there.alias not in ("", alias):
            raise DataPlaneError(f"tunnel {name} belongs to another: {there.alias}")
        if there is None:
            self._add(ip, name, network_id, vni)
        if there is None or there.alias != alias:
            ip.link("set", index=ip.link_lookup(ifname=name)[0], ifalias=alias)

    def _add(self, ip: IPRoute, name: str, network_id: str, vni: int) -> None:
        words = {"vxlan_id": vni, "vxlan_local": self.address, "vxlan_port": self.port}
        try:
            ip.link("add", ifname=name, kind="vxlan", vxlan_learning=True, **words)
        except NetlinkError as why:
            advice = {
                errno.EEXIST: f"another device has segmentation id {vni} on port {self.port}: clouds that "
                "share a host need a dataplane.vxlan_port each",
                errno.EOPNOTSUPP: "the kernel has no VXLAN: load it with `modprobe vxlan`",
            }
            reason = advice.get(why.code) or os.strerror(why.code)
            raise DataPlaneError(f"network {network_id}: tunnel {name}: {reason}") from None
        quiet_ipv6(name)

    def _speaks(self, ip: IPRoute, index: int) -> bool:
        """Whether a device has this host's address and port."""
        data = ip.get_links(index)[0].get_nested("IFLA_LINKINFO", "IFLA_INFO_DATA")
        found = (data.get_attr("IFLA_VXLAN_LOCAL"), data.get_attr("IFLA_VXLAN_PORT"))
        return bool(found == (self.address, self.port))

    def remove(self, network_id: str) -> None:
        """Nothing happens when the network has none."""
        with route() as ip:
            for link in self._ours(ip).values():
                if link.alias and self._owner(link) == network_id:
                    delete(ip, link.index)

"""All of ours on the host, as it is there. Blocking."""

from __future__ import annotations

from kilonova.network.agent.dataplane import Leftover
from kilonova.network.agent.dhcp.dnsmasq import Dhcp
from kilonova.network.agent.l2.bridge.links import Links
from kilonova.network.agent.model import dhcp_namespace
from kilonova.network.agent.system import netns
from kilonova.network.agent.system.names import chain_owner, dhcp_link


def collect(links: Links, dhcp: Dhcp, chains: set[str], prefix: str) -> list[Leftover]:
    found, ours = links.survey()
    networks = links.networks(found) | set(dhcp.known())
    namespaces = set(netns.listed())
    leftovers = [Leftover(kind="bridge", name=name, owner=owner) for name, owner in ours.items()]
    masters = {found[name].index for name in ours}
    leftovers += [
        Leftover(kind="tap", name=link.name, owner=link.name[3:])
        for link in found.values()
        if link.master in masters and link.name.startswith("tap")
    ]
    leftovers += [
        Leftover(kind="vxlan", name=name, owner=tunnel.alias.removeprefix(links.alias) or name)
        for name, tunnel in links.tunnels(found).items()
    ]
    leftovers += [
        Leftover(kind="bridge", name=dhcp_link(n), owner=n)
        for n in networks
        if dhcp_link(n) in found and n not in ours.values()
    ]
    leftovers += [
        Leftover(kind="namespace", name=dhcp_namespace(n), owner=n) for n in networks if dhcp_namespace(n) in namespaces
    ]
    for network in dhcp.known():
        pid = dhcp.pid(network)
        leftovers += [Leftover(kind="dnsmasq", name=str(pid), owner=network)] if pid else []
        leftovers += [
            Leftover(kind="lease", name=" ".join(line.split()[2:0:-1]), owner=network)
            for line in dhcp.lease_lines(network)
            if line[:1].isdecimal()
        ]
    leftovers += [
        Leftover(kind="chain", name=chain, owner=owner)
        for chain in sorted(chains)
        if (owner := chain_owner(chain, prefix))
    ]
    return sorted(leftovers, key=lambda v: (v.kind, v.name))

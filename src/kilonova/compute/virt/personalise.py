"""What a guest can read about itself: the OpenStack and EC2 metadata trees and the files put into its disk.

Pure functions of one `GuestFacts`. The config drive, the metadata service and file injection all use them, so a guest
reads the same in each of them. Field names are those of upstream's metadata documentation.
"""

from __future__ import annotations

import base64
import ipaddress
from typing import Any

import msgspec

from kilonova.compute.virt import ec2_metadata
from kilonova.compute.virt.disks import InjectedFile
from kilonova.compute.virt.ec2_metadata import Tree, ec2_tree, lookup, nested
from kilonova.compute.virt.guest_facts import FixedIP, GuestFacts, KeyPair, Nic, Route
from kilonova.core.addresses import parse_address, parse_network

__all__ = [
    "FixedIP", "GuestFacts", "KeyPair", "Nic", "Route", "Tree", "config_drive_tree", "ec2_tree", "injection_files",
    "lookup", "meta_data", "nested", "network_data", "network_interfaces", "openstack_tree",
]  # fmt: skip

GRIZZLY, HAVANA, LIBERTY = "2013-04-04", "2013-10-17", "2015-10-15"
NEWTON, NEWTON_2, VICTORIA = "2016-06-30", "2016-10-06", "2020-10-14"
OPENSTACK_VERSIONS = (
    "2012-08-10", GRIZZLY, HAVANA, LIBERTY, NEWTON, NEWTON_2, "2017-02-22", "2018-08-27", VICTORIA, "latest",
)  # fmt: skip
EC2_CONFIG_DRIVE_VERSIONS = ("2009-04-04", "latest")


def openstack_tree(facts: GuestFacts) -> dict[str, bytes]:
    """Path → content, beginning with `openstack/`. Without `password`, which the metadata service keeps itself."""
    tree = {}
    for version in OPENSTACK_VERSIONS:
        directory = f"openstack/{version}"
        tree[f"{directory}/meta_data.json"] = _json(meta_data(facts, version))
        if facts.user_data is not None:
            tree[f"{directory}/user_data"] = facts.user_data
        if version >= HAVANA:
            tree[f"{directory}/vendor_data.json"] = _json(facts.vendor_data)
        if version >= LIBERTY:
            tree[f"{directory}/network_data.json"] = _json(network_data(facts))
        if version >= NEWTON_2:
            tree[f"{directory}/vendor_data2.json"] = _json(_vendor_data2(facts))
    for number, (_, content) in enumerate(facts.files):
        tree[f"openstack/content/{number:04}"] = content
    return tree


def meta_data(facts: GuestFacts, version: str = "latest") -> dict[str, Any]:
    """meta_data.json of a version ("latest" sorts after every date)."""
    data: dict[str, Any] = {
        "uuid": facts.uuid,
        "name": facts.name,
        "hostname": facts.hostname,
        "launch_index": facts.launch_index,
        "availability_zone": facts.availability_zone,
    }
    if facts.metadata:
        data["meta"] = dict(facts.metadata)
    if facts.files:
        data["files"] = [
            {"content_path": f"/content/{number:04}", "path": path} for number, (path, _) in enumerate(facts.files)
        ]
    if facts.key_pairs:
        data["public_keys"] = {pair.name: pair.public_key for pair in facts.key_pairs}
        data["keys"] = [{"name": k.name, "type": k.type, "data": k.public_key} for k in facts.key_pairs]
    if facts.admin_pass is not None:
        data["admin_pass"] = facts.admin_pass
    if version >= GRIZZLY:
        data["random_seed"] = base64.b64encode(facts.random_seed).decode()
    if version >= LIBERTY:
        data["project_id"] = facts.project_id
    if version >= NEWTON:
        data["devices"] = [dict(device) for device in facts.devices]
    if version >= VICTORIA:
        data["dedicated_cpus"] = []
    return data


def network_data(facts: GuestFacts) -> dict[str, Any]:
    """network_data.json: links, the networks on them, and name servers."""
    links: list[dict[str, Any]] = []
    networks: list[dict[str, Any]] = []
    for nic in facts.nics:
        link = {"id": nic.link, "vif_id": nic.port_id, "type": nic.vif_type, "mtu": nic.mtu}
        links.append(link | {"ethernet_mac_address": nic.mac})
        for ip in nic.fixed_ips:
            name = {"id": f"network{len(networks)}", "link": nic.link, "network_id": nic.network_id}
            networks.append(name | _network(ip))
    return {"links": links, "networks": networks, "services": _dns(facts)}


def _network(ip: FixedIP) -> dict[str, Any]:
    if ip.version == 4 and ip.dhcp:
        return {"type": "ipv4_dhcp"}
    kind = f"ipv{ip.version}" + (f"_{ip.ipv6_mode}" if ip.ipv6_mode else "")
    if ip.ipv6_mode == "dhcpv6-stateful":
        return {"type": kind}
    default = [Route(destination="0.0.0.0/0" if ip.version == 4 else "::/0", gateway=ip.gateway)] if ip.gateway else []
    routes = []
    for route in (*default, *ip.routes):
        network = parse_network(route.destination)
        routes.append(
            {"network": str(network.network_address), "netmask": str(network.netmask), "gateway": route.gateway}
        )
    return {
        "type": kind,
        "ip_address": ip.address,
        "netmask": str(parse_network(ip.cidr).netmask),
        "routes": routes,
        "services": [{"type": "dns", "address": address} for address in ip.dns],
    }


def _dns(facts: GuestFacts) -> list[dict[str, str]]:
    addresses = dict.fromkeys(address for nic in facts.nics for ip in nic.fixed_ips for address in ip.dns)
    return [{"type": "dns", "address": address} for address in addresses]


def _vendor_data2(facts: GuestFacts) -> dict[str, Any]:
    static = {"static": facts.vendor_data} if facts.vendor_data else {}
    return static | dict(facts.dynamic_vendor_data)


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value)


def config_drive_tree(facts: GuestFacts) -> dict[str, bytes]:
    """All of a config drive: the OpenStack tree, and the EC2 one as JSON."""
    tree = openstack_tree(facts)
    for version in EC2_CONFIG_DRIVE_VERSIONS:
        data = ec2_metadata.meta_data(facts, version)
        data["security-groups"] = list(facts.security_groups)
        if "public-keys" in data:
            keys = {name.partition("=")[0]: {"_name": name, **key} for name, key in data["public-keys"].items()}
            data["public-keys"] = keys
        tree[f"ec2/{version}/meta-data.json"] = _json(data)
        if facts.user_data is not None:
            tree[f"ec2/{version}/user-data"] = facts.user_data
    return tree


def injection_files(facts: GuestFacts) -> list[InjectedFile]:
    """What file injection writes into a disk: root's ssh keys, static addresses, metadata, personality files (last,
    so that a user's own file wins). The keys' file holds the keys alone: add to what is there before replacing it."""
    files = []
    if facts.ssh_keys:
        keys = "".join(f"{key}\n" for key in facts.ssh_keys)
        files.append(InjectedFile(path="/root/.ssh/authorized_keys", content=keys.encode(), mode=0o600))
    interfaces = network_interfaces(facts)
    if interfaces is not None:
        files.append(InjectedFile(path="/etc/network/interfaces", content=interfaces.encode()))
    if facts.metadata:
        files.append(InjectedFile(path="/meta.js", content=_json(facts.metadata)))
    return files + [InjectedFile(path=path, content=content) for path, content in facts.files]


def network_interfaces(facts: GuestFacts) -> str | None:
    """/etc/network/interfaces in Debian's form for the NICs with static addresses; None when all use DHCP."""
    stanzas = []
    for number, nic in enumerate(facts.nics):
        static = [ip for ip in nic.fixed_ips if not ip.dhcp]
        if not static:
            continue
        stanzas.append(f"auto eth{number}")
        stanzas += [_stanza(f"eth{number}", ip, nic.mtu) for ip in static]
    if not stanzas:
        return None
    return "\n\n".join(["auto lo\niface lo inet loopback", *stanzas]) + "\n"


def _stanza(name: str, ip: FixedIP, mtu: int | None) -> str:
    network = parse_network(ip.cidr)
    lines = [f"iface {name} {'inet' if ip.version == 4 else 'inet6'} static", f"address {parse_address(ip.address)}"]
    lines.append(f"netmask {network.netmask if isinstance(network, ipaddress.IPv4Network) else network.prefixlen}")
    if isinstance(network, ipaddress.IPv4Network):
        lines.append(f"broadcast {network.broadcast_address}")
    if ip.gateway:
        lines.append(f"gateway {parse_address(ip.gateway)}")
    if mtu:
        lines.append(f"mtu {mtu}")
    if ip.dns:
        lines.append(f"dns-nameservers {' '.join(str(parse_address(server)) for server in ip.dns)}")
    routes = [(parse_network(route.destination), parse_address(route.gateway)) for route in ip.routes]
    lines += [f"up ip route add {destination} via {gateway} dev {name}" for destination, gateway in routes]
    return "\n    ".join(lines)

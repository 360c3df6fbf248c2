"""What dnsmasq reads: its arguments, the hosts file (static leases) and the options file of a network. Pure."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from kilonova.network import device_owners
from kilonova.network.agent.dhcp.options import lines as option_lines
from kilonova.network.agent.model import NetworkModel, PortModel, SubnetModel, host_name
from kilonova.network.agent.system.names import (
    HOSTNAME,
    METADATA_ADDRESS,
    clean_ip,
    clean_line,
    clean_mac,
    clean_network,
    inner_link,
    memo,
)

STATELESS = "dhcpv6-stateless"


class DhcpFiles(msgspec.Struct, frozen=True):
    """`ranges` and `tags` go on the command line: when they change, dnsmasq is started anew. `leases` maps an address to the
    MAC it is kept for. Tags stand for ports that have options of their own; they are no part of `hosts`, as dnsmasq 2.90
    crashes when it reads such a file again."""

    ranges: tuple[str, ...]
    tags: tuple[str, ...]
    hosts: str
    names: str
    local: str
    options: str
    leases: dict[str, str]


def served(network: NetworkModel) -> list[SubnetModel]:
    """Subnets that DHCP has something to say in: not those where guests make their addresses of what routers advertise."""
    return [s for s in network.subnets if s.enable_dhcp and s.dhcp_ip and s.ipv6_address_mode != "slaac"]


def dhcp_files(network: NetworkModel, lease_time: int, dns_domain: str = "") -> DhcpFiles:
    """Raises ValueError for a subnet that can't be read; a port that can't be read gets no lease."""
    subnets = served(network)
    leasing = frozenset(s.id for s in subnets if s.ipv6_address_mode != STATELESS)
    lines: list[str] = []
    names: list[str] = []
    local: list[str] = []
    leases: dict[str, str] = {}
    common = network.dns_domain or dns_domain
    for port in network.ports:
        domain = port.dns_domain or common
        found = _lines(port, leasing, domain)
        names += found.names
        local += found.local
        lines += found.hosts
        leases |= found.leases
    options = [line for subnet in subnets for line in _options(network, subnet, common)]
    special = [port for port in network.ports if port.dhcp_options and port.local]
    tags = tuple(tag for port in special for tag in _tag(port))
    options += [line for port in special for line in _port_options(port)]  # of two for one option the last counts
    return DhcpFiles(
        ranges=tuple(_range(s, lease_time) for s in subnets),
        tags=tags,
        hosts=_text(lines),
        names=_text(names),
        local=_text([*dict.fromkeys(local)]),
        options=_text(options),
        leases=leases,
    )


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _range(subnet: SubnetModel, lease_time: int) -> str:
    cidr = clean_network(subnet.cidr)
    size = str(cidr.netmask) if cidr.version == 4 else str(cidr.prefixlen)
    return f"--dhcp-range=set:{subnet.id},{cidr.network_address},static,{size},{lease_time}s"


class _Lines(NamedTuple):
    """Of one port. `leases` as of DhcpFiles."""

    hosts: list[str]
    leases: dict[str, str]
    names: list[str]
    local: list[str]


@memo
def _lines(port: PortModel, subnets: frozenset[str], domain: str) -> _Lines:
    return _Lines(*_host_lines(port, subnets, domain), *_name_lines(port, domain))


def _host_lines(port: PortModel, subnets: frozenset[str], domain: str) -> tuple[list[str], dict[str, str]]:
    """The first address of the port in each subnet, as DHCP hands out one: a line for each of IPv4, one for all of IPv6, where
    dnsmasq looks at one line of a MAC alone."""
    if port.device_owner.startswith(device_owners.SERVICES):
        return [], {}
    found: dict[str, str] = {}
    try:
        mac = clean_mac(port.mac_address)
        for fixed in port.fixed_ips:
            if fixed.subnet_id in subnets:
                found.setdefault(fixed.subnet_id, clean_ip(fixed.ip_address))
        v6 = [ip for ip in found.values() if ":" in ip]
        together = [[ip] for ip in found.values() if ":" not in ip] + ([v6] if v6 else [])
        lines = [
            clean_line(",".join([mac, *(f"[{ip}]" if ":" in ip else ip for ip in ips), hostname(port, ips[0], domain)]))
            for ips in together
        ]
    except ValueError:
        return [], {}
    return lines, dict.fromkeys(found.values(), mac)


def _name_lines(port: PortModel, domain: str) -> tuple[list[str], list[str]]:
    """What the network's name server says of the port's addresses, and which names are its own. A name of many labels is no name
    of another domain here: it stands below the network's, or is not served. One of a single label holds nothing below it: a
    guest called `dev` is not the domain `dev`."""
    lines: list[str] = []
    local: list[str] = []
    if port.device_owner.startswith(device_owners.SERVICES):
        return lines, local
    for fixed in port.fixed_ips:
        try:
            ip = clean_ip(fixed.ip_address)
            if found := _names(port, ip, domain):
                lines.append(clean_line(f"{ip} {' '.join(found)}"))
                local += [line for name in found for line in _local(name)]
        except ValueError:
            continue
    return lines, local


def _local(name: str) -> list[str]:
    return [f"server=/{name}/", *([f"server=/*.{name}/#"] if "." not in name else [])]


def _names(port: PortModel, ip: str, domain: str) -> list[str]:
    name = _name(port, ip)
    if port.hostname == f"{name}.":
        return [name]
    return [*([f"{name}.{domain}"] if domain else []), *([name] if "." not in name else [])]


def _name(port: PortModel, ip: str) -> str:
    name = port.hostname.removesuffix(".")
    return name if HOSTNAME.fullmatch(name) else host_name("", ip)


def hostname(port: PortModel, ip: str, domain: str) -> str:
    """What DHCP calls the guest."""
    name = _name(port, ip)
    return f"{name}.{domain}" if domain and "." not in name else name


def _tag(port: PortModel) -> list[str]:
    """By the MAC, which the filters hold guests to."""
    try:
        return [f"--dhcp-mac=set:{port.id},{clean_mac(port.mac_address)}"]
    except ValueError:
        return []


def _port_options(port: PortModel) -> list[str]:
    """None of a port with one that cannot be read."""
    try:
        return option_lines(port.id, port.dhcp_options)
    except ValueError:
        return []


def _options(network: NetworkModel, subnet: SubnetModel, domain: str) -> list[str]:
    tag = f"tag:{subnet.id}"
    dns = [clean_ip(server) for server in subnet.dns_nameservers]
    if subnet.ip_version == 6:
        return [f"{tag},option6:dns-server,{','.join(f'[{server}]' for server in dns)}"] if dns else []
    gateway = clean_ip(subnet.gateway_ip) if subnet.gateway_ip else ""
    routes = [f"{METADATA_ADDRESS}/32,{clean_ip(subnet.dhcp_ip or '')}"]
    routes += [f"{clean_network(prefix)},{clean_ip(hop)}" for prefix, hop in subnet.host_routes]
    routes += [f"0.0.0.0/0,{gateway}"] if gateway else []
    values = [
        ("option:router", gateway),
        ("option:dns-server", ",".join(dns)),
        ("option:classless-static-route", ",".join(routes)),
        ("249", ",".join(routes)),  # the same under the number that older Windows asks for
        ("option:mtu", str(network.mtu)),
        *([("option:domain-name", domain)] if domain else []),
    ]
    return [clean_line(f"{tag},{name},{value}" if value else f"{tag},{name}") for name, value in values]


def arguments(network: NetworkModel, files: DhcpFiles, folder: str, user: str) -> list[str]:
    """The command line; a running dnsmasq with just this one is taken over. Guests that make their addresses have no lease and
    are unknown: they may ask for the rest."""
    stateless = any(subnet.ipv6_address_mode == STATELESS for subnet in served(network))
    return [
        "dnsmasq",
        "--conf-file=/dev/null",
        "--no-hosts",
        "--no-resolv",
        f"--user={user}",
        f"--pid-file={folder}/pid",
        f"--addn-hosts={folder}/names",
        # these have no addresses but those in `names`; there is no server to ask about others, so they are refused
        f"--servers-file={folder}/local",
        f"--dhcp-hostsfile={folder}/hosts",
        f"--dhcp-optsfile={folder}/options",
        f"--dhcp-leasefile={folder}/leases",
        "--bind-dynamic",
        f"--interface={inner_link(network.id)}",
        "--except-interface=lo",
        "--dhcp-authoritative",
        "--dhcp-no-override",
        "--dhcp-ignore=tag:!known" + (",tag:!dhcpv6" if stateless else ""),
        "--dhcp-lease-max=65536",
        "--quiet-dhcp",
        "--quiet-dhcp6",
        *files.ranges,
        *files.tags,
    ]

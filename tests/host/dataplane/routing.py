"""Routers, guests behind them, and an outside world: a bridge of the host for the physical network `public`, and a namespace on
it that is all there is beyond. Outside knows of 198.51.100.0/24 and 2001:db8:f::/64 alone."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import subprocess
import uuid
from collections.abc import Iterable
from pathlib import Path

from msgspec.structs import replace

from kilonova.core.processes import command_line
from kilonova.network.agent.composed import ComposedDataPlane
from kilonova.network.agent.model import (
    FixedIP,
    FloatingIPModel,
    GatewayModel,
    HostModel,
    NetworkModel,
    PortForwardingModel,
    PortModel,
    RouterModel,
    RouterPortModel,
    SecurityGroupModel,
    SubnetModel,
    router_namespace,
    tap_name,
)
from kilonova.network.agent.system.names import link_local
from kilonova.testing.hosts import VirtualHost
from tests.host.dataplane.conftest import Lab
from tests.host.dataplane.lab import PATIENCE, SOON, Guest, new_id

OUTSIDE, OUTSIDE_6 = "198.51.100.1", "2001:db8:f::1"
SERVE = """
import select, socket, sys
listening = []
for number in map(int, sys.argv[1:]):
    s = socket.socket(socket.AF_INET6); s.setsockopt(1, 2, 1)
    s.bind(('::', number)); s.listen(9); listening.append(s)
print('ready', flush=True)
held = []
while True:
    for s in select.select(listening, [], [])[0]:
        c, peer = s.accept(); held.append(c)
        c.sendall(f"{peer[0].removeprefix('::ffff:')} {s.getsockname()[1]}".encode())
"""
ASK = """
import socket, sys
try:
    print(socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=float(sys.argv[3])).recv(99).decode())
except OSError as why:
    print(type(why).__name__)
"""
HOLD = """
import socket, sys
c = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20); c.recv(99)
print('ready', flush=True)
for line in sys.stdin:
    c.sendall(b'x')
"""
SOLICIT = """
import socket, time
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255); s.settimeout(1)
index = socket.if_nametoindex('eth0')
s.bind(('', 0, 0, index))
for _ in range(20):
    s.sendto(bytes([133, 0, 0, 0]) + bytes(4), ('ff02::2', 0, 0, index))
    try:
        while (found := s.recv(1500))[0] != 134:
            pass
    except TimeoutError:
        continue
    print(found.hex()); break
"""
DHCP_6 = """
import socket, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.settimeout(float(sys.argv[1]))
index = socket.if_nametoindex('eth0'); s.bind(('::', 546, 0, index))
client = bytes.fromhex('0001000a00030001') + bytes.fromhex(open('/sys/class/net/eth0/address').read().strip().replace(':', ''))
wanted = {'solicit': (1, bytes.fromhex('0003000c000000010000000000000000')), 'information': (11, b'')}
kind, options = wanted[sys.argv[2]]
s.sendto(bytes([kind, 1, 2, 3]) + client + options + bytes.fromhex('0008000200000006000400170018'), ('ff02::1:2', 547, 0, index))
try:
    print(s.recv(1500).hex())
except TimeoutError:
    print('nothing')
"""


class Peer(Guest):
    """A guest that answers connections with the address they came from, and asks others for the same."""

    def serve(self, *ports: int) -> None:
        self.start(SERVE, *map(str, ports or (22,)))

    def asks(self, address: str, number: int = 22, patience: float = PATIENCE) -> str:
        """Our address as the other end sees it."""
        return self.answer(address, number, patience).split()[0]

    def answer(self, address: str, number: int = 22, patience: float = PATIENCE) -> str:
        """Our address as the other end sees it, and its port."""
        return self.inside("python3", "-c", ASK, address, str(number), str(patience)).strip()

    def advertisement(self) -> bytes:
        """What a router answers when it is asked for an advertisement."""
        return bytes.fromhex(self.inside("python3", "-c", SOLICIT))

    def dhcp_6(self, kind: str) -> str:
        """What a DHCPv6 server answers (hex) to a "solicit" or an "information" request, or "nothing"."""
        return self.inside("python3", "-c", DHCP_6, str(SOON), kind).strip()

    def reaches(self, address: str, number: int = 22) -> bool:
        return self.asks(address, number, SOON) not in ("TimeoutError", "OSError", "ConnectionRefusedError")

    def join(self, gateway: str = "", *, quiet: bool = False) -> Peer:
        """Onto its bridge, with its addresses; `gateway` is its default route."""
        self.plug(static=False, quiet=quiet)
        for fixed in self.port.fixed_ips:
            length = 64 if ":" in fixed.ip_address else 24
            self.inside("ip", "addr", "add", f"{fixed.ip_address}/{length}", "dev", "eth0")
        if gateway:
            self.inside("ip", "route", "add", "default", "via", gateway)
        return self


class World(Peer):
    """The bridge and the namespace outside."""

    def __init__(self, host: VirtualHost | None = None) -> None:
        self.host, self.processes = host, []
        tag = new_id()[:8]
        self.bridge, self.tap, self.namespace = f"kto{tag}", f"ktw{tag}", f"kto-{tag}"

    def make(self) -> World:
        self.make_bridge()
        return self.populate()

    def make_bridge(self) -> None:
        self.ip("link", "add", self.bridge, "type", "bridge")
        self.ip("link", "set", self.bridge, "up")

    def populate(self) -> World:
        """Connect the namespace."""
        self.ip("netns", "add", self.namespace)
        self.ip("link", "add", self.tap, "type", "veth", "peer", "name", "eth0", "netns", self.namespace)
        self.ip("link", "set", self.tap, "master", self.bridge, "up")
        self.inside("sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=0")
        for words in (("lo",), ("eth0",)):
            self.inside("ip", "link", "set", *words, "up")
        self.inside("ip", "addr", "add", f"{OUTSIDE}/24", "dev", "eth0")
        self.inside("ip", "addr", "add", f"{OUTSIDE_6}/64", "dev", "eth0")
        return self

    def unmake(self) -> None:
        self.unplug()
        with contextlib.suppress(subprocess.CalledProcessError):
            self.ip("link", "del", self.bridge)


def external() -> NetworkModel:
    id = new_id()
    subnets = (
        SubnetModel(id=_sub(id, "v4"), cidr="198.51.100.0/24", gateway_ip=OUTSIDE, enable_dhcp=False),
        SubnetModel(id=_sub(id, "v6"), cidr="2001:db8:f::/64", ip_version=6, gateway_ip=OUTSIDE_6, enable_dhcp=False),
    )
    return NetworkModel(id=id, project_id="a" * 32, mtu=1500, subnets=subnets, physical_network="public")


def private(number: int, **words: object) -> NetworkModel:
    """10.0.NUMBER.0/24 without DHCP, and fd00:NUMBER::/64."""
    id = new_id()
    subnets = (
        SubnetModel(id=_sub(id, "v4"), cidr=f"10.0.{number}.0/24", gateway_ip=f"10.0.{number}.1", enable_dhcp=False),
        SubnetModel(id=_sub(id, "v6"), cidr=f"fd00:{number}::/64", ip_version=6, enable_dhcp=False),
    )
    return NetworkModel(**{"id": id, "project_id": "p" * 32, "mtu": 1450, "subnets": subnets, **words})  # type: ignore[arg-type]


def _sub(network_id: str, name: str) -> str:
    return str(uuid.uuid5(uuid.UUID(network_id), name))


def guest_port(net: NetworkModel, number: int, *groups: SecurityGroupModel, **words: object) -> PortModel:
    """With the addresses of its subnets that end in `number`."""
    ips = tuple(FixedIP(subnet_id=s.id, ip_address=str(ipaddress.ip_network(s.cidr)[number])) for s in net.subnets)
    device = {"device_id": new_id(), "device_owner": "compute:nova"}
    made = {"id": new_id(), "network_id": net.id, "project_id": net.project_id, "fixed_ips": ips, **device, **words}
    made["security_groups"] = tuple(group.id for group in groups)
    return PortModel(**{"mac_address": f"fa:16:3e:{made['id'][:2]}:{made['id'][2:4]}:{number:02x}", **made})


class Lan:
    """A network with a router's interface on it, and the ports that are on it."""

    def __init__(self, net: NetworkModel, *ports: PortModel) -> None:
        self.net, self.ports = net, ports

    def interface(self, number: int = 1, **words: object) -> RouterPortModel:
        addresses = tuple(
            f"{ipaddress.ip_network(s.cidr)[number]}/{s.cidr.rpartition('/')[2]}" for s in self.net.subnets
        )
        id = new_id()
        mac = f"fa:16:3f:{id[:2]}:{id[2:4]}:{number:02x}"
        return RouterPortModel(
            **{"port_id": id, "network_id": self.net.id, "mac_address": mac, "addresses": addresses, **words}  # type: ignore[arg-type]
        )


def gateway(ext: NetworkModel, number: int = 10, **words: object) -> GatewayModel:
    port = Lan(ext).interface(number)
    fields = {name: getattr(port, name) for name in port.__struct_fields__}
    return GatewayModel(**{**fields, "next_hops": (OUTSIDE, OUTSIDE_6), **words})  # type: ignore[arg-type]


def router(*interfaces: RouterPortModel, **words: object) -> RouterModel:
    return RouterModel(**{"id": new_id(), "project_id": "p" * 32, "interfaces": interfaces, **words})  # type: ignore[arg-type]


def floating(number: int, port: PortModel | None = None, *forwardings: PortForwardingModel) -> FloatingIPModel:
    fixed = {"fixed_ip_address": port.fixed_ips[0].ip_address, "port_id": port.id} if port is not None else {}
    return FloatingIPModel(
        id=new_id(), floating_ip_address=f"198.51.100.{number}", port_forwardings=forwardings, **fixed
    )


def forwarding(
    outer: tuple[int, int], port: PortModel, inner: tuple[int, int], protocol: str = "tcp"
) -> PortForwardingModel:
    return PortForwardingModel(
        id=new_id(), protocol=protocol, external_ports=outer, internal_ip_address=port.fixed_ips[0].ip_address,
        internal_ports=inner,
    )  # fmt: skip


def state(lans: Iterable[Lan], routers: Iterable[RouterModel], *groups: SecurityGroupModel) -> HostModel:
    """With the routers' ports among those of their networks, as the network service sends them."""
    routers = tuple(routers)
    ends = [
        (end, name, router)
        for router in routers
        for name, found in (("router_interface", router.interfaces), ("router_gateway", (router.gateway,)))
        for end in found
        if end is not None
    ]
    networks = [
        replace(lan.net, ports=(*lan.ports, *(_end(*end) for end in ends if end[0].network_id == lan.net.id)))
        for lan in lans
    ]
    return HostModel(networks=tuple(networks), security_groups=groups, routers=routers)


def _end(end: RouterPortModel, name: str, router: RouterModel) -> PortModel:
    return PortModel(
        id=end.port_id,
        network_id=end.network_id,
        project_id=router.project_id,
        mac_address=end.mac_address,
        device_id=router.id,
        device_owner=f"network:{name}",
        port_security_enabled=False,
    )


class Setting:
    """A data plane with an outside world, routers and guests behind them; all is taken away at the end."""

    def __init__(self, lab: Lab, world: World) -> None:
        self.lab, self.world = lab, world
        self.routers: dict[str, RouterModel] = {}

    async def apply(self, plane: ComposedDataPlane, state: HostModel) -> list[str]:
        """The faults. Whatever they are, nothing else is there than what `state` has."""
        self.routers |= {one.id: one for one in state.routers or ()}
        self.lab.networks += [net.id for net in state.networks]
        faults = [str(fault) for fault in await plane.apply(state)]
        assert await plane.stale(state) == []
        return faults

    def peer(self, port: PortModel, gateway: str = "") -> Peer:
        peer = Peer(port)
        self.lab.guests.append(peer)
        return peer.join(gateway)

    def leftovers(self) -> list[str]:
        """What of the routers the host still shows."""
        links = subprocess.run(["ip", "-br", "link"], capture_output=True, text=True, check=True).stdout
        commands = [words for path in Path("/proc").glob("[0-9]*") if (words := command_line(int(path.name)))]
        found = [name for name in os.listdir("/run/netns") if name.removeprefix("qrouter-") in self.routers]
        for one in self.routers.values():
            found += [" ".join(words) for words in commands if one.id in " ".join(words)]
            ends = (*one.interfaces, *([one.gateway] if one.gateway else []))
            found += [end.port_id for end in ends if tap_name(end.port_id) in links]
        return found


def in_router(router_id: str, *argv: str) -> str:
    done = subprocess.run(
        ["ip", "netns", "exec", router_namespace(router_id), *argv], capture_output=True, text=True, check=True
    )
    return done.stdout


def eui64(prefix: str, mac: str) -> str:
    """The address that a guest makes of an advertised /64 and its MAC."""
    return str(ipaddress.ip_address(prefix) + (int(ipaddress.ip_address(link_local(mac))) & (1 << 64) - 1))

"""Guests made of namespaces: a veth whose host end has a tap's name stands in a network's bridge, the other end is a
guest's eth0. Everything has random ids and is taken away at the end."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from kilonova.network.agent.model import (
    FixedIP,
    HostModel,
    NetworkModel,
    PortModel,
    RuleModel,
    SecurityGroupModel,
    SubnetModel,
    bridge_name,
    tap_name,
)
from kilonova.testing.hosts import VirtualHost

PATIENCE, SOON = 20.0, 1.0  # seconds for what is to arrive, and for what must not
SERVER = """
import socket, sys
s = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET); s.setsockopt(1, 2, 1)
s.bind((sys.argv[1], int(sys.argv[2]))); s.listen(9); print('ready', flush=True)
held = []
while True:
    c, _ = s.accept(); held.append(c); c.sendall(b'hello')
"""
CLIENT = """
import socket, sys
try:
    print(socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=float(sys.argv[3])).recv(5).decode())
except OSError as why:
    print(type(why).__name__)
"""
FRAME = """
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('eth0', 0))
for _ in range(3):
    s.send(bytes.fromhex(sys.argv[1]))
"""
SNIFF = """
import select, socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)); s.bind((sys.argv[1], 3))
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
print('ready', flush=True)
s.setblocking(False)
over = False
while True:
    over = over or sys.stdin in select.select([s, sys.stdin], [], [])[0]
    try:
        print(s.recv(9000).hex(), flush=True)
    except BlockingIOError:
        if over:
            break
"""


def new_id() -> str:
    return str(uuid.uuid4())


def rule(direction: str = "ingress", **words: object) -> RuleModel:
    return RuleModel(id=new_id(), direction=direction, **{"ethertype": "IPv4", **words})  # type: ignore[arg-type]


def egress_all() -> tuple[RuleModel, ...]:
    return rule("egress"), rule("egress", ethertype="IPv6")


def group(*rules: RuleModel, members: tuple[str, ...] = (), id: str = "") -> SecurityGroupModel:
    return SecurityGroupModel(id=id or new_id(), rules=(*egress_all(), *rules), members=members)


def network(id: str = "", ports: tuple[PortModel, ...] = (), **words: object) -> NetworkModel:
    """198.18.7.0/24 with DHCP at .2 and an IPv6 subnet without."""
    id = id or new_id()
    subnets = (
        SubnetModel(
            id=str(uuid.uuid5(uuid.UUID(id), "v4")),
            cidr="198.18.7.0/24",
            gateway_ip="198.18.7.1",
            dhcp_ip="198.18.7.2",
            dns_nameservers=("198.18.7.53",),
        ),
        SubnetModel(id=str(uuid.uuid5(uuid.UUID(id), "v6")), cidr="fd00:7::/64", ip_version=6, enable_dhcp=False),
    )
    return NetworkModel(
        **{
            "id": id,
            "project_id": "p" * 32,
            "mtu": 1450,
            "subnets": subnets,  # type: ignore[arg-type]
            "ports": ports,
            "dhcp_mac": "fa:16:3e:07:00:02",
            **words,
        }
    )


def port(net: NetworkModel, number: int, *groups: SecurityGroupModel, **words: object) -> PortModel:
    """Port with addresses ending in `number`."""
    ips = (
        FixedIP(subnet_id=net.subnets[0].id, ip_address=f"198.18.7.{number}"),
        FixedIP(subnet_id=net.subnets[1].id, ip_address=f"fd00:7::{number:x}"),
    )
    return PortModel(
        **{
            "id": new_id(),
            "network_id": net.id,
            "project_id": net.project_id,  # type: ignore[arg-type]
            "mac_address": f"fa:16:3e:00:00:{number:02x}",
            "fixed_ips": ips,
            "device_id": new_id(),
            "hostname": f"guest{number}",
            "security_groups": tuple(g.id for g in groups),
            **words,
        }
    )


def model(net: NetworkModel, ports: tuple[PortModel, ...], *groups: SecurityGroupModel) -> HostModel:
    return HostModel(networks=(replace(net, ports=ports),), security_groups=groups, routers=())


class Guest:
    """A namespace as a guest: `plug` puts it on its bridge, as a hypervisor would. `host` is the virtual host it is on,
    None for the machine itself."""

    def __init__(self, port: PortModel, host: VirtualHost | None = None) -> None:
        self.port, self.host = port, host
        self.namespace = "ktg-" + port.id
        self.tap = tap_name(port.id)
        self.processes: list[subprocess.Popen[str]] = []

    def plug(self, *, static: bool = True, quiet: bool = False) -> Guest:
        """`quiet`: it says nothing before it is asked, by which bridges might learn where it is."""
        self.ip("netns", "add", self.namespace)
        self.ip("link", "add", self.tap, "type", "veth", "peer", "name", "eth0", "netns", self.namespace)
        self.inside("ip", "link", "set", "lo", "up")
        self.inside("ip", "link", "set", "eth0", "address", self.port.mac_address)
        self.inside("sysctl", "-qw", "net.ipv6.conf.eth0." + ("disable_ipv6=1" if quiet else "accept_dad=0"))
        self.inside("ip", "link", "set", "eth0", "mtu", "1450", "up")
        if static:
            for fixed in self.port.fixed_ips:
                self.inside(
                    "ip", "addr", "add", f"{fixed.ip_address}/{64 if ':' in fixed.ip_address else 24}", "dev", "eth0"
                )
            self.inside("ip", "route", "add", "169.254.169.254/32", "via", "198.18.7.2")
        self.ip("link", "set", self.tap, "master", bridge_name(self.port.network_id), "up")
        return self

    def ip(self, *words: str) -> None:
        subprocess.run(self.words("ip", *words), check=True, capture_output=True, text=True)

    def words(self, *argv: str) -> list[str]:
        return self.host.wrap(*argv) if self.host is not None else [*argv]

    def unplug(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
            for pipe in (process.stdout, process.stdin):
                if pipe:
                    pipe.close()
        self.processes.clear()
        with contextlib.suppress(subprocess.CalledProcessError):
            self.ip("link", "del", self.tap)
        with contextlib.suppress(subprocess.CalledProcessError):
            self.ip("netns", "del", self.namespace)

    def inside(self, *argv: str, check: bool = True, timeout: float = 30, text: str = "") -> str:
        done = subprocess.run(
            self.words("ip", "netns", "exec", self.namespace, *argv),
            capture_output=True,
            text=True,
            timeout=timeout,
            input=text,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{argv}: {done.stdout} {done.stderr}")
        return done.stdout + done.stderr

    def start(self, script: str, *args: str, outside: bool = False) -> subprocess.Popen[str]:
        """A script that says `ready`, in the guest or (`outside`) on its host."""
        entry = [] if outside else ["ip", "netns", "exec", self.namespace]
        process = subprocess.Popen(
            self.words(*entry, "python3", "-c", script, *args),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    def listen(self, number: int = 22, address: str = "0.0.0.0") -> None:
        self.start(SERVER, address, str(number))

    def connects(self, address: str, number: int = 22, patience: float = PATIENCE) -> bool:
        return self.inside("python3", "-c", CLIENT, address, str(number), str(patience)).strip() == "hello"

    def pings(self, address: str, *words: str, patience: float = PATIENCE) -> bool:
        wait = ("-W", f"{patience:g}")
        return " 0% packet loss" in self.inside("ping", "-c", "1", *wait, *words, address, check=False)

    def send(self, frame: str) -> None:
        self.inside("python3", "-c", FRAME, frame.replace(" ", "").replace(":", ""))

    def sees(self, needle: str, sender: Guest, frame: str) -> bool:
        """Whether `needle` (hex) arrives here when `sender` sends `frame` (hex)."""
        with self.sniffing() as seen:
            sender.send(frame)
        return any(needle.replace(" ", "").replace(":", "") in found for found in seen)

    @contextlib.contextmanager
    def sniffing(self) -> Iterator[list[str]]:
        """The frames (hex) that come to and from this guest while the block runs; filled in when it ends. The kernel delivers
        frames before the sender's call returns, so that nothing has to be waited for."""
        sniffer = self.start(SNIFF, "eth0")
        seen: list[str] = []
        yield seen
        seen += frames_of(sniffer)


def frames_of(sniffer: subprocess.Popen[str]) -> list[str]:
    """Ends a SNIFF; the frames it saw."""
    return sniffer.communicate("\n", timeout=120)[0].split()


def checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp4(
    mac: str, src: str, sport: int, dst: str, dport: int, payload: bytes = b"kilonova", dmac: str = "ff" * 6
) -> str:
    """An Ethernet frame with an IPv4 UDP packet, in hex."""
    udp = (
        sport.to_bytes(2, "big") + dport.to_bytes(2, "big") + (8 + len(payload)).to_bytes(2, "big") + b"\0\0" + payload
    )
    head = (
        b"\x45\0"
        + (20 + len(udp)).to_bytes(2, "big")
        + b"\0\1\0\0\x40\x11\0\0"
        + socket.inet_aton(src)
        + socket.inet_aton(dst)
    )
    head = head[:10] + checksum(head).to_bytes(2, "big") + head[12:]
    return (dmac + mac + "0800").replace(":", "") + (head + udp).hex()


def arp(mac: str, sender_mac: str, sender_ip: str, target_ip: str, operation: int = 1) -> str:
    body = (
        "0001080006040001"[:-4]
        + f"{operation:04x}"
        + sender_mac
        + socket.inet_aton(sender_ip).hex()
        + "00" * 6
        + socket.inet_aton(target_ip).hex()
    )
    return ("ff" * 6 + mac + "0806" + body).replace(":", "")


def icmp6(mac: str, src: str, dst: str, kind: int, body: bytes) -> str:
    source, target = socket.inet_pton(socket.AF_INET6, src), socket.inet_pton(socket.AF_INET6, dst)
    message = bytes([kind, 0, 0, 0]) + body
    pseudo = source + target + len(message).to_bytes(4, "big") + b"\0\0\0\x3a"
    message = message[:2] + checksum(pseudo + message).to_bytes(2, "big") + message[4:]
    head = b"\x60\0\0\0" + len(message).to_bytes(2, "big") + b"\x3a\xff" + source + target
    return ("333300000001" + mac + "86dd").replace(":", "") + (head + message).hex()


def leftovers(instance: str, network_ids: list[str]) -> list[str]:
    """What of ours the host still shows, by the system's own tools."""
    found = []
    for argv in (["iptables-save"], ["ip6tables-save"], ["nft", "list", "tables"]):
        out = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        found += [line for line in out.splitlines() if f"{instance}-" in line or f"{instance}_l2" in line]
    links = subprocess.run(["ip", "-br", "link"], capture_output=True, text=True, check=True).stdout
    spaces = os.listdir("/run/netns") if Path("/run/netns").is_dir() else []
    for network_id in network_ids:
        found += [line for line in links.splitlines() if network_id[:11] in line]
        found += [name for name in spaces if network_id in name]
        for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if network_id.encode() in cmdline.read_bytes() and b"dnsmasq" in cmdline.read_bytes():
                    found.append(f"dnsmasq {cmdline.parent.name}")
    return found

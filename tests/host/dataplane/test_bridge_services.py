"""DHCP and metadata on the machine, and what a network leaves behind."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from kilonova.core.processes import command_line
from kilonova.network.agent.composed import ComposedDataPlane
from kilonova.network.agent.dataplane import DataPlaneError
from kilonova.network.agent.model import DhcpOption, HostModel, dhcp_namespace
from kilonova.network.agent.options import DataPlaneOptions
from kilonova.network.agent.registry import compose
from tests.eventually import until
from tests.host.dataplane.conformance import (
    Client,
    DhcpConformance,
    MetadataConformance,
    backend,
    fetch,
    saved,
)
from tests.host.dataplane.conftest import Lab
from tests.host.dataplane.lab import group, leftovers, model, network, port, rule

pytestmark = pytest.mark.lab
do = asyncio.to_thread
STATES = re.compile(r"<\S+>| state \S+")  # the kernel changes these a while after a link was made


class TestDnsmasq(DhcpConformance): ...


class TestNamespaceMetadata(MetadataConformance): ...


@pytest.fixture
def client(options: DataPlaneOptions) -> Client:
    return Client(Path(options.state_dir))


def processes(network_id: str) -> list[int]:
    found = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdecimal()]
    return [p for p in found if (words := command_line(p)) and words[0] == "dnsmasq" and network_id in " ".join(words)]


async def test_a_new_lease_needs_no_new_dnsmasq(lab: Lab, client: Client) -> None:
    plane, net = await lab.plane(), network()
    one, two = port(net, 10), port(net, 11)
    await plane.apply(model(net, (one,)))
    pids = processes(net.id)
    await plane.apply(
        model(replace(net, subnets=(replace(net.subnets[0], dns_nameservers=("198.18.7.54",)),)), (one, two))
    )
    assert (await do(client.ask, lab.guest(two, static=False)))["dns"] == "198.18.7.54"
    assert processes(net.id) == pids
    other = replace(net.subnets[0], cidr="198.18.0.0/16")
    await plane.apply(model(replace(net, subnets=(other,)), (one, two)))
    assert len(processes(net.id)) == 1
    assert processes(net.id) != pids
    assert (await do(client.ask, lab.guest(one, static=False)))["subnet"] == "255.255.0.0"


async def test_a_port_has_options_of_its_own(lab: Lab, client: Client) -> None:
    plane, net = await lab.plane(), network()
    own = (
        DhcpOption(name="tftp-server", value="boot.example.org"),
        DhcpOption(name="67", value="pxelinux.0"),
        DhcpOption(name="ntp-server", value="198.18.7.8,198.18.7.9"),
        DhcpOption(name="dns-server", value="198.18.7.99"),  # its subnet says another
        DhcpOption(name="router", value=""),
        DhcpOption(name="server-ip-address", value="2015::badd"),  # no IPv4 address: not told
    )
    one, two = port(net, 10, dhcp_options=own), port(net, 11)
    await plane.apply(model(net, (one, two)))
    guest = lab.guest(one, static=False)
    first = await do(client.ask, guest, "tftp", "bootfile", "ntpsrv")
    second = await do(client.ask, lab.guest(two, static=False), "tftp", "bootfile", "ntpsrv")
    assert (first["tftp"], first["bootfile"], first["ntpsrv"]) == (
        "boot.example.org",
        "pxelinux.0",
        "198.18.7.8 198.18.7.9",
    )
    assert (first["dns"], "router" in first) == ("198.18.7.99", False)
    assert {"tftp", "bootfile", "ntpsrv"}.isdisjoint(second)
    assert (second["dns"], second["router"]) == ("198.18.7.53", "198.18.7.1")
    pids = processes(net.id)
    await plane.apply(model(net, (replace(one, dhcp_options=own[2:3]), two)))
    again = await do(client.ask, guest, "tftp", "ntpsrv")
    assert ("tftp" in again, again["ntpsrv"], again["dns"]) == (False, "198.18.7.8 198.18.7.9", "198.18.7.53")
    assert processes(net.id) == pids  # a signal is enough


ASK = """
import socket, struct, sys
name, kind = sys.argv[2], {"A": 1, "AAAA": 28}[sys.argv[3]]
question = b"".join(bytes([len(one)]) + one.encode() for one in name.split(".")) + bytes(1) + struct.pack("!HH", kind, 1)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5)
s.sendto(struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + question, (sys.argv[1], 53))
reply = s.recv(1500)
code, count = reply[3] & 15, struct.unpack("!H", reply[6:8])[0]
size = {1: 4, 28: 16}[kind]
found = [socket.inet_ntop(socket.AF_INET if kind == 1 else socket.AF_INET6, reply[-size:])] if count else []
print(code, *found)
"""
"""A query to a name server: the answer's code and the last address in it."""


async def test_guests_find_each_other_by_name(lab: Lab) -> None:
    plane, net = await lab.plane(), network(dns_domain="demo.example.org")
    egress = group()
    one, two = port(net, 10, egress), port(net, 11, egress, hostname="db")
    await plane.apply(model(net, (one, two), egress))
    guest = lab.guest(one)

    async def asked(name: str, kind: str = "A") -> str:
        return (await do(guest.inside, "python3", "-c", ASK, "198.18.7.2", name, kind)).strip()

    for name in ("db", "db.demo.example.org", "DB.demo.example.org"):
        assert await asked(name) == "0 198.18.7.11"
    assert await asked("db", "AAAA") == "0 fd00:7::b"
    refused = "5"
    for other in ("example.org", "other", "other.demo.example.org"):
        assert await asked(other) == refused  # a guest goes on with its next name server
    pids = processes(net.id)
    renamed = replace(two, hostname="cache", fixed_ips=two.fixed_ips[:1])
    await plane.apply(model(net, (one, renamed), egress))
    assert await asked("cache.demo.example.org") == "0 198.18.7.11"
    for name in ("cache", "cache.demo.example.org"):
        assert await asked(name, "AAAA") == "0"  # it is there, without such an address
    for name in ("db", "db.demo.example.org"):
        assert await asked(name) == refused
    assert processes(net.id) == pids


async def test_a_dead_dnsmasq_is_started_again(lab: Lab) -> None:
    plane, net = await lab.plane(), network()
    state = model(net, (port(net, 10),))
    await plane.apply(state)
    (pid,) = processes(net.id)
    os.kill(pid, 9)
    await until(lambda: not processes(net.id))
    await plane.apply(state)
    assert len(processes(net.id)) == 1


async def test_a_rogue_dhcp_server_is_dropped(lab: Lab, client: Client) -> None:
    """Its ports are open for everything, and yet it hands out nothing."""
    plane, base = await lab.plane(), network()
    net = replace(base, subnets=(replace(base.subnets[0], enable_dhcp=False), base.subnets[1]))
    everything = group(rule())
    rogue, victim = port(net, 10, everything), port(net, 11, everything)
    await plane.apply(model(net, (rogue, victim), everything))
    server, asks = lab.guest(rogue), lab.guest(victim, static=False)
    process = subprocess.Popen(
        [
            "ip",
            "netns",
            "exec",
            server.namespace,
            "dnsmasq",
            "--no-daemon",
            "--conf-file=/dev/null",
            "--port=0",
            "--user=root",
            "--interface=eth0",
            "--bind-interfaces",
            "--dhcp-authoritative",
            "--dhcp-leasefile=" + str(Path(lab.options.state_dir) / "rogue"),
            "--dhcp-range=198.18.7.200,198.18.7.210,255.255.255.0",
        ],
        stderr=subprocess.DEVNULL,
    )
    try:
        await until(lambda: server.inside("ss", "-Hlun", "sport = :67"))
        assert await do(client.ask, asks) == {}
        open_ = replace(rogue, port_security_enabled=False)
        await plane.apply(model(net, (open_, victim), everything))
        assert (await do(client.ask, asks))["serverid"] == "198.18.7.10"  # so it did try
    finally:
        process.terminate()
        process.wait()


async def test_applying_again_changes_nothing(lab: Lab) -> None:
    """Neither with the same object nor with a new one, as after a restart of the agent."""
    plane, net, closed = await lab.plane(backend([])), network(), group()
    one = port(net, 10, closed)
    state = model(net, (one,), closed)
    await plane.apply(state)
    guest = lab.guest(one)

    def picture() -> tuple[object, ...]:
        links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
        inode = os.stat(f"/run/netns/{dhcp_namespace(net.id)}").st_ino
        return (
            saved(lab.options.instance),
            processes(net.id),
            inode,
            [STATES.sub("", line) for line in links.splitlines() if net.id[:11] in line],
        )

    before = await do(picture)
    assert await plane.parts.firewall.filters.apply(await do(_filters, plane, state)) == []
    await plane.apply(state)
    assert await do(picture) == before
    assert (await do(fetch, guest, "/"))[0] == 200
    leftovers = await plane.leftovers()
    await plane.close()
    again = await lab.plane(backend([]))
    assert await again.leftovers() == leftovers
    await again.apply(state)
    assert await do(picture) == before
    assert await again.leftovers() == leftovers
    assert (await do(fetch, guest, "/"))[0] == 200


def _filters(plane: ComposedDataPlane, state: HostModel) -> object:
    from kilonova.network.agent.firewall.iptables.compile import compile_filters

    return compile_filters(state, zones=plane.parts.firewall.zones, prefix=plane.parts.firewall.options.instance)


async def test_what_is_no_longer_named_is_removed(lab: Lab) -> None:
    plane, closed = await lab.plane(backend([])), group()
    first, second = network(), network()
    one, two = port(first, 10, closed), port(second, 10, closed)
    both = HostModel(networks=(replace(first, ports=(one,)), replace(second, ports=(two,))), security_groups=(closed,))
    await plane.apply(both)
    assert {v.owner for v in await plane.leftovers() if v.kind == "bridge"} == {first.id, second.id}
    await plane.close()
    again = await lab.plane(backend([]))  # a new agent takes away what an older one made
    await again.apply(model(second, (two,), closed))
    assert leftovers("none", [first.id]) == []
    assert {v.owner for v in await again.leftovers() if v.kind in ("bridge", "namespace", "dnsmasq")} == {second.id}
    await again.apply(HostModel())
    assert await again.leftovers() == []
    assert leftovers(lab.options.instance, [first.id, second.id]) == []
    await again.apply(both)
    await again.close(remove=True)
    assert leftovers(lab.options.instance, [first.id, second.id]) == []


async def test_after_a_reboot_everything_is_made_again(lab: Lab) -> None:
    """Only files outlive a reboot: the state's directory and, at worst, an empty file for the namespace."""
    plane, net, closed = await lab.plane(), network(), group()
    state = model(net, (port(net, 10, closed),), closed)
    await plane.apply(state)
    (pid,) = processes(net.id)
    os.kill(pid, 9)
    await plane.close()
    name = dhcp_namespace(net.id)
    await do(subprocess.run, ["ip", "netns", "del", name], check=True)
    await do(subprocess.run, ["ip", "link", "del", f"brq{net.id[:11]}"], check=True)
    Path(f"/run/netns/{name}").touch()
    again = await lab.plane()
    await again.apply(state)
    assert {v.kind for v in await again.leftovers()} == {"bridge", "chain", "namespace", "dnsmasq"}


async def test_a_foreign_bridge_is_left_alone(lab: Lab) -> None:
    plane, net = await lab.plane(), network()
    name = f"brq{net.id[:11]}"
    await do(subprocess.run, ["ip", "link", "add", name, "type", "bridge"], check=True)
    await do(subprocess.run, ["ip", "link", "set", name, "alias", "kilonova/else/network/x"], check=True)
    try:
        (fault,) = await plane.apply(model(net, ()))
        assert (fault.kind, fault.id, fault.lasting) == ("network", net.id, False)
        assert f"bridge {name} belongs to another" in fault.reason
        await plane.apply(HostModel())
        assert await do(os.path.exists, f"/sys/class/net/{name}")
    finally:
        await do(subprocess.run, ["ip", "link", "del", name], check=True)


async def test_without_rights_there_is_advice(options: DataPlaneOptions) -> None:
    script = (
        "import asyncio\nfrom kilonova.network.agent.registry import compose\n"
        "from kilonova.network.agent.options import DataPlaneOptions\n"
        "asyncio.run(compose(DataPlaneOptions(state_dir='/nowhere')).open())"
    )
    done = await do(
        subprocess.run,
        ["setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-c", script],
        capture_output=True,
        text=True,
    )
    assert "DataPlaneError: the bridge data plane needs root (CAP_NET_ADMIN" in done.stderr


async def test_a_missing_tool_names_its_package(options: DataPlaneOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    from kilonova.network.agent.system import checks

    monkeypatch.setattr(checks.shutil, "which", lambda tool: None if tool == "dnsmasq" else f"/usr/sbin/{tool}")
    with pytest.raises(DataPlaneError, match="install the package dnsmasq-base"):
        await compose(options).open()

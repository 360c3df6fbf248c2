"""Filters on the machine, with namespaces as guests."""

from __future__ import annotations

import asyncio
import errno
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from kilonova.network.agent.l2.bridge.links import Wiring
from kilonova.network.agent.model import AddressPair, HostModel, tap_name
from tests.dataplane.conftest import Lab
from tests.dataplane.lab import SOON, arp, group, icmp6, model, network, new_id, port, rule, udp4

pytestmark = pytest.mark.lab
do = asyncio.to_thread


def saved(instance: str) -> str:
    out = [
        subprocess.run([tool], capture_output=True, text=True, check=True).stdout
        for tool in ("iptables-save", "ip6tables-save")
    ]
    table = subprocess.run(["nft", "list", "table", "bridge", f"{instance}_l2"], capture_output=True, text=True)
    return table.stdout + "\n".join(line for text in out for line in text.splitlines() if f"{instance}-" in line)


async def eventually(what: Callable[[], bool]) -> None:
    for _ in range(1000):
        if what():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("did not come true within 20 s")


SSH = {"protocol": "tcp", "port_range_min": 22, "port_range_max": 22}


async def test_a_port_opens_by_a_rule_and_closes_with_it(lab: Lab) -> None:
    plane, net = await lab.plane(), network()
    closed, caller = group(), group()
    opened = replace(closed, rules=(*closed.rules, rule(**SSH)))
    ports = port(net, 10, caller), port(net, 11, closed)
    await plane.apply(model(net, ports, closed, caller))
    one, two = lab.guest(ports[0]), lab.guest(ports[1])
    await do(two.listen)
    assert not await do(one.connects, "198.18.7.11", patience=SOON)
    await plane.apply(model(net, ports, opened, caller))
    assert await do(one.connects, "198.18.7.11")
    assert not await do(one.pings, "198.18.7.11", patience=SOON)

    held = one.start(
        "import socket, sys; s = socket.create_connection(('198.18.7.11', 22)); s.recv(5); print('ready', flush=True);"
        "sys.stdin.readline(); s.settimeout(1.5); s.sendall(b'x')\n"
        "import time; time.sleep(.7); o = s.getsockopt(6, 11, 104); print('unacked', int.from_bytes(o[24:28], 'little'))"
    )
    await plane.apply(model(net, ports, closed, caller))
    assert not await do(one.connects, "198.18.7.11", patience=SOON)
    assert (await do(held.communicate, "go\n"))[0].strip() == "unacked 1"


async def test_a_held_connection_lives_on_when_other_rules_change(lab: Lab) -> None:
    plane, net = await lab.plane(), network()
    web = rule(protocol="tcp", port_range_min=80, port_range_max=80)
    icmp = rule(protocol="icmp")
    full = group(rule(**SSH), web, icmp)
    ports = port(net, 10, full), port(net, 11, full)
    await plane.apply(model(net, ports, full))
    one, two = lab.guest(ports[0]), lab.guest(ports[1])
    await do(two.listen)
    held = one.start(
        "import socket, sys; s = socket.create_connection(('198.18.7.11', 22)); s.recv(5); print('ready', flush=True);"
        "sys.stdin.readline(); s.sendall(b'x')\n"
        "import time; time.sleep(.5); o = s.getsockopt(6, 11, 104); print('unacked', int.from_bytes(o[24:28], 'little'))"
    )
    less = replace(full, rules=tuple(r for r in full.rules if r not in (icmp, web)))
    await plane.apply(model(net, ports, less))
    assert (await do(held.communicate, "go\n"))[0].strip() == "unacked 0"
    assert not await do(one.pings, "198.18.7.11", patience=SOON)


async def test_both_ends_on_one_host_are_asked(lab: Lab) -> None:
    """The source's egress and the target's ingress: neither makes up for the other."""
    plane, net = await lab.plane(), network()
    mute = replace(group(), rules=(rule("egress", protocol="udp"),))
    deaf, ears = group(), group(rule(**SSH))
    ports = port(net, 10, mute), port(net, 11, ears), port(net, 12, deaf)
    await plane.apply(model(net, ports, mute, deaf, ears))
    silent, open_, closed = (lab.guest(p) for p in ports)
    await do(open_.listen)
    await do(closed.listen)
    assert not await do(silent.connects, "198.18.7.11", patience=SOON)
    assert await do(closed.connects, "198.18.7.11")
    assert not await do(open_.connects, "198.18.7.12", patience=SOON)


async def test_a_remote_group_admits_its_members_only(lab: Lab) -> None:
    plane, net = await lab.plane(), network()
    clients = group(id=new_id(), members=("198.18.7.10", "fd00:7::a"))
    servers = group(rule(remote_group_id=clients.id, **SSH), rule(remote_group_id=clients.id, ethertype="IPv6", **SSH))
    ports = port(net, 10, clients), port(net, 11, servers), port(net, 12, servers)
    await plane.apply(model(net, ports, clients, servers))
    member, server, stranger = (lab.guest(p) for p in ports)
    await do(server.listen, 22, "0.0.0.0")
    await do(server.listen, 22, "fd00:7::b")
    assert await do(member.connects, "198.18.7.11")
    assert await do(member.connects, "fd00:7::b")
    assert not await do(stranger.connects, "198.18.7.11", patience=SOON)
    assert not await do(stranger.connects, "fd00:7::b", patience=SOON)
    await plane.apply(model(net, ports, replace(clients, members=("198.18.7.12",)), servers))
    assert not await do(member.connects, "198.18.7.11", patience=SOON)
    assert await do(stranger.connects, "198.18.7.11")


async def test_ipv6_is_closed_by_default_but_neighbours_are_found(lab: Lab) -> None:
    plane, net = await lab.plane(), network()
    closed, opened = group(), group(rule(protocol="icmpv6", ethertype="IPv6"))
    ports = port(net, 10, closed), port(net, 11, closed), port(net, 12, opened)
    await plane.apply(model(net, ports, closed, opened))
    one, two, three = (lab.guest(p) for p in ports)
    await do(two.listen, 22, "fd00:7::b")
    assert not await do(one.pings, "fd00:7::b", patience=SOON)
    assert not await do(one.connects, "fd00:7::b", patience=SOON)
    assert await do(one.pings, "fd00:7::c")
    assert "fa:16:3e:00:00:0b" in await do(one.inside, "ip", "-6", "neigh")
    assert await do(three.pings, "fe80::f816:3eff:fe00:a", "-I", "eth0", patience=SOON) is False


async def test_forged_frames_stay_in_the_guest(lab: Lab) -> None:
    plane, net = await lab.plane(), network()
    everything = group(rule(), rule(ethertype="IPv6"))
    pair = AddressPair(ip_address="198.18.7.100")
    ports = port(net, 10, everything, allowed_address_pairs=(pair,)), port(net, 11, everything)
    await plane.apply(model(net, ports, everything))
    one, two = lab.guest(ports[0]), lab.guest(ports[1])
    mac, other = "fa:16:3e:00:00:0a", "fa:16:3e:00:00:99"
    word = b"kilonova".hex()
    fe80, all_nodes = "fe80::f816:3eff:fe00:a", "ff02::1"

    def ra(kind: int, src: str = fe80, body: bytes = bytes(12)) -> str:
        return icmp6(mac, src, all_nodes, kind, body)

    def na(target: bytes) -> str:
        return ra(136, body=b"\x20\0\0\0" + target + b"\2\1" + bytes.fromhex(mac.replace(":", "")))

    own6, foreign6 = bytes.fromhex("fd00000700000000000000000000000a"), bytes.fromhex("fd000007" + "00" * 11 + "0b")
    inner = udp4(mac, "198.18.7.10", 1000, "198.18.7.11", 2000)
    tagged = inner[:24] + "81000007" + inner[24:]
    cases = {
        "own address": (inner, word, True),
        "allowed pair": (udp4(mac, "198.18.7.100", 1000, "198.18.7.11", 2000), word, True),
        "foreign MAC": (udp4(other, "198.18.7.10", 1000, "198.18.7.11", 2000), word, False),
        "foreign IP": (udp4(mac, "198.18.7.12", 1000, "198.18.7.11", 2000), word, False),
        "own ARP": (arp(mac, mac, "198.18.7.10", "198.18.7.99"), "c612070a", True),
        "ARP for a foreign IP": (arp(mac, mac, "198.18.7.1", "198.18.7.99"), "c6120701", False),
        "ARP answer for a foreign IP": (arp(mac, mac, "198.18.7.1", "198.18.7.11", 2), "c6120701", False),
        "ARP with a foreign MAC inside": (arp(mac, other, "198.18.7.10", "198.18.7.99"), "c612070a", False),
        "DHCP server's answer": (udp4(mac, "198.18.7.10", 67, "255.255.255.255", 68), word, False),
        "router advertisement": (ra(134), "fe80000000000000f8163efffe00000a", False),
        "own neighbour": (na(own6), own6.hex() + "0201", True),
        "foreign neighbour": (na(foreign6), foreign6.hex() + "0201", False),
        "foreign link-local": (ra(128, "fe80::1", b"kilonova"), word, False),
        "VLAN tag": (tagged, word, False),
        "unknown ethertype": ("ff" * 6 + mac + "88b5" + word + "00" * 40, word, False),
        "spanning tree": ("0180c2000000" + mac + "0026424203" + word + "00" * 40, word, False),
    }
    for name, (frame, needle, arrives) in cases.items():
        assert await do(two.sees, needle, one, frame) is arrives, name
    await plane.apply(model(net, (replace(ports[0], port_security_enabled=False), ports[1]), everything))
    for name, (frame, needle, _arrives) in cases.items():
        assert await do(two.sees, needle, one, frame), f"{name}: not even without port security"


async def test_a_forged_source_cannot_reach_by_the_usual_tools(lab: Lab) -> None:
    plane, net = await lab.plane(), network()
    everything = group(rule())
    ports = port(net, 10, everything), port(net, 11, everything)
    await plane.apply(model(net, ports, everything))
    one, two = lab.guest(ports[0]), lab.guest(ports[1])
    assert await do(one.pings, "198.18.7.11")
    await do(one.inside, "ip", "addr", "add", "198.18.7.66/24", "dev", "eth0")
    assert not await do(one.pings, "198.18.7.11", "-I", "198.18.7.66", patience=SOON)
    await do(one.inside, "arping", "-c", "1", "-U", "-I", "eth0", "198.18.7.66", check=False)
    assert "198.18.7.66" not in await do(two.inside, "ip", "neigh")
    await do(one.inside, "ip", "link", "set", "eth0", "address", "fa:16:3e:00:00:66")
    assert not await do(one.pings, "198.18.7.11", patience=SOON)


async def test_port_security_off_and_admin_down(lab: Lab) -> None:
    plane, net = await lab.plane(), network()
    closed = group()
    free, other = port(net, 10, port_security_enabled=False), port(net, 11, closed)
    await plane.apply(model(net, (free, other), closed))
    one, two = lab.guest(free), lab.guest(other)
    assert await do(two.pings, "198.18.7.10")
    assert not await do(one.pings, "198.18.7.11", patience=SOON)
    assert (
        await do(two.sees, b"kilonova".hex(), one, udp4("fa:16:3e:00:00:77", "198.18.7.77", 1, "198.18.7.11", 2))
        is False
    )  # two's ingress
    await plane.apply(model(net, (replace(free, admin_state_up=False), other), closed))
    assert not await do(two.pings, "198.18.7.10", patience=SOON)
    assert not await do(
        one.sees, "c612070b", two, arp("fa:16:3e:00:00:0b", "fa:16:3e:00:00:0b", "198.18.7.11", "198.18.7.10")
    )


async def test_a_tap_that_nobody_named_passes_no_ip(lab: Lab) -> None:
    plane, net = await lab.plane(), network()
    everything = group(rule(), rule(ethertype="IPv6"))
    known, unknown = port(net, 10, everything), port(net, 11, everything)
    await plane.apply(model(net, (known,), everything))
    one, two = lab.guest(known), lab.guest(unknown)
    assert not await do(two.pings, "198.18.7.10", patience=SOON)
    assert not await do(two.pings, "198.18.7.2", patience=SOON)
    assert not await do(one.pings, "198.18.7.11", patience=SOON)
    assert not await do(two.pings, "fd00:7::a", patience=SOON)
    await plane.apply(model(net, (known, unknown), everything))
    assert await do(two.pings, "198.18.7.10")
    await plane.apply(model(net, (known,), everything))
    assert not await do(two.pings, "198.18.7.10", patience=SOON)


async def test_networks_with_the_same_addresses_do_not_mix(lab: Lab) -> None:
    plane = await lab.plane()
    opened, closed = group(rule(**SSH)), group()
    first, second = network(), network()
    pairs = [(port(n, 10, g), port(n, 11, g)) for n, g in ((first, opened), (second, closed))]
    state = model(first, pairs[0], opened, closed)
    await plane.apply(replace(state, networks=(*state.networks, replace(second, ports=pairs[1]))))
    guests = [[lab.guest(p) for p in pair] for pair in pairs]
    for pair in guests:
        await do(pair[1].listen)
    assert await do(guests[0][0].connects, "198.18.7.11")
    assert not await do(guests[1][0].connects, "198.18.7.11", patience=SOON)


async def test_a_guest_does_not_reach_the_host_over_its_bridge(lab: Lab) -> None:
    """With no egress rule; with one, the host's own INPUT decides."""
    plane, net = await lab.plane(), network()
    mute, free = replace(group(), rules=()), group()
    ports = port(net, 10, mute), port(net, 11, free)
    await plane.apply(model(net, ports, mute, free))
    one, two = lab.guest(ports[0]), lab.guest(ports[1])
    bridge = f"brq{net.id[:11]}"
    await do(subprocess.run, ["ip", "addr", "add", "198.18.7.250/24", "dev", bridge], check=True)
    assert not await do(one.pings, "198.18.7.250", patience=SOON)
    assert await do(two.pings, "198.18.7.250")


async def test_taps_are_told(lab: Lab) -> None:
    plane, net = await lab.plane(), network()
    one = port(net, 10)
    await plane.apply(model(net, (one,)))
    guest = lab.guest(one)
    tap = tap_name(one.id)
    await eventually(lambda: lab.taps == [(tap, True)])
    await do(subprocess.run, ["ip", "link", "set", tap, "nomaster"], check=True)
    await eventually(lambda: lab.taps == [(tap, True), (tap, False)])
    await do(subprocess.run, ["ip", "link", "set", tap, "master", f"brq{net.id[:11]}"], check=True)
    await eventually(lambda: lab.taps[2:] == [(tap, True)])
    again = await lab.plane()
    await eventually(lambda: lab.taps[3:] == [(tap, True)])
    await plane.close()
    await again.apply(model(net, (one,)))
    await again.unplug(one.id)
    await again.unplug(one.id)
    await eventually(lambda: lab.taps[4:] == [(tap, False)])
    guest.unplug()


async def test_a_rule_that_a_tool_refuses_is_left_out_and_named(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one group, one port and one port's layer 2; the other group and the other port are as they should be."""
    from kilonova.network.agent.firewall.iptables import compile as compiler
    from kilonova.network.agent.firewall.iptables import layer2 as l2

    plane, net = await lab.plane(), network()
    ssh, web = group(rule(**SSH)), group(rule(protocol="tcp", port_range_min=80, port_range_max=80))
    one, two, three = port(net, 10, ssh, web), port(net, 11, ssh), port(net, 12, web)
    bad, original, port_rules = ssh.rules[-1], compiler.match, l2.port_rules
    assert await plane.apply(model(net, (two,), ssh)) == ()
    monkeypatch.setattr(compiler, "match", lambda r: "-m nosuchmatch" if r is bad else original(r))
    monkeypatch.setattr(l2, "port_rules", lambda p: ("nonsense", "accept") if p.id == three.id else port_rules(p))
    state = model(net, (one, two, three), replace(ssh, rules=(*ssh.rules[:-1], bad)), web)
    for wanted in (state, state, replace(state, security_groups=state.security_groups[::-1])):
        faults = {(f.kind, f.id): f for f in await plane.apply(wanted)}
        assert set(faults) == {("security group", ssh.id), ("port", three.id)}
        assert all(fault.lasting for fault in faults.values())
        assert "nosuchmatch" in faults["security group", ssh.id].reason
        text = await do(saved, lab.options.instance)
        assert "nosuchmatch" not in text
        assert "--dport 22" not in text
        assert "--dport 80 -j ACCEPT" in text
        assert all(f"-A {lab.options.instance}-i-{p.id[:11]} -j DROP" in text for p in (one, two, three))
        table = await do(subprocess.check_output, ["nft", "list", "table", "bridge", f"{lab.options.instance}_l2"])
        chain = table.decode().partition(f"chain p-{three.id[:11]} {{")[2].partition("}")[0]
        assert chain.split() == ["drop"]
    monkeypatch.undo()
    other = await lab.plane()  # an agent that starts anew tries all of it
    await plane.close()
    assert await other.apply(state) == ()
    assert "--dport 22 -j ACCEPT" in await do(saved, lab.options.instance)


async def test_one_networks_fault_is_its_own(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """One cannot be made, one cannot be removed, one is new: the new one works, the others are named and tried again."""
    plane, broken, old, new = await lab.plane(), network(), network(), network()
    await plane.apply(HostModel(networks=(old,)))
    lab.networks += [broken.id, old.id, new.id]
    ensure, remove = plane.parts.l2.links.ensure, plane.parts.l2.links.remove

    def failing(wanted: Wiring) -> int:
        if wanted.id == broken.id:
            raise ValueError("no such wire")
        return ensure(wanted)

    def stuck(network_id: str) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy")

    monkeypatch.setattr(plane.parts.l2.links, "ensure", failing)
    monkeypatch.setattr(plane.parts.l2.links, "remove", stuck)
    ssh = group(rule(**SSH))
    one = port(new, 10, ssh)
    state = HostModel(networks=(broken, replace(new, ports=(one,))), security_groups=(ssh,))
    faults = {f.id: f for f in await plane.apply(state)}
    assert set(faults) == {old.id, broken.id}
    assert "no such wire" in faults[broken.id].reason
    assert not any(fault.lasting for fault in faults.values())
    assert f"{lab.options.instance}-i-{one.id[:11]}" in await do(saved, lab.options.instance)
    assert {v.owner for v in await plane.leftovers() if v.kind == "dnsmasq"} == {new.id}
    monkeypatch.setattr(plane.parts.l2.links, "ensure", ensure)
    monkeypatch.setattr(plane.parts.l2.links, "remove", remove)
    assert await plane.apply(state) == ()
    assert {v.owner for v in await plane.leftovers() if v.kind == "bridge"} >= {broken.id, new.id}
    assert old.id not in {v.owner for v in await plane.leftovers()}


async def test_a_port_that_cannot_be_read_takes_none_with_it(lab: Lab) -> None:
    """As it comes from a database that an older release filled: prefixes with scope ids, and a MAC that is none."""
    plane, net = await lab.plane(), network()
    prefix = "fe80::%lo\n-I INPUT 1 -j ACCEPT"
    evil = group(
        rule(ethertype="IPv6", remote_ip_prefix=prefix), rule(ethertype="IPv6", remote_ip_prefix="fe80::%e/64")
    )
    good, bad = port(net, 10, evil), port(net, 11, mac_address="fa:16:3e:00:00:0b drop")
    faults = await plane.apply(model(net, (good, bad), evil))
    assert {(f.kind, f.id) for f in faults} == {("security group", evil.id), ("port", bad.id)}
    instance, hosts = lab.options.instance, Path(lab.options.state_dir) / "networks" / net.id / "hosts"
    for tool in ("iptables-save", "ip6tables-save"):
        text = (await do(subprocess.check_output, [tool])).decode()
        assert f"-A {instance}-i-{good.id[:11]} -j {instance}-gi-" in text
        assert f"-A {instance}-i-{bad.id[:11]} -j DROP" in text
        assert "INPUT -j ACCEPT" not in text
    assert [line.split(",")[0] for line in hosts.read_text().splitlines()] == [good.mac_address]


async def test_flushed_chains_come_back(lab: Lab) -> None:
    plane, net = await lab.plane(), network()
    ssh = group(rule(**SSH))
    one, two = port(net, 10, ssh), port(net, 11, ssh)
    await plane.apply(model(net, (one, two), ssh))
    expected = await do(saved, lab.options.instance)
    await plane.apply(model(net, (one,), ssh))
    name = lab.options.instance
    for words in (
        ["-D", "FORWARD", "-j", f"{name}-forward"],
        ["-F", f"{name}-forward"],
        ["-X", f"{name}-forward"],
        ["-F", f"{name}-o-{one.id[:11]}"],
        ["-F", f"{name}-from"],
        ["-X", f"{name}-o-{one.id[:11]}"],
    ):
        await do(subprocess.run, ["iptables", "-w", *words], check=True)
    other = await lab.plane()  # the agent started anew
    await plane.close()
    await other.apply(model(net, (one, two), ssh))
    assert sorted((await do(saved, name)).splitlines()) == sorted(expected.splitlines())

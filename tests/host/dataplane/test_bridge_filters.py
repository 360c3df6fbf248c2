"""Filters on the machine, with namespaces as guests."""

from __future__ import annotations

import asyncio
import errno
import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace

from kilonova.network.agent.l2.bridge.links import Wiring
from kilonova.network.agent.model import HostModel
from tests.host.dataplane.conformance import (
    SSH,
    FirewallConformance,
    L2Conformance,
    saved,
)
from tests.host.dataplane.conftest import Lab
from tests.host.dataplane.lab import group, model, network, port, rule

pytestmark = pytest.mark.lab
do = asyncio.to_thread


class TestIptables(FirewallConformance): ...


class TestBridge(L2Conformance): ...


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
    state = HostModel(networks=(broken, replace(new, ports=(one,))), security_groups=(ssh,), routers=())
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

"""The tunnel device of one host: made, mended, refused, swept. What it carries is tested across hosts."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from kilonova.network.agent.dataplane import DataPlaneError
from kilonova.network.agent.firewall.iptables.layer2 import L2, change, tunnel_rules
from kilonova.network.agent.model import HostModel, NetworkModel, bridge_name
from kilonova.network.agent.options import DataPlaneOptions
from kilonova.network.agent.registry import compose
from tests.host.dataplane.conftest import Lab
from tests.host.dataplane.lab import leftovers, model, network, port

VNI = 1 + secrets.randbelow(1 << 23)


@pytest.fixture
def options(options: DataPlaneOptions) -> Iterator[DataPlaneOptions]:
    yield replace(options, tunnel_ip="127.0.0.1", vxlan_port=20000 + secrets.randbelow(9000))
    assert not shown(f"{options.instance}-vx{VNI}")


def shown(device: str) -> str:
    return subprocess.run(["ip", "-d", "-o", "link", "show", device], capture_output=True, text=True).stdout


def flooded(device: str) -> set[str]:
    said = subprocess.run(["bridge", "fdb", "show", "dev", device], capture_output=True, text=True, check=True).stdout
    return {line.split()[2] for line in said.splitlines() if line.startswith("00:00:00:00:00:00 dst")}


def tunnelled(*places: str) -> tuple[NetworkModel, HostModel]:
    """A network with a port here and one at each of these tunnel addresses."""
    net = network(segmentation_id=VNI)
    others = [port(net, 20 + n, local=False, tunnel_ip=place) for n, place in enumerate(places)]
    return net, model(net, (port(net, 10), *others))


@pytest.mark.lab
async def test_only_differences_are_applied(lab: Lab, options: DataPlaneOptions) -> None:
    device, plane = f"{options.instance}-vx{VNI}", await lab.plane()
    net, state = tunnelled("192.0.2.1", "192.0.2.2", "192.0.2.2", "127.0.0.1", "")
    lab.networks.append(net.id)
    await plane.apply(state)
    first = shown(device)
    for words in (f"vxlan id {VNI} local 127.0.0.1", f"dstport {options.vxlan_port}", "mtu 1450", f"/network/{net.id}"):
        assert words in first
    assert f"master {bridge_name(net.id)}" in first
    assert flooded(device) == {"192.0.2.1", "192.0.2.2"}
    entries = [("append", "00:00:00:00:00:00", "192.0.2.9"), ("add", "fa:16:3e:00:00:14", "192.0.2.2")]
    for verb, mac, peer in entries:  # a peer of yesterday, and a guest where it is no longer
        subprocess.run(["bridge", "fdb", verb, mac, "dev", device, "dst", peer, "self"], check=True)
    again = await lab.plane()
    await again.apply(state)
    assert shown(device).split(": ")[0] == first.split(": ")[0]
    assert flooded(device) == {"192.0.2.1", "192.0.2.2"}
    table = subprocess.run(["bridge", "fdb", "show", "dev", device], capture_output=True, text=True).stdout
    assert "fa:16:3e:00:00:14" not in table
    assert ("vxlan", device, net.id) in {(v.kind, v.name, v.owner) for v in await again.leftovers()}

    moved = compose(replace(options, vxlan_port=options.vxlan_port + 1))  # the operator changed the port
    lab.planes.append(moved)
    await moved.open()
    await moved.apply(state)
    assert f"dstport {options.vxlan_port + 1}" in shown(device)
    assert flooded(device) == {"192.0.2.1", "192.0.2.2"}
    without = compose(replace(options, tunnel_ip=""))
    lab.planes.append(without)
    await without.open()
    await without.apply(state)
    assert not shown(device)


@pytest.mark.lab
async def test_what_is_in_the_way_is_named(lab: Lab, options: DataPlaneOptions) -> None:
    stranger = compose(replace(options, tunnel_ip="192.0.2.77"))
    with pytest.raises(DataPlaneError, match=r"tunnel_ip 192\.0\.2\.77 is no address of this host"):
        await stranger.open()
    other, words = "t" + secrets.token_hex(3), ["type", "vxlan", "id", str(VNI), "dstport", str(options.vxlan_port)]
    subprocess.run(["ip", "link", "add", other, *words], check=True)
    try:
        plane = await lab.plane()
        net, state = tunnelled("192.0.2.1")
        lab.networks.append(net.id)
        (fault,) = await plane.apply(state)
        assert "clouds that share a host need a dataplane.vxlan_port each" in fault.reason
    finally:
        subprocess.run(["ip", "link", "del", other], check=True)
    await plane.apply(state)
    assert flooded(f"{options.instance}-vx{VNI}") == {"192.0.2.1"}


@pytest.mark.lab
async def test_a_half_made_tunnel_is_swept(lab: Lab, options: DataPlaneOptions) -> None:
    """The agent died between making and marking it; its network is gone since."""
    device = f"{options.instance}-vx{VNI}"
    subprocess.run(["ip", "link", "add", device, "type", "vxlan", "id", str(VNI), "dstport", "14999"], check=True)
    await lab.plane()
    assert not shown(device)
    assert leftovers(options.instance, []) == []


def test_what_stays_at_home() -> None:
    net = network(segmentation_id=7)
    rules = tunnel_rules(net)
    assert rules[:2] == ("ether saddr fa:16:3e:07:00:02 drop", "ether daddr fa:16:3e:07:00:02 drop")
    assert "arp daddr ip { 198.18.7.2, 169.254.169.254 } drop" in rules
    assert not [rule for rule in rules if "547" in rule]
    six = replace(net.subnets[1], dhcp_ip="fd00:7::2")
    assert "udp sport 546 udp dport 547 drop" in tunnel_rules(replace(net, subnets=(six,)))
    assert tunnel_rules(replace(net, subnets=(replace(net.subnets[0], dhcp_ip=None),))) == ()
    assert tunnel_rules(replace(net, dhcp_mac="no mac; drop")) == ("drop",)


def test_tunnels_come_and_go_in_the_table() -> None:
    none, one = L2(), L2(tunnels={"kn-vx7": ("drop",)})
    assert change(none, one, "t").splitlines() == [
        "add chain bridge t t-kn-vx7",
        "flush chain bridge t t-kn-vx7",
        "add rule bridge t t-kn-vx7 drop",
        'add element bridge t tunnels { "kn-vx7" : jump t-kn-vx7 }',
    ]
    assert change(one, none, "t").splitlines() == [
        'delete element bridge t tunnels { "kn-vx7" : jump t-kn-vx7 }',
        "delete chain bridge t t-kn-vx7",
    ]

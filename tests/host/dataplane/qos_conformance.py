"""What every firewall part must do with QoS policies, as guests see it: measured, with bounds far from what is asked."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from kilonova.network.agent.model import (
    BandwidthLimitModel,
    HostModel,
    PacketRateLimitModel,
    PortModel,
    QosPolicyModel,
)
from tests.host.dataplane.conftest import Lab
from tests.host.dataplane.lab import Guest, group, model, network, new_id, port, rule

do = asyncio.to_thread
SECONDS = 2
SINK = """
import socket, time
s = socket.create_server(('0.0.0.0', 5000)); print('ready', flush=True)
c, _ = s.accept(); c.settimeout(.2); count, end = 0, time.monotonic() + 2
while time.monotonic() < end:
    try:
        count += len(c.recv(1 << 20))
    except TimeoutError:
        pass
print(count, flush=True)
"""
SOURCE = """
import socket, sys, time
c = socket.create_connection((sys.argv[1], 5000), timeout=5); end = time.monotonic() + 10
try:
    while time.monotonic() < end:
        c.send(b'x' * 65536)
except OSError:
    pass
"""
PACKETS = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(int(sys.argv[2])):
    s.sendto(b'x', (sys.argv[1], 5000))
"""
KBPS, KPPS = 1000, 1
SLOW = (SECONDS + 2) * KBPS * 125 * 2
"""Bytes that pass within the time, and in the second's worth that may pass at once, twice over; a link without limits passes
hundreds of times as many."""


def limits(direction: str) -> QosPolicyModel:
    return QosPolicyModel(id=new_id(), bandwidth_limits=(BandwidthLimitModel(direction=direction, max_kbps=KBPS),))


def state(ports: tuple[PortModel, ...], *policies: QosPolicyModel) -> HostModel:
    """Guests that may reach each other; the first one's policy is the first."""
    net = network(ports[0].network_id)
    everyone = group(rule(), rule(ethertype="IPv6"))
    named = tuple(replace(one, security_groups=(everyone.id,) if one.port_security_enabled else ()) for one in ports)
    if policies:
        named = (replace(named[0], qos_policy_id=policies[0].id), *named[1:])
    return replace(model(net, named, everyone), qos_policies=policies)


def received(source: Guest, sink: Guest) -> int:
    """Bytes that come from one guest to another in the time."""
    counting = sink.start(SINK)
    sending = source.start("print('ready', flush=True)\n" + SOURCE, address(sink))
    assert counting.stdout is not None
    count = int(counting.stdout.readline())
    sending.kill()
    return count


def arrived(source: Guest, target: Guest, sent: int) -> int:
    """Packets of so many that come through, as the target's device counts them."""

    def counted() -> int:
        return int(target.inside("cat", "/sys/class/net/eth0/statistics/rx_packets"))

    before = counted()
    source.inside("python3", "-c", PACKETS, address(target), str(sent))
    return counted() - before


def address(guest: Guest) -> str:
    return guest.port.fixed_ips[0].ip_address


class QosConformance:
    """Limits and marks hold for the port that has the policy, from the moment its tap is there, and as long as they are asked."""

    async def test_bandwidth_from_a_port(self, lab: Lab) -> None:
        plane, net = await lab.plane(), network()
        ports = port(net, 10), port(net, 11)
        await plane.apply(state(ports))
        one, two = (lab.guest(p) for p in ports)
        free = await do(received, one, two)
        assert free > 10 * SLOW
        policy = limits("egress")
        assert await plane.apply(state(ports, policy)) == ()
        assert 0 < await do(received, one, two) < SLOW
        assert await do(received, two, one) > 10 * SLOW

        again = await lab.plane()  # a restart of the agent, beside a network service that is too old to send policies
        await plane.close()
        await again.apply(replace(state(ports, policy), qos_policies=None))
        assert 0 < await do(received, one, two) < SLOW
        faster = replace(policy, bandwidth_limits=(replace(policy.bandwidth_limits[0], max_kbps=100 * KBPS),))
        await again.apply(state(ports, faster))
        assert SLOW < await do(received, one, two) < 100 * SLOW
        await again.apply(state(ports))
        assert await do(received, one, two) > 10 * SLOW

    async def test_bandwidth_to_a_port_without_port_security(self, lab: Lab) -> None:
        plane, net = await lab.plane(), network()
        ports = port(net, 10, port_security_enabled=False), port(net, 11)
        await plane.apply(state(ports, limits("ingress")))
        one, two = (lab.guest(p) for p in ports)  # the limit is there before the tap
        assert 0 < await do(received, two, one) < SLOW
        assert await do(received, one, two) > 10 * SLOW
        one.unplug()
        one.plug()
        assert 0 < await do(received, two, one) < SLOW

    async def test_packets_a_second(self, lab: Lab) -> None:
        plane, net = await lab.plane(), network()
        ports = port(net, 10), port(net, 11)
        await plane.apply(state(ports))
        one, two = (lab.guest(p) for p in ports)
        assert await do(one.pings, address(two))
        sent = 20000
        assert await do(arrived, one, two, sent) >= sent
        for direction, source, target in (("egress", one, two), ("ingress", two, one)):
            rate = PacketRateLimitModel(direction=direction, max_kpps=KPPS, max_burst_kpps=1)
            await plane.apply(state(ports, QosPolicyModel(id=new_id(), packet_rate_limits=(rate,))))
            assert 1000 * KPPS <= await do(arrived, source, target, sent) < sent / 2

    async def test_marks_of_packets_from_a_port(self, lab: Lab) -> None:
        plane, net = await lab.plane(), network()
        ports = port(net, 10), port(net, 11)
        await plane.apply(state(ports, QosPolicyModel(id=new_id(), dscp_mark=26)))
        one, two = (lab.guest(p) for p in ports)

        async def marks() -> tuple[set[int], set[int]]:
            """DSCP of the IPv4 and IPv6 packets from the first guest; that they are answered shows that checksums are right."""
            with two.sniffing() as seen:
                assert await do(one.pings, address(two))
                assert await do(one.pings, "fd00:7::b")
            mine = [frame for frame in seen if frame[12:24] == one.port.mac_address.replace(":", "")]
            v4 = {int(frame[30:32], 16) >> 2 for frame in mine if frame[24:28] == "0800"}
            return v4, {int(frame[28:32], 16) >> 6 & 63 for frame in mine if frame[24:28] == "86dd"}

        assert await marks() == ({26}, {26})
        await plane.apply(state(ports, QosPolicyModel(id=new_id(), dscp_mark=46)))
        assert await marks() == ({46}, {46})
        await plane.apply(state(ports, QosPolicyModel(id=new_id())))
        assert await marks() == ({0}, {0})

"""QoS policies → rules of taps, purely."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from kilonova.network.agent.firewall.iptables.layer2 import L2, change, closed, compile_l2, script
from kilonova.network.agent.firewall.iptables.qos import compile_qos
from kilonova.network.agent.model import (
    BandwidthLimitModel,
    HostModel,
    PacketRateLimitModel,
    PortModel,
    QosPolicyModel,
    tap_name,
)
from tests.host.dataplane.lab import model, network, new_id, port


def state(policy: QosPolicyModel, **words: object) -> tuple[HostModel, PortModel]:
    net = network()
    one = port(net, 10, qos_policy_id=policy.id, **words)
    return replace(model(net, (one, port(net, 11))), qos_policies=(policy,)), one


def both(direction: str, *, kbps: tuple[int, int] | None = None, kpps: tuple[int, int] | None = None) -> QosPolicyModel:
    """With (rate, burst) of each."""
    return QosPolicyModel(
        id=new_id(),
        bandwidth_limits=(BandwidthLimitModel(direction=direction, max_kbps=kbps[0], max_burst_kbps=kbps[1]),)
        if kbps
        else (),
        packet_rate_limits=(PacketRateLimitModel(direction=direction, max_kpps=kpps[0], max_burst_kpps=kpps[1]),)
        if kpps
        else (),
    )


@pytest.mark.parametrize(
    ("kbps", "text"),
    [
        ((1000, 0), "125000 bytes/second burst 1 bytes"),
        ((1000, 3000), "125000 bytes/second burst 250000 bytes"),
        ((8, 0), "1000 bytes/second burst 64536 bytes"),
        ((8, 8), "1000 bytes/second burst 64536 bytes"),
        ((100_000_000, 2147483647), "12500000000 bytes/second burst 4294967295 bytes"),
    ],
)
def test_bandwidth(kbps: tuple[int, int], text: str) -> None:
    """A bucket holds a second's worth and the burst, and one frame at least."""
    wanted, one = state(both("egress", kbps=kbps))
    assert compile_qos(wanted) == ({tap_name(one.id): (f"limit rate over {text} drop",)}, {})


@pytest.mark.parametrize(
    ("kpps", "text"), [((1, 0), "1000/second burst 800 packets"), ((2, 1), "2000/second burst 1000 packets")]
)
def test_packets(kpps: tuple[int, int], text: str) -> None:
    wanted, one = state(both("ingress", kpps=kpps))
    assert compile_qos(wanted) == ({}, {tap_name(one.id): (f"limit rate over {text} drop",)})


@pytest.mark.parametrize("rate", [0, 2147483647])
def test_a_rate_of_nothing_or_beyond_every_device_is_no_limit(rate: int) -> None:
    wanted, _ = state(both("egress", kbps=(rate, 0), kpps=(rate, 0)))
    assert compile_qos(wanted) == ({}, {})


def test_only_local_ports_with_a_known_policy_have_rules() -> None:
    policy = QosPolicyModel(id=new_id(), dscp_mark=0)
    wanted, one = state(policy)
    assert compile_qos(wanted) == ({tap_name(one.id): ("ip dscp set 0", "ip6 dscp set 0")}, {})
    assert compile_qos(state(policy, local=False)[0]) == ({}, {})
    assert compile_qos(replace(wanted, qos_policies=())) == ({}, {})
    assert compile_qos(replace(wanted, qos_policies=None)) == ({}, {})


def test_a_change_of_a_policy_writes_its_taps_chain_alone() -> None:
    policy = both("egress", kbps=(1000, 0))
    wanted, one = state(policy)
    before = compile_l2(wanted, "kn")
    slower = replace(policy, bandwidth_limits=(BandwidthLimitModel(direction="egress", max_kbps=8),))
    after = compile_l2(replace(wanted, qos_policies=(slower,)), "kn")
    chain = f"e-{one.id[:11]}"
    assert change(before, after, "kn_l2").splitlines() == [
        f"add chain bridge kn_l2 {chain}",
        f"flush chain bridge kn_l2 {chain}",
        f"add rule bridge kn_l2 {chain} limit rate over 1000 bytes/second burst 64536 bytes drop",
    ]
    gone = change(before, compile_l2(replace(wanted, qos_policies=()), "kn"), "kn_l2")
    assert gone.splitlines() == [
        f'delete element bridge kn_l2 sends {{ "{tap_name(one.id)}" : jump {chain} }}',
        f"delete chain bridge kn_l2 {chain}",
    ]
    assert f'add element bridge kn_l2 sends {{ "{tap_name(one.id)}" : jump {chain} }}' in script(before, "kn_l2")


def test_a_refused_limit_is_left_out() -> None:
    wanted = L2(taps={"tapa": ("accept",)}, sends={"tapa": ("mark", "limit")}, gets={"tapa": ("limit",)})
    assert closed(wanted, {("e-a", "limit"), ("i-a", "limit")}) == L2(
        taps={"tapa": ("accept",)}, sends={"tapa": ("mark",)}, gets={"tapa": ()}
    )

"""QoS policies as rules of the table at layer 2, by the names of taps: they hold as soon as a tap is there. Pure.

What exceeds a limit is dropped, not queued. nft's bucket for bytes holds a second's worth and the burst, that for packets the
burst alone. Guests hand over frames of up to 64 KiB, which the network card would cut: a bucket smaller than one of them would
never let it pass."""

from __future__ import annotations

from kilonova.network.agent.model import BandwidthLimitModel, HostModel, PacketRateLimitModel, QosPolicyModel, tap_name

Rules = dict[str, tuple[str, ...]]  # by tap
BYTES = 125  # of a kilobit
FRAME = 65536  # bytes
USUAL_BURST = 0.8  # of a second's worth, where the rule names no burst; upstream's
MOST_KBPS, MOST_KPPS = 100_000_000, 100_000  # above them nothing is limited: 100 Gbit/s, and what nft can count with
MOST_BURST = 2**32 - 1


def compile_qos(state: HostModel) -> tuple[Rules, Rules]:
    """What holds for packets from local ports, and what for those to them."""
    if not state.qos_policies:
        return {}, {}
    policies = {policy.id: (_rules(policy, "egress"), _rules(policy, "ingress")) for policy in state.qos_policies}
    local = [port for network in state.networks for port in network.ports if port.local]
    held = {tap_name(port.id): policies[port.qos_policy_id] for port in local if port.qos_policy_id in policies}
    return {tap: sends for tap, (sends, _) in held.items() if sends}, {
        tap: gets for tap, (_, gets) in held.items() if gets
    }


def _rules(policy: QosPolicyModel, direction: str) -> tuple[str, ...]:
    marks: tuple[str, ...] = ()
    if policy.dscp_mark is not None and direction == "egress":
        marks = (f"ip dscp set {policy.dscp_mark}", f"ip6 dscp set {policy.dscp_mark}")
    limits = [
        *(_bandwidth(limit) for limit in policy.bandwidth_limits if limit.direction == direction),
        *(_packets(limit) for limit in policy.packet_rate_limits if limit.direction == direction),
    ]
    return (*marks, *filter(None, limits))


def _bandwidth(limit: BandwidthLimitModel) -> str:
    if not 0 < limit.max_kbps <= MOST_KBPS:
        return ""
    rate = limit.max_kbps * BYTES
    bucket = max(limit.max_burst_kbps * BYTES or int(rate * USUAL_BURST), FRAME)
    return f"limit rate over {rate} bytes/second burst {min(max(bucket - rate, 1), MOST_BURST)} bytes drop"


def _packets(limit: PacketRateLimitModel) -> str:
    if not 0 < limit.max_kpps <= MOST_KPPS:
        return ""
    rate = limit.max_kpps * 1000
    burst = limit.max_burst_kpps * 1000 or int(rate * USUAL_BURST)
    return f"limit rate over {rate}/second burst {min(burst, MOST_BURST)} packets drop"

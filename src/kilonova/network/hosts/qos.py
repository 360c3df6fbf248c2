"""QoS policies of a host's ports, compiled from the database."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from kilonova.core.db import Connection
from kilonova.network import device_owners
from kilonova.network.agent.model import BandwidthLimitModel, PacketRateLimitModel, QosPolicyModel
from kilonova.network.store import qos_rules as store
from kilonova.network.store.ports import PolicedPortRow
from kilonova.network.store.qos_rules import QosRuleRow


def policy_of(port: PolicedPortRow) -> str:
    """The port's own policy, or its network's; that does not hold for ports of the network's own services, but for gateways."""
    served = port.device_owner.startswith(device_owners.SERVICES) and port.device_owner != device_owners.GATEWAY
    return port.qos_policy_id or ("" if served else port.qos_network_policy_id) or ""


async def policies(connection: Connection, ids: Collection[str]) -> tuple[QosPolicyModel, ...]:
    rules = await store.of_policies(connection, ids)
    return tuple(_policy(policy_id, rules.get(policy_id, [])) for policy_id in sorted(ids))


def _policy(policy_id: str, rules: Sequence[QosRuleRow]) -> QosPolicyModel:
    marks = (rule.dscp_mark for rule in rules if rule.type == store.DSCP_MARKING)
    return QosPolicyModel(
        id=policy_id,
        bandwidth_limits=tuple(
            BandwidthLimitModel(
                direction=rule.direction, max_kbps=rule.max_kbps or 0, max_burst_kbps=rule.max_burst_kbps or 0
            )
            for rule in rules
            if rule.type == store.BANDWIDTH_LIMIT
        ),
        packet_rate_limits=tuple(
            PacketRateLimitModel(
                direction=rule.direction, max_kpps=rule.max_kpps or 0, max_burst_kpps=rule.max_burst_kpps or 0
            )
            for rule in rules
            if rule.type == store.PACKET_RATE_LIMIT
        ),
        dscp_mark=next(marks, None),
    )

"""What is told to nftables about metering labels, and what is read of its counters."""

from __future__ import annotations

import json

from kilonova.network.agent.l3.namespace.meters import counters, restore_text
from kilonova.network.agent.model import MeterModel, MeterRuleModel

LABEL, OLD = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


def test_the_rules_of_a_label() -> None:
    rules = (
        MeterRuleModel(direction="ingress", destination="10.0.0.0/8"),
        MeterRuleModel(direction="egress", source="fd00::/64"),
        MeterRuleModel(direction="ingress", source="192.0.2.0/24", destination="10.0.0.0/24", excluded=True),
        MeterRuleModel(direction="ingress", source='0.0.0.0/0" accept'),
        MeterRuleModel(direction="sideways", source="10.0.0.0/8"),
    )
    text = restore_text("qg-x", [MeterModel(id=LABEL, rules=rules), MeterModel(id="bad id")], [OLD])
    assert text.splitlines() == [
        "add table inet kn_meter",
        "add chain inet kn_meter forward { type filter hook forward priority 10; policy accept; }",
        "flush table inet kn_meter",
        f"delete chain inet kn_meter c-{OLD}",
        f"delete counter inet kn_meter m-{OLD}",
        f"add counter inet kn_meter m-{LABEL}",
        f"add chain inet kn_meter c-{LABEL}",
        f"add rule inet kn_meter forward jump c-{LABEL}",
        f'add rule inet kn_meter c-{LABEL} iifname "qg-x" ip saddr 192.0.2.0/24 ip daddr 10.0.0.0/24 return',
        f'add rule inet kn_meter c-{LABEL} iifname "qg-x" ip daddr 10.0.0.0/8 counter name "m-{LABEL}" return',
        f'add rule inet kn_meter c-{LABEL} oifname "qg-x" ip6 saddr fd00::/64 counter name "m-{LABEL}" return',
    ]
    assert restore_text("", ()).splitlines()[-1] == "delete table inet kn_meter"


def test_counters_of_others_are_left_alone() -> None:
    listed = [
        {"metainfo": {}},
        {"counter": {"family": "inet", "table": "kn_meter", "name": f"m-{LABEL}", "packets": 3, "bytes": 252}},
        {"counter": {"family": "inet", "table": "kn_meter", "name": "other", "packets": 1, "bytes": 1}},
        {"counter": {"family": "ip", "table": "kn_meter", "name": f"m-{OLD}", "packets": 1, "bytes": 1}},
    ]
    assert counters(json.dumps({"nftables": listed})) == {LABEL: (3, 252)}

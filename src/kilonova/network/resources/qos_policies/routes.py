"""QoS policies: what the API knows of them."""

from __future__ import annotations

from kilonova.network.resources.base.resource import CrudResource, Extension
from kilonova.network.resources.base.shared_handlers import SharedHandlers
from kilonova.network.resources.qos_policies.logic import QosPolicyLogic
from kilonova.network.resources.qos_policies.policies import RULES
from kilonova.network.resources.qos_policies.schemas import QosPolicy, QosPolicyCreate, QosPolicyUpdate

QOS_POLICIES_RESOURCE = CrudResource(
    name="policy",
    collection="policies",
    path="qos/policies",
    view=QosPolicy,
    create=QosPolicyCreate,
    update=QosPolicyUpdate,
    unsorted=frozenset({"shared"}),
    rules=RULES,
    writer="any_writer",
    changer="get_policy",
    tags_also_at="policies",
    handlers=SharedHandlers,
    logic=QosPolicyLogic,
    extensions=(
        Extension("qos", "Quality of Service", "2015-06-08T10:00:00-00:00", "Limits and marks of ports' traffic"),
        Extension(
            "qos-default", "QoS default policy", "2017-041-06T10:00:00-00:00", "A project's policy for new networks"
        ),  # upstream's own spelling of the time
        Extension(
            "qos-port-network-policy", "QoS port network policy ID", "2019-11-01T10:00:00-00:00",
            "Ports show the policy of their network",
        ),
    ),
)  # fmt: skip

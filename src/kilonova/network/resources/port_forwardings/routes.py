"""Port forwardings of floating IPs: what the API knows of them."""

from __future__ import annotations

from kilonova.network.resources.base.nested_handlers import NestedHandlers
from kilonova.network.resources.base.resource import CrudResource, Extension
from kilonova.network.resources.base.shape import Parent
from kilonova.network.resources.port_forwardings.logic import PortForwardingLogic
from kilonova.network.resources.port_forwardings.policies import RULES
from kilonova.network.resources.port_forwardings.schemas import (
    PortForwarding,
    PortForwardingCreate,
    PortForwardingUpdate,
)

PORT_FORWARDINGS_RESOURCE = CrudResource(
    name="port_forwarding",
    collection="port_forwardings",
    path="port_forwardings",
    parent=Parent("floatingip", "floatingips"),
    view=PortForwarding,
    create=PortForwardingCreate,
    update=PortForwardingUpdate,
    derived=frozenset({"internal_ip_address", "internal_port", "internal_port_range"}),
    rules=RULES,
    logic=PortForwardingLogic,
    handlers=NestedHandlers,
    extensions=(
        Extension(
            "floating-ip-port-forwarding", "Floating IP Port Forwarding", "2018-01-19T10:00:00-00:00",
            "Ports of a floating IP lead to ports of servers",
        ),
        Extension(
            "floating-ip-port-forwarding-description", "Floating IP Port Forwarding new attribute description",
            "2019-11-01T10:00:00-00:00", "Port forwardings have descriptions",
        ),
        Extension(
            "floating-ip-port-forwarding-detail", "Floating IP port forwarding detail", "2022-05-06T10:00:00-00:00",
            "Floating IPs show ids and internal ports of their port forwardings",
        ),
        Extension(
            "floating-ip-port-forwarding-port-ranges", "Floating IP Port Forwarding support port ranges",
            "2020-07-01T10:00:00-00:00", "Port forwardings of ranges of ports",
        ),
        Extension(
            "expose-port-forwarding-in-fip", "Expose Floating IP port forwardings", "2018-06-28T16:00:00-00:00",
            "Floating IPs show their port forwardings",
        ),
    ),
)  # fmt: skip

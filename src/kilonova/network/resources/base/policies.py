"""Policy rules that those of resources are made of. An attribute has a rule `<action>_<resource>:<attribute>` where the
resource's own rule does not suffice; attributes without one follow their resource."""

from __future__ import annotations

SERVICE = "rule:service_api"  # an admin, or a compute host with a grant for what it asks about
NET_MEMBER = "rule:network_member"
NET_READER = "rule:network_reader"
MANAGER_OR_OWNER = "role:manager and rule:owner or rule:admin_required"
SEEN = "rule:shared or rule:external"

RULES: dict[str, str] = {
    "shared": "True:%(shared)s",
    "external": "True:%(router:external)s",
    "network_owner": "project_id:%(network:project_id)s",
    "network_member": "(role:member or role:manager) and rule:network_owner",
    "network_reader": "(role:reader or role:member or role:manager) and rule:network_owner",
    "network_device": "True:%(network_device)s",
    # callers that may know of the network that something is to be made on
    "see_network": f"{SERVICE} or rule:network_reader or {SEEN}",
    # on routes that list what others see, which is nothing for them
    "any_reader": "role:reader or role:member or role:manager or rule:service_api",
    # on routes whose own rule needs to know the network first
    "any_writer": "role:member or role:manager or rule:service_api",
}

"""Policy rules, with upstream's names. An attribute has a rule `<action>_<resource>:<attribute>` where the resource's own
rule does not suffice; attributes without one follow their resource."""

from __future__ import annotations

from kilonova.core.policy import ADMIN, ANYONE, MEMBER_OR_OWNER, READER_OR_OWNER

SERVICE = "rule:service_api"  # an admin, or a compute host with a grant for what it asks about
NET_MEMBER = "rule:network_member"
NET_READER = "rule:network_reader"
SEEN = "rule:shared or rule:external"

HELPERS: dict[str, str] = {
    "shared": "True:%(shared)s",
    "external": "True:%(router:external)s",
    "network_owner": "project_id:%(network:project_id)s",
    "network_member": "(role:member or role:manager) and rule:network_owner",
    "network_reader": "(role:reader or role:member or role:manager) and rule:network_owner",
    "network_device": "True:%(network_device)s",
    # callers that may know of the network that something is to be made on
    "see_network": f"{SERVICE} or rule:network_reader or {SEEN}",
    # on routes whose own rule needs to know the network first
    "any_writer": "role:member or role:manager or rule:service_api",
}
RULES: dict[str, str] = HELPERS | {
    "get_extensions": ANYONE,
    # networks
    "create_network": MEMBER_OR_OWNER,
    "create_network:shared": ADMIN,
    "create_network:router:external": ADMIN,
    "create_network:is_default": ADMIN,
    "create_network:provider:network_type": ADMIN,
    "create_network:provider:physical_network": ADMIN,
    "create_network:provider:segmentation_id": ADMIN,
    "get_network": f"{READER_OR_OWNER} or {SERVICE} or {SEEN}",
    "get_network:provider:network_type": ADMIN,
    "get_network:provider:physical_network": ADMIN,
    "get_network:provider:segmentation_id": ADMIN,
    "update_network": MEMBER_OR_OWNER,
    "update_network:shared": ADMIN,
    "update_network:router:external": ADMIN,
    "update_network:is_default": ADMIN,
    "delete_network": MEMBER_OR_OWNER,
    "get_network_ip_availability": ADMIN,
    # subnets
    "create_subnet": f"{ADMIN} or {NET_MEMBER}",
    "create_subnet:service_types": ADMIN,
    "get_subnet": f"{READER_OR_OWNER} or {NET_READER} or {SERVICE} or {SEEN}",
    "update_subnet": f"{MEMBER_OR_OWNER} or {NET_MEMBER}",
    "update_subnet:service_types": ADMIN,
    "delete_subnet": f"{MEMBER_OR_OWNER} or {NET_MEMBER}",
    # ports
    "create_port": f"{SERVICE} or {NET_MEMBER} or rule:shared",
    "create_port:id": "role:service and rule:service_api",  # not upstream's: it makes repeats of a build known
    "create_port:device_owner": f"not rule:network_device or {SERVICE} or {NET_MEMBER}",
    "create_port:mac_address": f"{SERVICE} or {NET_MEMBER}",
    "create_port:fixed_ips": f"{SERVICE} or {NET_MEMBER} or rule:shared",
    "create_port:fixed_ips:ip_address": f"{SERVICE} or {NET_MEMBER}",
    "create_port:port_security_enabled": f"{SERVICE} or {NET_MEMBER}",
    "create_port:allowed_address_pairs": f"{SERVICE} or {NET_MEMBER}",
    "create_port:binding:host_id": SERVICE,
    "create_port:binding:profile": SERVICE,
    "get_port": f"{SERVICE} or {NET_READER} or {READER_OR_OWNER}",
    "get_port:binding:host_id": SERVICE,
    "get_port:binding:profile": SERVICE,
    "get_port:binding:vif_type": SERVICE,
    "get_port:binding:vif_details": SERVICE,
    "update_port": f"{SERVICE} or {MEMBER_OR_OWNER}",
    "update_port:device_owner": f"not rule:network_device or {SERVICE} or {NET_MEMBER}",
    "update_port:mac_address": f"{SERVICE} or role:manager and rule:network_owner",
    "update_port:fixed_ips": f"{SERVICE} or {NET_MEMBER}",
    "update_port:fixed_ips:ip_address": f"{SERVICE} or {NET_MEMBER}",
    "update_port:port_security_enabled": f"{SERVICE} or {NET_MEMBER}",
    "update_port:allowed_address_pairs": f"{SERVICE} or {NET_MEMBER}",
    "update_port:binding:host_id": SERVICE,
    "update_port:binding:profile": SERVICE,
    "delete_port": f"{SERVICE} or {MEMBER_OR_OWNER} or {NET_MEMBER}",
    # security groups
    "create_security_group": MEMBER_OR_OWNER,
    "get_security_group": READER_OR_OWNER,
    "update_security_group": MEMBER_OR_OWNER,
    "delete_security_group": MEMBER_OR_OWNER,
    "create_security_group_rule": MEMBER_OR_OWNER,
    "get_security_group_rule": READER_OR_OWNER,
    "delete_security_group_rule": MEMBER_OR_OWNER,
    # the rest
    "get_agent": ADMIN,
    "update_agent": ADMIN,
    "delete_agent": ADMIN,
    "get_quota": f"{ADMIN} or rule:project_reader",
    "update_quota": ADMIN,
    "delete_quota": ADMIN,
    "get_availability_zone": "role:reader or role:member or role:admin",
    "get_service_provider": ANYONE,
}

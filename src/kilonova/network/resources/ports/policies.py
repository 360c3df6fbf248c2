"""Policy rules of ports, with upstream's names."""

from __future__ import annotations

from kilonova.core.policy import MEMBER_OR_OWNER, READER_OR_OWNER
from kilonova.network.resources.base.policies import NET_MEMBER, NET_READER, SERVICE

RULES: dict[str, str] = {
    "create_port": f"{SERVICE} or {NET_MEMBER} or rule:shared",
    "create_port:id": "role:service and rule:service_api",  # not upstream's: it makes repeats of a build known
    "create_port:device_owner": f"not rule:network_device or {SERVICE} or {NET_MEMBER}",
    "create_port:mac_address": f"{SERVICE} or {NET_MEMBER}",
    "create_port:fixed_ips": f"{SERVICE} or {NET_MEMBER} or rule:shared",
    "create_port:fixed_ips:ip_address": f"{SERVICE} or {NET_MEMBER}",
    "create_port:port_security_enabled": f"{SERVICE} or {NET_MEMBER}",
    "create_port:allowed_address_pairs": f"{SERVICE} or {NET_MEMBER}",
    "create_port:dns_domain": f"{SERVICE} or {NET_MEMBER}",  # not upstream's: other projects' guests see these names
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
    "update_port:dns_domain": f"{SERVICE} or {NET_MEMBER}",
    "update_port:binding:host_id": SERVICE,
    "update_port:binding:profile": SERVICE,
    "delete_port": f"{SERVICE} or {MEMBER_OR_OWNER} or {NET_MEMBER}",
}

"""Policy rules of routers, with upstream's names."""

from __future__ import annotations

from kilonova.core.policy import ADMIN, MEMBER_OR_OWNER, READER_OR_OWNER

RULES: dict[str, str] = {
    "create_router": MEMBER_OR_OWNER,
    "create_router:distributed": ADMIN,
    "create_router:ha": ADMIN,
    "create_router:external_gateway_info": MEMBER_OR_OWNER,
    "create_router:external_gateway_info:network_id": MEMBER_OR_OWNER,
    "create_router:external_gateway_info:enable_snat": ADMIN,
    "create_router:external_gateway_info:external_fixed_ips": ADMIN,
    "get_router": READER_OR_OWNER,
    "get_router:distributed": ADMIN,
    "get_router:ha": ADMIN,
    "update_router": MEMBER_OR_OWNER,
    "update_router:distributed": ADMIN,
    "update_router:ha": ADMIN,
    "update_router:external_gateway_info": MEMBER_OR_OWNER,
    "update_router:external_gateway_info:network_id": MEMBER_OR_OWNER,
    "update_router:external_gateway_info:enable_snat": ADMIN,
    "update_router:external_gateway_info:external_fixed_ips": ADMIN,
    "delete_router": MEMBER_OR_OWNER,
    "add_router_interface": MEMBER_OR_OWNER,
    "remove_router_interface": MEMBER_OR_OWNER,
    "add_extraroutes": MEMBER_OR_OWNER,
    "remove_extraroutes": MEMBER_OR_OWNER,
}

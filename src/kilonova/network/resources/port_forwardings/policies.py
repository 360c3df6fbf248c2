"""Policy rules of port forwardings, with upstream's names. The project is the floating IP's."""

from __future__ import annotations

from kilonova.core.policy import MEMBER_OR_OWNER, READER_OR_OWNER

RULES: dict[str, str] = {
    "create_floatingip_port_forwarding": MEMBER_OR_OWNER,
    "get_floatingip_port_forwarding": READER_OR_OWNER,
    "update_floatingip_port_forwarding": MEMBER_OR_OWNER,
    "delete_floatingip_port_forwarding": MEMBER_OR_OWNER,
}

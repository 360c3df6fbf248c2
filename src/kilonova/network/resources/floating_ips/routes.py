"""Floating IPs: what the API knows of them."""

from __future__ import annotations

from kilonova.core.addresses import parse_address
from kilonova.network.resources.base.handlers import SeeingHandlers
from kilonova.network.resources.base.resource import CrudResource, Extension
from kilonova.network.resources.floating_ips.logic import FloatingIPLogic
from kilonova.network.resources.floating_ips.policies import RULES
from kilonova.network.resources.floating_ips.schemas import FloatingIP, FloatingIPCreate, FloatingIPUpdate

FLOATING_IPS_RESOURCE = CrudResource(
    name="floatingip",
    collection="floatingips",
    path="floatingips",
    view=FloatingIP,
    create=FloatingIPCreate,
    update=FloatingIPUpdate,
    addresses={"floating_ip_address": parse_address, "fixed_ip_address": parse_address},
    constant={"dns_name": "", "dns_domain": ""},
    rules=RULES,
    logic=FloatingIPLogic,
    handlers=SeeingHandlers,
    quota=True,
    extensions=(
        Extension(
            "fip-port-details", "Floating IP Port Details Extension", "2018-04-09T10:00:00-00:00",
            "Floating IPs show the port that they lead to",
        ),
    ),
)  # fmt: skip

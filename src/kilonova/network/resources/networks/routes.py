"""Networks: what the API knows of them."""

from __future__ import annotations

from kilonova.network.resources.base.grants import HostAccess
from kilonova.network.resources.base.resource import CrudResource, Extension
from kilonova.network.resources.base.shared_handlers import SharedHandlers
from kilonova.network.resources.networks.logic import NetworkLogic
from kilonova.network.resources.networks.policies import RULES
from kilonova.network.resources.networks.schemas import Network, NetworkCreate, NetworkUpdate

NETWORKS_RESOURCE = CrudResource(
    name="network",
    collection="networks",
    path="networks",
    view=Network,
    create=NetworkCreate,
    update=NetworkUpdate,
    derived=frozenset({"ipv4_address_scope", "ipv6_address_scope"}),
    rules=RULES,
    handlers=SharedHandlers,
    writer="any_writer",
    hosts=HostAccess("id", "networks"),
    logic=NetworkLogic,
    quota=True,
    listed=True,
    extensions=(
        Extension(
            "external-net", "Neutron external network", "2013-01-14T10:00:00-00:00", "Networks marked as external"
        ),
        Extension("net-mtu", "Network MTU", "2015-03-25T10:00:00-00:00", "MTU of networks"),
        Extension(
            "net-mtu-writable", "Network MTU (writable)", "2017-07-12T00:00:00-00:00", "MTU of networks can be set"
        ),
        Extension("provider", "Provider Network", "2012-09-07T10:00:00-00:00", "Provider attributes of networks"),
    ),
)

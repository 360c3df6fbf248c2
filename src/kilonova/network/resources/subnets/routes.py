"""Subnets: what the API knows of them."""

from __future__ import annotations

from kilonova.core.addresses import parse_address, parse_network
from kilonova.network.resources.base.grants import HostAccess
from kilonova.network.resources.base.handlers import SeeingCreateHandlers
from kilonova.network.resources.base.resource import CrudResource, Extension
from kilonova.network.resources.subnets.logic import SubnetLogic
from kilonova.network.resources.subnets.policies import RULES
from kilonova.network.resources.subnets.schemas import Subnet, SubnetCreate, SubnetUpdate

SUBNETS_RESOURCE = CrudResource(
    name="subnet",
    collection="subnets",
    path="subnets",
    view=Subnet,
    create=SubnetCreate,
    update=SubnetUpdate,
    addresses={"cidr": parse_network, "gateway_ip": parse_address},
    extra={"shared": bool},
    unsorted=frozenset({"router:external"}),
    rules=RULES,
    writer="any_writer",
    see_new="see_network",
    handlers=SeeingCreateHandlers,
    hosts=HostAccess("network_id", "networks"),
    logic=SubnetLogic,
    quota=True,
    listed=True,
    extensions=(
        Extension(
            "subnet-service-types", "Subnet service types", "2016-03-15T18:00:00-00:00",
            "Subnets for ports of some owners alone",
        ),
        Extension(
            "subnet-external-network", "Subnet belongs to an external network", "2024-02-05T18:00:00-00:00",
            "Subnets say whether their network is external",
        ),
    ),
)  # fmt: skip

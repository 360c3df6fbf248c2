"""Subnet pools: what the API knows of them."""

from __future__ import annotations

from kilonova.core.web.app import Route
from kilonova.network.resources.base.resource import ID, V2, CrudResource, Extension
from kilonova.network.resources.subnetpools.handlers import SubnetPoolHandlers
from kilonova.network.resources.subnetpools.logic import SubnetPoolLogic
from kilonova.network.resources.subnetpools.policies import RULES
from kilonova.network.resources.subnetpools.schemas import (
    Onboarded,
    OnboardIn,
    PrefixesIn,
    PrefixesOut,
    SubnetPool,
    SubnetPoolCreate,
    SubnetPoolUpdate,
)


def _more(handlers: SubnetPoolHandlers) -> list[Route]:
    one = f"{V2}/subnetpools{ID}"
    return [
        Route(
            "PUT", f"{one}/add_prefixes", handlers.add_prefixes, "add_prefixes", body=PrefixesIn, reply=PrefixesOut,
            summary="Add prefixes to a subnet pool.",
        ),
        Route(
            "PUT", f"{one}/remove_prefixes", handlers.remove_prefixes, "remove_prefixes", body=PrefixesIn,
            reply=PrefixesOut, summary="Remove prefixes that no subnet has from a subnet pool.",
        ),
        Route(
            "PUT", f"{one}/onboard_network_subnets", handlers.onboard, "onboard_network_subnets", body=OnboardIn,
            reply=list[Onboarded], summary="Give a subnet pool the subnets that a network has.",
        ),
    ]  # fmt: skip


SUBNETPOOLS_RESOURCE = CrudResource(
    name="subnetpool",
    collection="subnetpools",
    path="subnetpools",
    view=SubnetPool,
    create=SubnetPoolCreate,
    update=SubnetPoolUpdate,
    unsorted=frozenset({"shared"}),
    rules=RULES,
    logic=SubnetPoolLogic,
    handlers=SubnetPoolHandlers,
    quota=True,
    listed=True,
    more=_more,
    extensions=(
        Extension(
            "subnet_allocation", "Subnet Allocation", "2015-03-30T10:00:00-00:00", "Subnets with prefixes from subnet pools"
        ),
        Extension(
            "default-subnetpools", "Default Subnetpools", "2016-02-18T18:00:00-00:00",
            "A subnet pool of each IP version that is used where none is named",
        ),
        Extension(
            "subnet_onboard", "Subnet Onboard", "2018-12-18T09:00:00-00:00", "Subnets of a network become those of a subnet pool"
        ),
        Extension(
            "subnetpool-prefix-ops", "Subnet Pool Prefix Operations", "2019-02-08T10:00:00-00:00",
            "Prefixes are added to subnet pools, and removed",
        ),
    ),
)  # fmt: skip

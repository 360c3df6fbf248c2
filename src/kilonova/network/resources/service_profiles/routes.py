"""Service profiles: what the API knows of them."""

from __future__ import annotations

from kilonova.network.resources.base.resource import CrudResource
from kilonova.network.resources.service_profiles.logic import ServiceProfileLogic
from kilonova.network.resources.service_profiles.policies import RULES
from kilonova.network.resources.service_profiles.schemas import (
    ServiceProfile,
    ServiceProfileCreate,
    ServiceProfileUpdate,
)

SERVICE_PROFILES_RESOURCE = CrudResource(
    name="service_profile",
    collection="service_profiles",
    path="service_profiles",
    view=ServiceProfile,
    create=ServiceProfileCreate,
    update=ServiceProfileUpdate,
    rules=RULES,
    lister="any_reader",
    logic=ServiceProfileLogic,
)

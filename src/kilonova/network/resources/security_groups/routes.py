"""Security groups: what the API knows of them."""

from __future__ import annotations

from kilonova.core.web.app import DEFAULT_MAX_BODY
from kilonova.network.resources.base.resource import CrudResource, Extension
from kilonova.network.resources.security_groups.handlers import SecurityGroups
from kilonova.network.resources.security_groups.logic import SecurityGroupLogic
from kilonova.network.resources.security_groups.policies import RULES
from kilonova.network.resources.security_groups.schemas import Group, GroupCreate, GroupUpdate

SECURITY_GROUPS_RESOURCE = CrudResource(
    name="security_group",
    collection="security_groups",
    path="security-groups",
    view=Group,
    create=GroupCreate,
    update=GroupUpdate,
    unsorted=frozenset({"shared"}),
    rules=RULES,
    logic=SecurityGroupLogic,
    handlers=SecurityGroups,
    max_body=DEFAULT_MAX_BODY,
    quota=True,
    extensions=(
        Extension("security-group", "security-group", "2012-10-05T10:00:00-00:00", "Security groups"),
        Extension(
            "stateful-security-group",
            "Stateful security group",
            "2019-11-26T09:00:00-00:00",
            "Security groups whose rules hold for each packet, answers too",
        ),
        Extension(
            "security-groups-shared-filtering",
            "Security group filtering on the shared field",
            "2021-10-05T09:00:00-00:00",
            "Security groups that are shared",
        ),
    ),
)

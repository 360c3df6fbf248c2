"""RBAC policies: what the API knows of them."""

from __future__ import annotations

from kilonova.network.resources.base.handlers import SeeingCreateHandlers
from kilonova.network.resources.base.resource import CrudResource, Extension
from kilonova.network.resources.rbac_policies.logic import RbacPolicyLogic
from kilonova.network.resources.rbac_policies.policies import RULES
from kilonova.network.resources.rbac_policies.schemas import RbacPolicy, RbacPolicyCreate, RbacPolicyUpdate

RBAC_POLICIES_RESOURCE = CrudResource(
    name="rbac_policy",
    collection="rbac_policies",
    path="rbac-policies",
    view=RbacPolicy,
    create=RbacPolicyCreate,
    update=RbacPolicyUpdate,
    unsorted=frozenset({"target_tenant"}),
    rules=RULES,
    logic=RbacPolicyLogic,
    handlers=SeeingCreateHandlers,
    quota=True,
    extensions=(
        Extension(
            "rbac-policies", "RBAC Policies", "2015-06-17T12:15:12-00:00",
            "Networks and security groups shared with single projects",
        ),
        Extension(
            "rbac-subnetpool", "Add subnetpool type to RBAC", "2020-02-05T00:00:00-00:00",
            "Subnet pools shared with single projects",
        ),
        Extension(
            "rbac-security-groups", "Add security_group type to network RBAC", "2019-02-14T00:00:00-00:00",
            "Security groups shared with single projects",
        ),
        Extension(
            "rbac-address-scope", "Add address_scope type to RBAC", "2020-02-12T00:00:00-00:00",
            "Address scopes shared with single projects",
        ),
        Extension(
            "rbac-address-group", "Add address_group type to RBAC", "2021-01-20T00:00:00-00:00",
            "Address groups shared with single projects",
        ),
    ),
)  # fmt: skip

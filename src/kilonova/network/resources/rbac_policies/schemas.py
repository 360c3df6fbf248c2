"""Wire shapes of RBAC policies."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from kilonova.core.web.wire import Body, View
from kilonova.network.resources.base.schemas import ProjectId, Uuid

Target = Annotated[
    str,
    Meta(
        pattern=r"\A(\*|[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12})\Z",
        description="the id of a project, or * for every one",
    ),
]


class RbacPolicyCreate(Body, kw_only=True):
    """`target_tenant` is the older name of `target_project`."""

    object_type: Literal["network", "security_group", "address_scope", "address_group", "subnetpool", "qos_policy"]
    object_id: Uuid
    action: Literal["access_as_shared", "access_as_external"]
    target_project: Target | None = None
    target_tenant: Target | None = None
    project_id: ProjectId | None = None
    tenant_id: ProjectId | None = None


class RbacPolicyUpdate(Body):
    target_project: Target | None = None
    target_tenant: Target | None = None


class RbacPolicy(View):
    id: str
    project_id: str
    tenant_id: str
    object_type: str
    object_id: str
    action: str
    target_tenant: str

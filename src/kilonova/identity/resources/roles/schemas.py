"""Wire shapes of roles, and of which implies which. Attributes of a client's own are kept and given back."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from kilonova.core.web.wire import View
from kilonova.identity.resources.projects.schemas import ResourceOptions
from kilonova.identity.web.texts import Id, Name, Text
from kilonova.identity.web.views import Extensible, ListLinks, SelfLink


class RoleCreate(Extensible):
    name: Name
    domain_id: Id | None = None
    description: Text | None = None
    options: ResourceOptions | None = None


class RoleUpdate(Extensible):
    name: Name | UnsetType = UNSET
    domain_id: Id | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    options: ResourceOptions | None = None


class RoleCreateBody(View):
    role: RoleCreate


class RoleUpdateBody(View):
    role: RoleUpdate


class Role(Extensible):
    id: str
    name: str
    description: str | None
    domain_id: str | None
    options: dict[str, Any]
    links: SelfLink


class RoleBody(View):
    role: Role


class Roles(View):
    roles: list[Role]
    links: ListLinks


class Implication(View):
    prior_role: Role
    implies: Role


class ImplicationBody(View):
    role_inference: Implication
    links: SelfLink


class Inference(View):
    prior_role: Role
    implies: list[Role]


class InferenceBody(View):
    role_inference: Inference
    links: SelfLink


class Inferences(View):
    role_inferences: list[Inference]
    links: SelfLink

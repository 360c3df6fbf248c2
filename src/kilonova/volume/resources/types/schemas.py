"""Wire shapes of volume types."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType, field

from kilonova.core.web.wire import Body, View
from kilonova.volume.fields import Boolean, Link, SpecKey, Text, TypeName, Value

Specs = dict[SpecKey, Value]
ProjectId = Annotated[str, Meta(min_length=1, max_length=64)]


class TypeNew(Body, kw_only=True):
    name: TypeName
    description: Text | None = None
    extra_specs: Specs | None = None
    public: Boolean = field(default=True, name="os-volume-type-access:is_public")


class TypeCreate(Body, kw_only=True):
    volume_type: TypeNew


class TypeChange(Body, kw_only=True):
    name: str | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    is_public: Boolean | UnsetType = UNSET


class TypeUpdate(Body, kw_only=True):
    volume_type: TypeChange


class TypeView(View, kw_only=True):
    id: str
    name: str
    description: str | None
    is_public: bool
    public: bool | UnsetType = field(default=UNSET, name="os-volume-type-access:is_public")
    extra_specs: dict[str, str] | UnsetType = UNSET
    qos_specs_id: str | UnsetType | None = UNSET


class TypeBody(View, kw_only=True):
    volume_type: TypeView


class Types(View, kw_only=True):
    volume_types: list[TypeView]
    links: list[Link] | UnsetType = field(default=UNSET, name="volume_type_links")


class SpecsBody(View, kw_only=True):
    extra_specs: Specs


class Access(View, kw_only=True):
    volume_type_id: str
    project_id: str


class AccessBody(View, kw_only=True):
    access: list[Access] = field(name="volume_type_access")


class ProjectChange(Body, kw_only=True):
    project: ProjectId


class AddAccess(Body, kw_only=True):
    asked: ProjectChange = field(name="addProjectAccess")


class RemoveAccess(Body, kw_only=True):
    asked: ProjectChange = field(name="removeProjectAccess")

"""Routes of volume types."""

from __future__ import annotations

from kilonova.core.web.app import Route
from kilonova.volume.resources.base import Deps, Resource, V
from kilonova.volume.resources.types import schemas as shapes
from kilonova.volume.resources.types.handlers import Types
from kilonova.volume.resources.types.logic import TypeLogic
from kilonova.volume.resources.types.policies import ACCESS, RULES, SPECS

EVERY, ONE = f"{V}/types", f"{V}/types/{{type_id:str}}"
TYPE = "volume_extension:type"


def routes(deps: Deps) -> list[Route]:
    types = Types(TypeLogic(deps))
    body, specs, spec = shapes.TypeBody, f"{ONE}/extra_specs", f"{ONE}/extra_specs/{{name:str}}"
    many = shapes.SpecsBody
    return [
        Route("GET", EVERY, types.list, f"{TYPE}_get_all", reply=shapes.Types, summary="List volume types."),
        Route("POST", EVERY, types.create, f"{TYPE}_create", body=shapes.TypeCreate, reply=body, summary="Create a volume type."),
        Route("GET", ONE, types.show, f"{TYPE}_get", reply=body, summary="Show a volume type."),
        Route("PUT", ONE, types.update, f"{TYPE}_update", body=shapes.TypeUpdate, reply=body, summary="Change a volume type."),
        Route("DELETE", ONE, types.delete, f"{TYPE}_delete", 202, summary="Delete a volume type."),
        Route("GET", specs, types.list_specs, f"{SPECS}:index", reply=many, summary="List a type's extra specs."),
        Route("POST", specs, types.add_specs, f"{SPECS}:create", body=many, reply=many, summary="Set extra specs of a type."),
        Route("GET", spec, types.show_spec, f"{SPECS}:show", reply=shapes.Specs, summary="Show an extra spec."),
        Route(
            "PUT", spec, types.set_spec, f"{SPECS}:update", body=shapes.Specs, reply=shapes.Specs, summary="Set an extra spec."
        ),
        Route("DELETE", spec, types.remove_spec, f"{SPECS}:delete", 202, summary="Remove an extra spec."),
        Route(
            "GET", f"{ONE}/os-volume-type-access", types.access, f"{ACCESS}:get_all_for_type", reply=shapes.AccessBody,
            summary="List the projects that may use a type that is not public.",
        ),
        Route(
            "POST", f"{ONE}/action", types.act, f"{ACCESS}:addProjectAccess", 202, body=shapes.AddAccess | shapes.RemoveAccess,
            summary="Let a project use a type that is not public, or not any more.",
        ),
    ]  # fmt: skip


TYPES = Resource(routes, RULES)

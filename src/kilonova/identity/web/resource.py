"""A resource as `app.py` takes it up, and the routes that most resources have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kilonova.core.web import resource
from kilonova.core.web.app import Route
from kilonova.identity.resources.base import Deps


@dataclass(frozen=True)
class Resource(resource.Resource[Deps]):
    """`object_rules` are those of its rules that the handler checks, as it has to read the object first. All others are checked
    before the handler runs, see `web/guard.py`."""

    object_rules: frozenset[str] = frozenset()


def crud(
    path: str,
    noun: str,
    api: Any,
    *,
    one: Any,
    several: Any,
    create: Any,
    update: Any,
    shown: Any = None,
    called: str = "",
) -> list[Route]:
    """The five routes of a noun. `api` has list, create, show, update, delete; `called` is the noun with its article. The others
    are shapes: `shown` that of a record shown by itself, where it says more than `one`."""
    plural, called = path.rsplit("/", 1)[1], called or f"a {noun}"
    record = f"{path}/{{{noun}_id:str}}"
    return [
        Route("GET", path, api.list, f"identity:list_{plural}", reply=several, summary=f"List {plural}."),
        Route("POST", path, api.create, f"identity:create_{noun}", 201, body=create, reply=one, summary=f"Create {called}."),
        Route("GET", record, api.show, f"identity:get_{noun}", reply=shown or one, summary=f"Show {called}."),
        Route("PATCH", record, api.update, f"identity:update_{noun}", body=update, reply=one, summary=f"Update {called}."),
        Route("DELETE", record, api.delete, f"identity:delete_{noun}", 204, summary=f"Delete {called}."),
    ]  # fmt: skip

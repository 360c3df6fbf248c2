"""What a resource declares, and the API that is made of all of them.

    ROUTERS = CrudResource(
        name="router", collection="routers", path="routers", view=Router, create=RouterCreate, update=RouterUpdate,
        logic=RouterLogic, rules=RULES, quota=True, extensions=(Extension("router", …),),
    )

in its `routes.py`, and a line in RESOURCES (app.py): list with filters, sorting, fields and pages, show, create one or many,
update and delete, its tags, its quota and its entries of `/v2.0/extensions` follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from kilonova.core.web import resource
from kilonova.core.web.app import Route
from kilonova.core.web.wire import wrapped
from kilonova.network.deps import Deps
from kilonova.network.resources.base.handlers import Handlers, Replies
from kilonova.network.resources.base.logic import ReadLogic
from kilonova.network.resources.base.nested_logic import NestedLogic
from kilonova.network.resources.base.shape import Shape, list_of
from kilonova.network.store.objects import Objects

V2 = "/v2.0"
ID = "/{id:str}"
BULK = 8 << 20  # bytes of a body that makes many things


class Extension(msgspec.Struct, frozen=True):
    """An entry of `/v2.0/extensions`: alias, name and time of the last change are upstream's, by which clients know it."""

    alias: str
    name: str
    updated: str
    description: str


@dataclass(frozen=True)
class Resource(resource.Resource["Api"]):
    """Routes that are no list of objects, made from the API as a whole."""

    extensions: Sequence[Extension] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class CrudResource(Shape):
    """What is listed and shown and, where it has the shapes for it, created and updated; deleted if `deletable`.

    `writer` is the rule of the route that creates, where the resource's own rule must know what the new object is made on;
    `changer` is that of the routes that change and delete, where the answer to callers without the right depends on whether they
    see the object. With `quota` the rows of a project are counted: the setting `quota_NAME` is the limit. `listed` resources are
    those at `/v2.0`. `tags_also_at` is another path below `/v2.0/`, at which upstream has the tags of its objects. `more` makes
    the routes beside these, from the resource's handlers.
    """

    logic: type[ReadLogic[Any, Any]] | type[NestedLogic[Any, Any, Any]]
    handlers: type[Replies[Any]] = Handlers
    writer: str = ""
    lister: str = ""
    changer: str = ""
    tags_also_at: str = ""
    max_body: int = BULK
    deletable: bool = True
    quota: bool = False
    listed: bool = False

    extensions: Sequence[Extension] = ()
    more: Callable[[Any], Sequence[Route]] = lambda handlers: ()

    def routes(self, api: Api) -> list[Route]:
        handlers = api.handlers[self]
        return [*self._crud(handlers), *self.more(handlers)]

    def _crud(self, handlers: Any) -> Iterator[Route]:
        above = f"{self.parent.path}/{{parent_id:str}}/" if self.parent is not None else ""
        every, one = f"{V2}/{above}{self.path}", f"{V2}/{above}{self.path}{ID}"
        name, noun, a, many = self.name, self.rule_noun, self.a_noun, self.collection.replace("_", " ")
        shown, listed = self.one | self.one_part, self.many | self.many_parts
        yield Route("GET", every, handlers.list, self.lister or f"get_{noun}", reply=listed, summary=f"List {many}.")
        yield Route("GET", one, handlers.show, f"get_{noun}", reply=shown, summary=f"Show {a}.")
        if self.create is not None:
            sent = wrapped(name, self.create) | wrapped(self.collection, list_of(self.create))
            yield Route(
                "POST", every, handlers.create, self.writer or f"create_{noun}", 201, max_body=self.max_body, body=sent,
                reply=self.one | self.many, summary=f"Create {a}, or many.",
            )  # fmt: skip
        if self.update is not None:
            sent = wrapped(name, self.update)
            yield Route(
                "PUT", one, handlers.update, self.changer or f"update_{noun}", body=sent, reply=self.one,
                summary=f"Update {a}.",
            )  # fmt: skip
        if self.deletable:
            rule = self.changer or f"delete_{noun}"
            yield Route("DELETE", one, handlers.delete, rule, 204, summary=f"Delete {a}.")


AnyResource = Resource | CrudResource


class Api:
    """All resources, made ready in one process; `handlers` are those of every CrudResource."""

    def __init__(self, deps: Deps, resources: Sequence[AnyResource]) -> None:
        self.deps, self.resources = deps, resources
        for name in deps.counted.values():
            deps.options.quota(name)  # raises AttributeError where there is no such setting
        crud = [one for one in resources if isinstance(one, CrudResource)]
        self.handlers = {one: one.handlers(one, one.logic(deps)) for one in crud}

    def routes(self) -> list[Route]:
        return [route for one in self.resources for route in one.routes(self)]


def counted(resources: Iterable[AnyResource]) -> dict[Objects[Any], str]:
    """What quotas limit, and the names of the limits."""
    crud = [one for one in resources if isinstance(one, CrudResource)]
    return {one.logic.objects: one.name for one in crud if one.quota}

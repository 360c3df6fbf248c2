"""A resource that is declared has everything that the API's resources have: a toy one, in one file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import pytest
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import Column, Integer, MetaData, String, Table
from sqlalchemy.schema import CreateTable

from kilonova.core.context import RequestContext
from kilonova.core.db import Connection
from kilonova.core.errors import NotFound
from kilonova.core.policy import ADMIN, MEMBER_OR_OWNER, READER_OR_OWNER
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.resource import rules_of
from kilonova.network.app import RESOURCES, NetworkService
from kilonova.network.options import NetworkOptions
from kilonova.network.resources.base.columns import shown, standard
from kilonova.network.resources.base.handlers import Handlers
from kilonova.network.resources.base.logic import Logic
from kilonova.network.resources.base.resource import ID, V2, CrudResource, Extension
from kilonova.network.resources.base.schemas import StandardCreate, StandardUpdate, StandardView
from kilonova.network.store import tags
from kilonova.network.store.objects import Objects, StandardRow
from tests.service.network.conftest import Cloud, running
from tests.support import PROJECT, make_core

TABLE = Table(
    "gadgets",
    MetaData(),
    *(Column(name, String(255)) for name in ("project_id", "name", "description", "created_at", "updated_at", "maker")),
    Column("id", String(36), primary_key=True),
    Column("revision_number", Integer),
    Column("size", Integer),
)


class GadgetCreate(StandardCreate, kw_only=True):
    size: Annotated[int, Meta(ge=1)]
    maker: str = ""


class GadgetUpdate(StandardUpdate):
    size: int | UnsetType = UNSET


class Gadget(StandardView, kw_only=True):
    size: int
    maker: str | UnsetType = UNSET


class GadgetRow(StandardRow):
    size: int
    maker: str


class GadgetNotFound(NotFound):
    template = "Gadget {id} could not be found."


class GadgetLogic(Logic[GadgetRow, Gadget]):
    objects = Objects(TABLE, GadgetRow)
    missing = GadgetNotFound

    async def views(self, connection: Connection, rows: Sequence[GadgetRow]) -> Sequence[Gadget]:
        found = await tags.tags_of(connection, [row.id for row in rows])
        return [Gadget(**shown(row, found.get(row.id, [])), size=row.size, maker=row.maker) for row in rows]

    def new(self, ctx: RequestContext, body: GadgetCreate) -> dict[str, Any]:
        return standard(self.deps, ctx, body) | {"size": body.size, "maker": body.maker}


def _more(handlers: Handlers[GadgetLogic]) -> list[Route]:
    async def weigh(call: Call, id: str) -> Reply:
        return handlers.one(call, await handlers.logic.get(id, handlers.guard(call, "weigh_gadgets")))

    return [
        Route("PUT", f"{V2}/gadgets{ID}/weigh", weigh, "weigh_gadgets", reply=GADGETS.one, summary="Weigh a gadget.")
    ]


GADGETS = CrudResource(
    name="gadget",
    collection="gadgets",
    path="gadgets",
    view=Gadget,
    create=GadgetCreate,
    update=GadgetUpdate,
    logic=GadgetLogic,
    rules={
        "create_gadget": MEMBER_OR_OWNER,
        "create_gadget:maker": ADMIN,
        "get_gadget": READER_OR_OWNER,
        "get_gadget:maker": ADMIN,
        "update_gadget": MEMBER_OR_OWNER,
        "weigh_gadgets": MEMBER_OR_OWNER,
        "delete_gadget": MEMBER_OR_OWNER,
    },
    quota=True,
    listed=True,
    extensions=(Extension("gadgets", "Gadgets", "2020-01-01T00:00:00-00:00", "Things of no use"),),
    more=_more,
)


class Options(NetworkOptions):
    quota_gadget: int = 3


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    async with running(tmp_path, Options(), (*RESOURCES, GADGETS)) as made:
        async with made.service.database.transaction() as tx:
            await tx.connection.execute(CreateTable(TABLE))
        yield made


async def test_it_is_made_shown_changed_and_deleted(cloud: Cloud) -> None:
    one = await cloud.make("gadget", name="a", size=3)
    assert (one["size"], one["project_id"], one["revision_number"], one["tags"]) == (3, PROJECT, 1, [])
    many = [{"name": "b", "size": 1}, {"name": "c", "size": 2}]
    made = await cloud("POST", "/gadgets", json={"gadgets": many})
    assert (made.status, [gadget["name"] for gadget in made.json["gadgets"]]) == (201, ["b", "c"])
    path = f"/gadgets/{one['id']}"
    changed = (await cloud("PUT", path, json={"gadget": {"size": 9, "description": None}})).json["gadget"]
    assert (changed["size"], changed["name"], changed["description"], changed["revision_number"]) == (9, "a", "", 2)
    assert (await cloud("GET", path)).json == {"gadget": changed}
    assert (await cloud("PUT", path + "/weigh")).json == {"gadget": changed}
    assert (await cloud("DELETE", path)).status == 204
    gone = (await cloud("GET", path)).json["NeutronError"]
    assert (gone["type"], gone["message"]) == ("GadgetNotFound", f"Gadget {one['id']} could not be found.")


async def test_lists_filter_sort_and_come_in_pages(cloud: Cloud) -> None:
    bodies = [{"name": name, "size": size} for name, size in (("a", 1), ("b", 2), ("c", 2))]
    made = (await cloud("POST", "/gadgets", json={"gadgets": bodies})).json["gadgets"]

    async def names(query: str) -> list[str]:
        return [gadget["name"] for gadget in (await cloud("GET", f"/gadgets?{query}")).json["gadgets"]]

    assert await names("size=2&sort_key=name&sort_dir=desc") == ["c", "b"]
    assert (await cloud("GET", "/gadgets?fields=size&name=a")).json == {"gadgets": [{"size": 1}]}
    first = (await cloud("GET", "/gadgets?sort_key=name&limit=2")).json
    assert [link["rel"] for link in first["gadgets_links"]] == ["next"]
    assert await names(f"sort_key=name&limit=2&marker={made[1]['id']}") == ["c"]
    assert (await cloud("PUT", f"/gadgets/{made[1]['id']}/tags", json={"tags": ["x"]})).json == {"tags": ["x"]}
    assert await names("tags=x") == ["b"]
    assert (await cloud("GET", "/gadgets?marker=x")).json["NeutronError"]["type"] == "GadgetNotFound"
    assert (await cloud("GET", "/gadgets?nix=1")).status == 400


async def test_it_is_counted(cloud: Cloud) -> None:
    quota = f"/quotas/{PROJECT}"
    assert (await cloud("GET", quota)).json["quota"]["gadget"] == 3
    refused = await cloud("POST", "/gadgets", json={"gadgets": [{"size": 1}] * 4})
    assert (refused.status, refused.json["NeutronError"]["type"]) == (409, "OverQuota")
    assert (await cloud("GET", "/gadgets")).json == {"gadgets": []}
    assert (await cloud("PUT", quota, token="admin", json={"quota": {"gadget": 4}})).status == 200
    assert (await cloud("POST", "/gadgets", json={"gadgets": [{"size": 1}] * 4})).status == 201
    details = (await cloud("GET", f"{quota}/details")).json["quota"]["gadget"]
    assert details == {"limit": 4, "used": 4, "reserved": 0}


async def test_its_rules_hold(cloud: Cloud) -> None:
    one = await cloud.make("gadget", "admin", name="a", size=3, maker="m", project_id=PROJECT)
    path = f"/gadgets/{one['id']}"
    assert one["maker"] == "m"
    assert "maker" not in (await cloud("GET", path)).json["gadget"]
    assert (await cloud("GET", "/gadgets?maker=m")).status == 403
    for method, body in (("GET", None), ("PUT", {"gadget": {"name": "x"}}), ("DELETE", None)):
        assert (await cloud(method, path, token="foreign", json=body)).status == 404, method
    assert (await cloud("GET", "/gadgets", token="foreign")).json == {"gadgets": []}
    assert (await cloud("POST", "/gadgets", json={"gadget": {"size": 1, "maker": "m"}})).status == 403
    for token, status in (("foreign", 404), ("reader", 403), ("member", 200)):
        assert (await cloud("PUT", path + "/weigh", token=token)).status == status, token
    assert (await cloud("POST", "/gadgets", token="reader", json={"gadget": {"size": 1}})).status == 403
    assert (await cloud("PUT", path, token="reader", json={"gadget": {"name": "x"}})).status == 403


async def test_clients_find_it(cloud: Cloud) -> None:
    extension = (await cloud("GET", "/extensions/gadgets")).json["extension"]
    assert (extension["name"], extension["updated"]) == ("Gadgets", "2020-01-01T00:00:00-00:00")
    assert (await cloud("GET", "/extensions/standard-attr-tag")).json["extension"]["name"].endswith(", gadget")
    collections = (await cloud.client("GET", "/network/v2.0", token=None)).json["resources"]
    assert "gadgets" in {collection["collection"] for collection in collections}
    document = (await cloud.client("GET", "/network/openapi.json", token=None)).json
    assert {*document["paths"]["/v2.0/gadgets/{id}"]} == {"get", "put", "delete"}


def test_a_quota_needs_its_setting(tmp_path: Path) -> None:
    core, _, _ = make_core(tmp_path)
    with pytest.raises(AttributeError, match="quota_gadget"):
        NetworkService(core, NetworkOptions(), resources=(*RESOURCES, GADGETS))


def test_no_rule_is_defined_twice() -> None:
    other = CrudResource(
        name="gadget", collection="gadgets", path="gadgets", view=Gadget, logic=GadgetLogic,
        rules={"get_gadget": ADMIN},
    )  # fmt: skip
    with pytest.raises(ValueError, match="get_gadget"):
        rules_of((GADGETS, other))


async def test_each_attribute_filters_and_sorts_or_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path, NetworkOptions()) as cloud:
        for resource in [one for one in RESOURCES if isinstance(one, CrudResource) and one.parent is None]:
            for name, (_, kind) in resource.scalars.items():
                value = {str: "10.0.0.1", int: "1", bool: "true"}[kind]
                for query in (f"sort_key={name}&limit=1", f"{name}={value}", f"{name}="):
                    answer = await cloud("GET", f"/{resource.path}?{query}", token="admin")
                    assert answer.status in (200, 400), (resource.path, query, answer.content)

"""Documents made of routes, and the comparison of what routes do with what they declare."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import UNSET, Meta, UnsetType
from openapi_spec_validator import validate

from kilonova.core.policy import Policy
from kilonova.core.web import declarations
from kilonova.core.web import errors as formats
from kilonova.core.web.app import Route, build_app
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.microversion import Microversions
from kilonova.core.web.wire import Body, Version, View, media, versions, wrapped
from tests.support import Client, make_core


class Paint(Body):
    """What a toy is painted with."""

    colour: Annotated[str, Meta(pattern=r"\A[a-z]+\Z")]
    gloss: Annotated[int | UnsetType, versions("2.5")] = UNSET


class Toy(View):
    name: str
    paint: Paint | None = None
    size: Annotated[int | UnsetType, versions(until="2.4")] = UNSET
    inches: Annotated[str | UnsetType, versions("2.5", name="size")] = UNSET


class Toys(View):
    toys: list[Toy]


class Labels(View):
    other_fields = str

    owner: str


async def listing(call: Call) -> Reply:
    return Reply(Toys(toys=[Toy(name="ball", size=3, inches="1.2")]))


async def paint(call: Call, toy_id: str) -> Reply:
    return Reply({"toy": {"name": (await call.decode(Paint)).colour}}, status=201)


async def by_hand(call: Call) -> Reply:
    body = await call.decode(dict[str, Any])
    call.reads(Toy)
    return Reply({"owner": str(len(body)), "more": "x"})


async def picture(call: Call) -> Reply:
    given = [piece async for piece in call.stream()]

    async def pieces() -> AsyncIterator[bytes]:
        for piece in given:
            yield piece

    return Reply(pieces(), content_type="image/png")


# ---- routes that do something else than they say


async def other_shape(call: Call) -> Reply:
    await call.decode(Toy)
    return Reply()


async def unread(call: Call) -> Reply:
    await call.decode(dict[str, Any])
    return Reply()


async def more_fields(call: Call) -> Reply:
    return Reply({"toys": [{"name": "ball", "secret": "x"}]})


async def out_of_range(call: Call) -> Reply:
    return Reply({"toys": [{"name": "ball", "size": 3}]})  # at 2.9 it is text


ROUTES = [
    Route(
        "GET", "/toys", listing, "toy:any", reply=Toys, summary="List toys.", query={"limit": "2.1", "colour": "2.3"}
    ),
    Route(
        "POST", "/toys/{toy_id:str}/paint", paint, "toy:any", 201, body=Paint, reply=wrapped("toy", Toy), since="2.2"
    ),
    Route("POST", "/toys", by_hand, "toy:any", body=wrapped("toy", Toy) | Labels, reply=Labels | None),
    Route("PUT", "/picture", picture, public=True, body=bytes, reply=Annotated[bytes, media("image/png")]),
]
FALSE = {
    "/other": (Route("POST", "/other", other_shape, "toy:any", body=Paint), "reads Toy but declares Paint"),
    "/none": (Route("POST", "/none", other_shape, "toy:any"), "reads Toy but declares nothing"),
    "/unread": (Route("POST", "/unread", unread, "toy:any", body=Toy), "reads a body as plain data"),
    "/stream": (
        Route("POST", "/stream", picture, "toy:any", body=bytes, reply=Toy),
        "answers image/png but declares Toy",
    ),
    "/silent": (Route("POST", "/silent", listing, "toy:any"), "answers Toys but declares nothing"),
    "/empty": (
        Route("POST", "/empty", other_shape, "toy:any", body=Toy, reply=Toy),
        "answers nothing but declares Toy",
    ),
    "/kind": (Route("POST", "/kind", listing, "toy:any", reply=Toy), "answers Toys but declares Toy"),
    "/more": (Route("POST", "/more", more_fields, "toy:any", reply=Toys), "unknown field `secret`"),
    "/range": (Route("POST", "/range", out_of_range, "toy:any", reply=Toys), "Expected `str`, got `int`"),
}
MICRO = Microversions("toy", Version(2, 1), Version(2, 9))


@pytest.fixture
def api(tmp_path: Path) -> Client:
    core, gateway, client = make_core(tmp_path)
    web = core.web("toy", formats.compute_format, Policy({"toy:any": "@"}), microversions=MICRO)
    gateway.apps["/toy"] = build_app(web, [*ROUTES, *(route for route, _ in FALSE.values())])
    return client


async def document(api: Client) -> Any:
    answer = await api("GET", "/toy/openapi.json", token=None)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    validate(answer.json)
    return answer.json


async def test_it_is_for_everyone(api):
    whole = await api("GET", "/toy/openapi.json", token=None)
    head = await api("HEAD", "/toy/openapi.json", token=None)
    assert (head.status, head.content) == (200, b"")
    assert head.headers["content-length"] == whole.headers["content-length"] == str(len(whole.content))


async def test_an_operation_has_its_parts(api):
    made = await document(api)
    assert made["servers"] == [{"url": "/toy"}]
    assert made["info"]["x-openstack"] == {"min-ver": "2.1", "max-ver": "2.9"}
    painting = made["paths"]["/toys/{toy_id}/paint"]["post"]
    assert painting["x-openstack"] == {"min-ver": "2.2"}
    assert painting["x-openstack-policy"] == "toy:any"
    assert painting["security"] == [{"token": []}]
    assert painting["parameters"][0]["name"] == "toy_id"
    assert painting["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Paint"}
    assert {"201", "400", "401", "403", "404", "409"} == set(painting["responses"])
    assert made["paths"]["/toys"]["get"]["summary"] == "List toys."
    text = {"in": "query", "schema": {"type": "string"}}
    assert made["paths"]["/toys"]["get"]["parameters"][:-1] == [
        {"name": "colour", **text, "x-openstack": {"min-ver": "2.3"}},
        {"name": "limit", **text},
    ]
    picture = made["paths"]["/picture"]["put"]
    assert "security" not in picture
    assert [*picture["requestBody"]["content"]] == ["application/octet-stream"]
    assert [*picture["responses"]["200"]["content"]] == ["image/png"]


async def test_a_schema_has_its_parts(api):
    schemas = (await document(api))["components"]["schemas"]
    assert schemas["Paint"]["description"] == "What a toy is painted with."
    assert schemas["Paint"]["additionalProperties"] is False
    assert schemas["Paint"]["properties"]["colour"]["pattern"] == "^[a-z]+$"
    assert schemas["Paint"]["properties"]["gloss"]["x-openstack"] == {"min-ver": "2.5"}
    old, new = schemas["Toy"]["properties"]["size"]["anyOf"]
    assert (old["type"], old["x-openstack"]) == ("integer", {"max-ver": "2.4"})
    assert (new["type"], new["x-openstack"]) == ("string", {"min-ver": "2.5"})
    assert schemas["Labels"]["additionalProperties"] is True
    assert [*schemas["toy_Toy"]["properties"]] == ["toy"]


async def test_errors_are_in_the_services_own_format(api):
    shown = (await document(api))["components"]["responses"]["Error404"]["content"]["application/json"]
    assert shown["example"] == {"itemNotFound": {"code": 404, "message": "What failed and why."}}
    assert shown["schema"]["properties"]["itemNotFound"]["properties"]["code"] == {"type": "integer"}


async def test_what_is_declared_is_answered(api):
    newest = {"OpenStack-API-Version": "toy 2.9"}
    assert (await api("GET", "/toy/toys")).json == {"toys": [{"name": "ball", "paint": None, "size": 3}]}
    assert (await api("GET", "/toy/toys", headers=newest)).json["toys"][0]["size"] == "1.2"
    assert (await api("POST", "/toy/toys/1/paint", json={"colour": "red"}, headers=newest)).status == 201
    assert (await api("POST", "/toy/toys", json={"toy": {"name": "ball"}})).status == 200
    assert (await api("PUT", "/toy/picture", content=b"png")).content == b"png"
    assert declarations.found == []


@pytest.mark.parametrize("path", FALSE)
async def test_what_is_not_declared_is_a_fault(api, path):
    headers = {"OpenStack-API-Version": "toy 2.9"}
    assert (await api("POST", f"/toy{path}", json={"name": "ball"}, headers=headers)).status == 500
    (said,) = declarations.found
    assert said.startswith(f"POST /toy{path} ")
    assert FALSE[path][1] in said
    declarations.found.clear()


async def test_in_production_nothing_is_compared(tmp_path, monkeypatch):
    monkeypatch.setattr(declarations, "checked", False)
    core, gateway, client = make_core(tmp_path)
    route, _ = FALSE["/more"]
    gateway.apps["/toy"] = build_app(core.web("toy", formats.compute_format, Policy({"toy:any": "@"})), [route])
    assert (await client("POST", "/toy/more")).status == 200


def test_a_wrapping_is_one_type():
    assert wrapped("toy", Toy) is wrapped("toy", Toy)
    assert msgspec.json.decode(b'{"toy": {"name": "ball"}}', type=wrapped("toy", Toy)).inner.name == "ball"

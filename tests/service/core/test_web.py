"""What every service's HTTP application does, by a small service of its own."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

from kilonova.core import errors
from kilonova.core.context import RequestContext
from kilonova.core.policy import Policy
from kilonova.core.web import errors as formats
from kilonova.core.web.app import Route, RouteTwice, RouteWithoutPolicy, Web, build_app
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.microversion import Microversions
from kilonova.core.web.paging import next_links, read_page
from kilonova.core.web.wire import Body, Version, versions
from tests.support import BASE, PROJECT, Client, make_core

RULES = {
    "toy:list": "rule:project_reader_or_admin", "toy:make": "rule:project_member_or_admin", "toy:admin": "role:admin",
    "toy:any": "@",
}  # fmt: skip


class Make(Body):
    name: Annotated[str, msgspec.Meta(max_length=10)]
    count: int = 1
    label: Annotated[str | msgspec.UnsetType, versions("2.5")] = msgspec.UNSET
    deep: dict[str, Any] | None = None


class ToyNotFound(errors.NotFound):
    template = "Toy {id} could not be found."


async def show(call: Call, toy_id: str) -> Reply:
    raise ToyNotFound(id=toy_id)


async def whoami(call: Call) -> Reply:
    return Reply({"user": call.ctx.user_id, "project": call.ctx.project_id, "roles": list(call.ctx.roles),
                  "global": call.ctx.global_request_id, "id": call.ctx.request_id})  # fmt: skip


async def make(call: Call) -> Reply:
    body = await call.decode(Make)
    return Reply(body, status=201, headers={"Location": f"{call.base_url}/toys/1"})


async def listing(call: Call) -> Reply:
    page = read_page(call, maximum=50)
    items = list(range(page.limit if call.query.get("full") else 1))
    return Reply({"limit": page.limit, "marker": page.marker, "links": next_links(call, "/toys", page, items, "last")})


async def broken(call: Call) -> Reply:
    raise ZeroDivisionError("password=hunter2 in /etc/secret")


async def remote(call: Call) -> Reply:
    raise errors.RemoteError("KeyError: hunter2")


async def unheard(call: Call) -> Reply:
    raise errors.NoReceiver(reason="no receiver on compute.hunter2")


async def busy(call: Call) -> Reply:
    raise errors.ServiceUnavailable(reason="busy", headers={"Retry-After": "5"})


async def away(call: Call) -> Reply:
    raise errors.PeerAway(reason="10.9.8.7:9696: hunter2")


async def odd(call: Call) -> Reply:
    return Reply(object())  # can't be encoded


async def nothing(call: Call) -> Reply:
    return Reply()


async def head(call: Call) -> Reply:
    return Reply(headers={"X-Toys": "3"})


async def owned(call: Call, project_id: str) -> Reply:
    call.authorize({"project_id": project_id})
    return Reply({"allowed": call.allowed("toy:admin")})


ROUTES = [
    Route("GET", "/toys", listing, policy="toy:list"),
    Route("HEAD", "/toys", head, policy="toy:list"),
    Route("POST", "/toys", make, policy="toy:make", max_body=1000),
    Route("GET", "/toys/{toy_id:str}", show, policy="toy:list"),
    Route("GET", "/whoami", whoami, public=True),
    Route("GET", "/whoami-really", whoami, policy="toy:any"),
    Route("GET", "/broken", broken, policy="toy:any"),
    Route("GET", "/remote", remote, policy="toy:any"),
    Route("GET", "/unheard", unheard, policy="toy:any"),
    Route("GET", "/busy", busy, policy="toy:any"),
    Route("GET", "/away", away, policy="toy:any"),
    Route("GET", "/odd", odd, policy="toy:any"),
    Route("DELETE", "/toys/{toy_id:str}", lambda call, toy_id: nothing(call), policy="toy:make", status=204),
    Route("GET", "/admin", nothing, policy="toy:admin"),
    Route("GET", "/new", nothing, policy="toy:any", since="2.5"),
    Route("GET", "/old", nothing, policy="toy:any", until="2.4"),
    Route("GET", "/owned/{project_id:str}", owned, policy="toy:list"),
]
MICRO = Microversions("toy", Version(2, 1), Version(2, 9), "X-Toy-Version")


def web_of(tmp_path: Path, **more: Any) -> tuple[Web, Any, Client]:
    core, gateway, client = make_core(tmp_path)
    web = core.web("toy", formats.compute_format, Policy(RULES), microversions=MICRO)
    return dataclasses_replace(web, documented=False, **more), gateway, client


def dataclasses_replace(web: Web, **more: Any) -> Web:
    return msgspec.structs.replace(web, **more)


@pytest.fixture
def api(tmp_path: Path) -> Client:
    web, gateway, client = web_of(tmp_path)
    gateway.apps["/toy"] = build_app(web, ROUTES)
    return client


# ---- every reply


REPLIES: list[tuple[str, str, str | None, int]] = [
    ("GET", "/toy/toys", "member", 200), ("HEAD", "/toy/toys", "member", 200), ("DELETE", "/toy/toys/1", "member", 204),
    ("GET", "/toy/toys/1", "member", 404), ("GET", "/toy/toys", None, 401), ("GET", "/toy/toys", "wrong", 401),
    ("GET", "/toy/admin", "member", 403), ("POST", "/toy/toys", "reader", 403), ("GET", "/toy/nowhere", "member", 404),
    ("GET", "/toy/nowhere", None, 404), ("PUT", "/toy/toys", "member", 405), ("PATCH", "/toy/toys/1", None, 405),
    ("GET", "/toy/broken", "member", 500), ("GET", "/toy/remote", "member", 500), ("GET", "/toy/odd", "member", 500),
    ("GET", "/toy/unheard", "member", 500), ("GET", "/toy/busy", "member", 503),
    ("GET", "/toy/away", "member", 503), ("POST", "/toy/toys", "member", 400),
    ("GET", "/toy/toys?limit=x", "member", 400), ("GET", "/toy", None, 404),
]  # fmt: skip
KEYS = {400: "badRequest", 401: "unauthorized", 403: "forbidden", 404: "itemNotFound", 405: "badMethod", 500: "computeFault",
        503: "serviceUnavailable"}  # fmt: skip


@pytest.mark.parametrize(("method", "path", "token", "status"), REPLIES)
async def test_every_reply_has_a_request_id_and_the_services_format(
    api: Client, method: str, path: str, token: str | None, status: int
) -> None:
    answer = await api(method, path, token=token)
    assert answer.status == status
    assert answer.headers["x-openstack-request-id"].startswith("req-")
    assert answer.headers["x-compute-request-id"] == answer.headers["x-openstack-request-id"]
    if status >= 400:
        assert answer.headers["content-type"].startswith("application/json")
        assert list(answer.json) == [KEYS[status]]
        assert answer.json[KEYS[status]]["code"] == status
    for inner in ("hunter2", "secret", "Traceback", ".py", "ZeroDivision", "KeyError"):
        assert inner not in answer.content.decode()


async def test_request_ids_are_our_own_and_different(api: Client) -> None:
    sent = {"x-openstack-request-id": "req-11111111-2222-3333-4444-555555555555"}
    one, two = [await api("GET", "/toy/whoami", headers=sent) for _ in range(2)]
    assert len({one.json["id"], two.json["id"], sent["x-openstack-request-id"]}) == 3
    assert one.json["id"] == one.headers["x-openstack-request-id"]
    assert one.json["global"] == sent["x-openstack-request-id"]


async def test_unauthorized_names_the_login_url(api: Client) -> None:
    answer = await api("GET", "/toy/toys", token=None)
    assert answer.headers["www-authenticate"] == f'Keystone uri="{BASE}/identity"'
    assert (await api("GET", "/toy/busy")).headers["retry-after"] == "5"


async def test_bodiless_replies(api: Client) -> None:
    answer = await api("DELETE", "/toy/toys/1", token="member")
    assert (answer.status, answer.content) == (204, b"")
    answer = await api("HEAD", "/toy/toys", token="member")
    assert (answer.status, answer.content, answer.headers["x-toys"]) == (200, b"", "3")


async def test_identity_headers_from_outside_are_ignored(api: Client) -> None:
    forged = {
        "X-Project-Id": "0" * 32, "X-User-Id": "admin", "X-Roles": "admin,service", "X-Identity-Status": "Confirmed",
        "X-Service-Token": "service", "X-Is-Admin-Project": "True", "X-Tenant-Id": "0" * 32, "OpenStack-System-Scope": "all",
    }  # fmt: skip
    answer = await api("GET", "/toy/whoami", token=None, headers=forged)
    assert (answer.json["user"], answer.json["project"], answer.json["roles"]) == (None, None, [])
    assert (await api("GET", "/toy/whoami-really", token=None, headers=forged)).status == 401
    answer = await api("GET", "/toy/whoami-really", token="member", headers=forged)
    assert (answer.json["user"], answer.json["project"]) == ("demo", PROJECT)
    assert (await api("GET", "/toy/admin", token="member", headers=forged)).status == 403


async def test_public_routes_read_a_good_token_and_forgive_a_bad_one(api: Client) -> None:
    assert (await api("GET", "/toy/whoami", token="member")).json["user"] == "demo"
    assert (await api("GET", "/toy/whoami", token="wrong")).json["user"] is None


async def test_versions_of_routes_and_replies(api: Client) -> None:
    for path, version, status in [
        ("/toy/new", "2.4", 404), ("/toy/new", "2.5", 200), ("/toy/old", "2.4", 200), ("/toy/old", "2.5", 404),
        ("/toy/old", "2.10", 406), ("/toy/old", "two", 400),
    ]:  # fmt: skip
        answer = await api("GET", path, headers={"OpenStack-API-Version": f"toy {version}"})
        assert answer.status == status, (path, version)
        assert answer.headers["x-openstack-request-id"]
        if status < 400:
            assert answer.headers["openstack-api-version"] == f"toy {version}"
            assert "OpenStack-API-Version" in answer.headers["vary"]


# ---- bodies


NEST = 100_000
BODIES: list[tuple[bytes, int, str]] = [
    (b'{"name": "n"}', 201, ""),
    (b"", 400, "Malformed"),
    (b"{", 400, "Malformed"),
    (b"null", 400, ""),
    (b"[]", 400, "object"),
    (b'{"name": 1}', 400, "name"),
    (b'{"name": "n", "count": "1"}', 400, "count"),
    (b'{"name": "n", "count": 1.5}', 400, "count"),
    (b'{"name": "n", "colour": 1}', 400, "colour"),
    (b'{"name": "n", "label": "x"}', 400, "label"),
    (b'{"count": 1}', 400, "name"),
    (b'{"name": "12345678901"}', 400, "name"),
    (b'{"name": "\xff\xfe"}', 400, ""),
    (b'{"name": "\\ud800"}', 400, ""),
    (b'\xef\xbb\xbf{"name": "n"}', 400, ""),
    (b'{"name": "n", "count": NaN}', 400, ""),
    (b'{"name": "n"} trailing', 400, "Malformed"),
]


@pytest.mark.parametrize(("body", "status", "says"), BODIES, ids=range(len(BODIES)))
async def test_bodies(api: Client, body: bytes, status: int, says: str) -> None:
    answer = await api("POST", "/toy/toys", content=body)
    assert answer.status == status, answer.content
    if status == 400:
        assert says in answer.json["badRequest"]["message"]
    else:
        assert answer.json == {"name": "n", "count": 1, "deep": None}
        assert answer.headers["location"] == f"{BASE}/toy/toys/1"


@pytest.mark.parametrize("body", [b'{"name":"n","deep":' + b'{"inner":' * NEST, b"[" * NEST, b'{"a":' * NEST])
async def test_deep_nesting_is_a_bad_request(tmp_path: Path, body: bytes) -> None:
    web, gateway, client = web_of(tmp_path)
    gateway.apps["/toy"] = build_app(web, [Route("POST", "/toys", make, policy="toy:make", max_body=1 << 24)])
    assert (await client("POST", "/toy/toys", content=body)).status == 400


async def test_a_field_of_a_newer_version(api: Client) -> None:
    headers = {"OpenStack-API-Version": "toy 2.5"}
    answer = await api("POST", "/toy/toys", json={"name": "n", "label": "x"}, headers=headers)
    assert answer.json == {"name": "n", "count": 1, "label": "x", "deep": None}


async def test_large_bodies_are_refused_before_they_are_read(api: Client) -> None:
    big = b'{"name": "' + b"x" * 2000 + b'"}'
    answer = await api("POST", "/toy/toys", content=big)
    assert (answer.status, answer.json["overLimit"]["code"]) == (413, 413)
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b"x" * 500

    answer = await api("POST", "/toy/toys", content=endless())
    assert answer.status == 413
    assert read < 20
    for declared in ("9" * 5000, "10001"):
        answer = await api("POST", "/toy/toys", content=endless(), headers={"content-length": declared})
        assert answer.status == 413


# ---- policy


@pytest.mark.parametrize(
    "route",
    [
        Route("GET", "/x", nothing),
        Route("GET", "/x", nothing, policy="toy:unknown"),
        Route("GET", "/x", nothing, policy=""),
    ],
)
def test_a_route_without_a_good_policy_is_not_built(tmp_path: Path, route: Route) -> None:
    web, _, _ = web_of(tmp_path)
    with pytest.raises(RouteWithoutPolicy, match="toy: GET /x"):
        build_app(web, [*ROUTES, route])


def test_two_routes_for_one_method_of_a_path_are_not_built(tmp_path: Path) -> None:
    web, _, _ = web_of(tmp_path)
    with pytest.raises(RouteTwice, match=f"toy: {ROUTES[0].path}"):
        build_app(web, [*ROUTES, ROUTES[0]])


async def test_objects_of_others(api: Client) -> None:
    assert (await api("GET", f"/toy/owned/{PROJECT}", token="member")).json == {"allowed": False}
    assert (await api("GET", f"/toy/owned/{PROJECT}", token="foreign")).status == 403
    assert (await api("GET", f"/toy/owned/{PROJECT}", token="admin")).json == {"allowed": True}


async def test_a_policy_file_overrides(tmp_path: Path) -> None:
    core, gateway, client = make_core(tmp_path)
    core = dataclasses.replace(core, policy_dir=tmp_path)
    text = '"toy:admin": "role:reader"\n"toy:list": "rule:nobody"\n"nobody": "!"\n'
    (tmp_path / "toy.yaml").write_text(text)
    web = core.web("toy", formats.compute_format, core.policy("toy", RULES))
    gateway.apps["/toy"] = build_app(dataclasses_replace(web, documented=False), ROUTES)
    assert (await client("GET", "/toy/admin", token="reader")).status == 200
    assert (await client("GET", "/toy/toys", token="admin")).status == 403
    assert (await client("POST", "/toy/toys", token="member", json={"name": "n"})).status == 201
    other = core.policy("other", RULES)  # no such file
    assert not other.allows(RequestContext(request_id="", roles=("reader",)), "toy:admin")


def test_an_undefined_rule_is_an_error_and_allows_nothing() -> None:
    policy = Policy(RULES | {"toy:typo": "rule:no_such_rule"})
    admin = RequestContext(request_id="", roles=("admin",))
    assert not policy.allows(admin, "toy:typo")
    with pytest.raises(LookupError):
        policy.allows(admin, "toy:unknown")


# ---- formats

MESSAGE = 'Flavor <x> & "y" could not be found.'


class FlavorNotFound(errors.NotFound):
    template = MESSAGE


GOLDEN: list[tuple[formats.ErrorFormat, str, str, Any]] = [
    (formats.compute_format, "", "application/json", {"itemNotFound": {"code": 404, "message": MESSAGE}}),
    (formats.identity_format, "", "application/json",
     {"error": {"code": 404, "message": MESSAGE, "title": "Not Found"}}),
    (formats.network_format, "", "application/json",
     {"NeutronError": {"type": "FlavorNotFound", "message": MESSAGE, "detail": ""}}),
    (formats.placement_format, "", "application/json", {"errors": [{
        "status": 404, "request_id": "req-1", "title": "Not Found", "detail": MESSAGE, "code": "placement.undefined_code"}]}),
    (formats.image_format, "application/json", "application/json",
     {"message": MESSAGE, "code": "404 Not Found", "title": "Not Found"}),
    (formats.image_format, "*/*", "text/html",
     "<html>\n <head>\n  <title>404 Not Found</title>\n </head>\n <body>\n  <h1>404 Not Found</h1>\n"
     "  Flavor &lt;x&gt; &amp; &quot;y&quot; could not be found.<br /><br />\n\n </body>\n</html>"),
]  # fmt: skip


@pytest.mark.parametrize(("format", "accept", "content_type", "body"), GOLDEN)
def test_error_formats(format: formats.ErrorFormat, accept: str, content_type: str, body: Any) -> None:
    made, kind = format(FlavorNotFound(), "req-1", accept)
    assert kind == content_type
    assert (made.decode() if isinstance(body, str) else msgspec.json.decode(made)) == body


@pytest.mark.parametrize(
    ("error", "key", "type_"),
    [
        (errors.BadRequest(), "badRequest", "HTTPBadRequest"), (errors.Conflict(), "conflictingRequest", "HTTPConflict"),
        (errors.TooLarge(limit=1), "overLimit", "HTTPRequestEntityTooLarge"), (errors.KilonovaError(), "computeFault", None),
        (errors.UnsupportedMediaType(content_type="x"), "badMediaType", "HTTPUnsupportedMediaType"),
    ],
)  # fmt: skip
def test_keys_by_status(error: errors.KilonovaError, key: str, type_: str | None) -> None:
    assert list(msgspec.json.decode(formats.compute_format(error, "", "")[0])) == [key]
    if type_ is not None:
        assert msgspec.json.decode(formats.network_format(error, "", "")[0])["NeutronError"]["type"] == type_


# ---- paging

PAGES: list[tuple[str, Any]] = [
    ("", (50, None)), ("limit=10", (10, None)), ("limit=10&marker=a%20b", (10, "a b")), ("limit=999", (50, None)),
    ("limit=0", (50, None)), ("limit=", (50, None)), ("limit=" + "9" * 5000, (50, None)), ("limit=0007", (7, None)),
    ("limit=-1", 400), ("limit=1.5", 400), ("limit=ten", 400), ("limit=%D9%A3", 400), ("limit=1e3", 400),
]  # fmt: skip


@pytest.mark.parametrize(("query", "wanted"), PAGES, ids=range(len(PAGES)))
async def test_pages(api: Client, query: str, wanted: Any) -> None:
    answer = await api("GET", f"/toy/toys?{query}")
    if wanted == 400:
        assert answer.status == 400
        assert "limit" in answer.json["badRequest"]["message"]
    else:
        assert (answer.json["limit"], answer.json["marker"]) == wanted
        assert answer.json["links"] is None


async def test_a_full_page_leads_to_the_next(api: Client) -> None:
    answer = await api("GET", "/toy/toys?full=1&limit=5&marker=m&name=a%26b&name=c")
    (link,) = answer.json["links"]
    assert link == {"rel": "next", "href": f"{BASE}/toy/toys?full=1&name=a%26b&name=c&limit=5&marker=last"}


async def test_many_requests_at_once_do_not_mix(api: Client) -> None:
    async def ask(token: str, user: str) -> None:
        assert (await api("GET", "/toy/whoami", token=token)).json["user"] == user

    ask_: Callable[..., Any] = ask
    await asyncio.gather(
        *(ask_(t, u) for t, u in [("member", "demo"), ("admin", "admin"), ("foreign", "stranger")] * 20)
    )

"""Consoles as they are handed out: who gets one, of what kind, at which microversion; and what their tokens say."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import select, update

from kilonova.compute import tables
from kilonova.compute.errors import ConsoleTypeUnavailable, GuestMissing, NotSupported
from kilonova.compute.models import ConsolePlace
from kilonova.compute.resources.remote_consoles import logic
from kilonova.compute.states import Task
from kilonova.compute.store import console_tokens
from kilonova.core.clock import Clock

PLACE = ConsolePlace(url="ws://10.0.0.7:8999/consoles", life="3")
NEWEST = "2.104"


@pytest.fixture
def there(cloud):
    """A host with all consoles that there are."""
    cloud.agent.answers["find_console"] = PLACE
    return cloud


async def ask(cloud, server_id, protocol="vnc", type="novnc", at=NEWEST, token="member"):
    body = {"remote_console": {"protocol": protocol, "type": type}}
    return await cloud("POST", f"/servers/{server_id}/remote-consoles", at, token, json=body)


async def act(cloud, server_id, at="2.1", token="member", **action):
    return await cloud("POST", f"/servers/{server_id}/action", at, token, json=action)


def token_of(url: str) -> str:
    query = parse_qs(urlsplit(url).query)
    if "path" in query:
        query = parse_qs(urlsplit("//h/" + query["path"][0]).query)
    (token,) = query["token"]
    return token


async def rows(cloud):
    async with cloud.service.database.reading() as connection:
        return list(await connection.execute(select(tables.console_tokens)))


async def test_a_vnc_console(there):
    server_id = await there.active()
    answer = await ask(there, server_id)
    assert answer.status == 200
    console = answer.json["remote_console"]
    assert (console["protocol"], console["type"]) == ("vnc", "novnc")
    url = console["url"]
    token = token_of(url)
    assert url == f"http://cloud:8774/console/vnc_lite.html?path=console%2F%3Ftoken%3D{token}"
    assert there.agent.seen == [("find_console", (server_id, "vnc"))]
    assert there.agent.contexts[0].token is None
    (row,) = await rows(there)
    assert (row.server_uuid, row.host, row.kind, row.life, row.url) == (server_id, "host-1", "vnc", "3", PLACE.url)
    assert token not in str(row)
    assert 590 < (row.expires_at - Clock().row_time()).total_seconds() <= 600


async def test_a_serial_console_is_a_websocket(there):
    answer = await ask(there, await there.active(), "serial", "serial")
    url = answer.json["remote_console"]["url"]
    assert url == f"ws://cloud:8774/console/serial?token={token_of(url)}"


async def test_each_token_is_another_one(there):
    server_id = await there.active()
    urls = {(await ask(there, server_id)).json["remote_console"]["url"] for _ in range(3)}
    assert len(urls) == 3


@pytest.mark.parametrize(
    ("protocol", "type", "at", "words"),
    [
        ("vnc", "xvpvnc", NEWEST, "Invalid console type xvpvnc"),
        ("vnc", "serial", NEWEST, "Invalid console type serial"),
        ("serial", "novnc", NEWEST, "Invalid console type novnc"),
        ("spice", "spice-html5", NEWEST, "Unavailable console type spice-html5."),
        ("spice", "spice-direct", NEWEST, "Unavailable console type spice-direct."),
        ("mks", "webmks", "2.8", "Unavailable console type webmks."),
        ("rdp", "rdp-html5", NEWEST, "Unavailable console type rdp-html5."),
        ("mks", "webmks", "2.7", "Invalid input: remote_console: 'mks' is there since microversion 2.8"),
        ("spice", "spice-direct", "2.98", "Invalid input: remote_console: 'spice-direct' is there since microversion 2.99"),
        ("telnet", "novnc", NEWEST, None), ("vnc", "vnc", NEWEST, None), ("vnc", None, NEWEST, None),
    ],
)  # fmt: skip
async def test_types_that_there_are_not(there, protocol, type, at, words):
    answer = await ask(there, await there.active(), protocol, type, at)
    assert answer.status == 400
    assert words is None or answer.json["badRequest"]["message"] == words
    assert await rows(there) == []


@pytest.mark.parametrize(
    "body", [{}, {"remote_console": {}}, {"remote_console": None}, [], {"remote_console": {"type": "novnc"}}]
)
async def test_bodies_that_are_none(there, body):
    answer = await there("POST", f"/servers/{await there.active()}/remote-consoles", json=body)
    assert answer.status == 400


async def test_before_their_microversion(there):
    assert (await ask(there, await there.active(), at="2.5")).status == 404


@pytest.mark.parametrize(
    ("action", "type", "status", "words"),
    [
        ("os-getVNCConsole", "novnc", 200, "http://cloud:8774/console/vnc_lite.html"),
        ("os-getSerialConsole", "serial", 200, "ws://cloud:8774/console/serial"),
        ("os-getVNCConsole", "xvpvnc", 400, "Invalid console type xvpvnc"),
        ("os-getSPICEConsole", "spice-html5", 400, "Unavailable console type spice-html5."),
        ("os-getRDPConsole", "rdp-html5", 400, "The server could not comply with the request"),
        ("os-getVNCConsole", "spice-html5", 400, "Invalid input"),
    ],
)
async def test_the_actions_of_earlier_microversions(there, action, type, status, words):
    server_id = await there.active()
    for at in ("2.1", "2.5"):
        answer = await act(there, server_id, at, **{action: {"type": type}})
        assert answer.status == status
        if status == 200:
            assert answer.json["console"]["type"] == type
            assert answer.json["console"]["url"].startswith(words)
        else:
            assert answer.json["badRequest"]["message"].startswith(words)
    gone = await act(there, server_id, "2.6", **{action: {"type": type}})
    assert (gone.status, gone.json["itemNotFound"]["message"]) == (404, "The resource could not be found.")


@pytest.mark.parametrize(
    ("token", "status"), [("reader", 403), ("foreign", 404), (None, 401), ("member", 200), ("admin", 200)]
)
async def test_who_gets_one(there, token, status):
    server_id = await there.active()
    assert (await ask(there, server_id, token=token)).status == status
    assert (await act(there, server_id, token=token, **{"os-getVNCConsole": {"type": "novnc"}})).status == status
    assert len(await rows(there)) == (2 if status == 200 else 0)


@pytest.mark.parametrize(
    ("raised", "state", "status", "words"),
    [
        (ConsoleTypeUnavailable(console_type="vnc"), "stopped", 400, "Unavailable console type vnc."),
        (NotSupported(), "active", 501, "The requested functionality is not supported."),
        (GuestMissing(server_id="x"), "active", 404, "Instance x could not be found."),
        (GuestMissing(server_id="x"), "building", 409, "Instance {id} is not ready"),
    ],
)
async def test_what_the_host_says(cloud, raised, state, status, words):
    server_id = await cloud.active()
    await cloud.row(server_id, vm_state=state)

    async def find_console(ctx, *values):
        raise raised

    cloud.agent.find_console = find_console
    answer = await ask(cloud, server_id)
    (body,) = answer.json.values()
    assert (answer.status, body["message"]) == (status, words.format(id=server_id))
    assert await rows(cloud) == []


async def test_servers_that_have_none(there):
    server_id = await there.active()
    for task in (Task.DELETING, Task.MIGRATING):
        await there.row(server_id, task_state=task)
        answer = await ask(there, server_id)
        assert answer.status == 409
        assert f"Cannot 'get_vnc_console' instance {server_id} while it is in task_state {task}" in str(answer.json)
    await there.row(server_id, task_state=None, host=None)
    assert (await ask(there, server_id)).status == 409
    await there.row(server_id, host="nowhere")
    assert (await ask(there, server_id)).status == 409
    assert (await ask(there, "no-such-server")).status == 404


async def test_what_a_token_is_for(there):
    server_id = await there.active()
    token = token_of((await ask(there, server_id)).json["remote_console"]["url"])
    path = f"/os-console-auth-tokens/{token}"
    expected = {"instance_uuid": server_id, "host": "10.0.0.7", "port": 8999, "internal_access_path": None}
    for at in ("2.31", "2.99", NEWEST):
        assert (await there("GET", path, at, "admin")).json == {"console": expected}
    assert (await there("GET", path, "2.30", "admin")).status == 400
    for caller in ("member", "reader", "foreign"):
        assert (await there("GET", path, token=caller)).status == 403
    assert (await there("GET", path + "x", token="admin")).json["itemNotFound"]["message"] == "Token not found"
    assert (await there("GET", path + "?x=y", "2.98", "admin")).status == 200
    assert (await there("GET", path + "?x=y", "2.99", "admin")).status == 400


@pytest.mark.parametrize("values", [{"host": "host-2"}, {"deleted": 1}, {"host": None}])
async def test_a_token_ends_with_its_servers_stay(there, values):
    server_id = await there.active()
    token = token_of((await ask(there, server_id)).json["remote_console"]["url"])
    await there.row(server_id, **values)
    assert (await there("GET", f"/os-console-auth-tokens/{token}", token="admin")).status == 404


async def test_a_token_ends_with_its_time(there):
    server_id = await there.active()
    token = token_of((await ask(there, server_id)).json["remote_console"]["url"])
    async with there.service.database.transaction() as tx:
        await tx.connection.execute(update(tables.console_tokens).values(expires_at=Clock().row_time()))
    assert (await there("GET", f"/os-console-auth-tokens/{token}", token="admin")).status == 404
    await ask(there, server_id)
    (left,) = await rows(there)
    assert left.digest != console_tokens.digest_of(token), "what has expired is removed with the next one"


async def test_unused_tokens_are_bounded(there, monkeypatch):
    monkeypatch.setattr(logic, "MOST_TOKENS", 3)
    server_id, other = await there.active(), await there.active(name="other")
    for _ in range(3):
        assert (await ask(there, server_id)).status == 200
    answer = await ask(there, server_id)
    assert answer.status == 403
    assert answer.json["forbidden"]["message"].startswith(f"Instance {server_id} has 3 console URLs")
    assert (await ask(there, other)).status == 200
    async with there.service.database.transaction() as tx:
        await tx.connection.execute(update(tables.console_tokens).values(expires_at=Clock().row_time()))
    assert (await ask(there, server_id)).status == 200

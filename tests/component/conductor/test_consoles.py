"""Tokens of consoles are exchanged for tickets of the host: once, in time, while the server is where it was."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest

from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.errors import ConsoleTypeUnavailable
from kilonova.compute.models import ConsoleTicket
from kilonova.compute.store import console_tokens
from kilonova.core.context import RequestContext
from kilonova.core.db import Database
from tests.component.conductor.lab import CTX, Lab

TICKET = ConsoleTicket(url="ws://host-1:1/consoles", secret="sesame")


async def token_for(lab: Lab, server_id: str, token: str = "t0ken", seconds: float = 60.0) -> str:
    entry = {
        "digest": console_tokens.digest_of(token), "server_uuid": server_id, "host": "host-1", "kind": "vnc", "life": "7",
        "url": TICKET.url, "expires_at": lab.conductor.deps.now() + dt.timedelta(seconds=seconds),
    }  # fmt: skip
    async with lab.database.transaction() as tx:
        await console_tokens.add(tx.connection, entry)
    return token


@pytest.fixture
async def server_id(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a server on a host that gives tickets."""
    agent = await lab.host("host-1")
    (uuid,) = await lab.servers()
    await lab.build([uuid])
    asked: list[Any] = []

    async def open_console(ctx: RequestContext, *values: Any) -> ConsoleTicket:
        asked.append(values)
        if values[-1] != "7":
            raise ConsoleTypeUnavailable(console_type="vnc")
        return TICKET

    monkeypatch.setattr(agent, "open_console", open_console, raising=False)
    monkeypatch.setattr(lab, "asked", asked, raising=False)
    return uuid


async def test_a_token_is_of_use_once(lab: Lab, server_id: str) -> None:
    token = await token_for(lab, server_id)
    client = lab.bus.client(ConductorAPI)
    assert await client.redeem_console(CTX, token) == TICKET
    assert await client.redeem_console(CTX, token) is None
    assert lab.asked == [(server_id, "vnc", "7")]  # type: ignore[attr-defined]


async def test_of_many_that_try_at_once_one_gets_it(lab: Lab, server_id: str) -> None:
    token = await token_for(lab, server_id)
    client = lab.bus.client(ConductorAPI)
    answers = await asyncio.gather(*(client.redeem_console(CTX, token) for _ in range(8)))
    assert sorted(answer is not None for answer in answers) == [False] * 7 + [True]


@pytest.mark.parametrize(
    ("seconds", "values"), [(0.0, {}), (60.0, {"host": "host-2"}), (60.0, {"deleted": 1}), (60.0, {"host": None})]
)
async def test_tokens_that_are_over(lab: Lab, server_id: str, seconds: float, values: dict[str, Any]) -> None:
    token = await token_for(lab, server_id, seconds=seconds)
    if values:
        await lab.change(server_id, **values)
    client = lab.bus.client(ConductorAPI)
    assert await client.redeem_console(CTX, token) is None
    assert await client.redeem_console(CTX, "another") is None
    assert lab.asked == []  # type: ignore[attr-defined]


async def test_a_guest_that_was_switched_off_meanwhile(
    lab: Lab, server_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await token_for(lab, server_id)
    async with lab.database.transaction() as tx:
        table = console_tokens.console_tokens
        await tx.connection.execute(table.update().values(life="6"))
    client = lab.bus.client(ConductorAPI)
    assert await client.redeem_console(CTX, token) is None
    assert await client.redeem_console(CTX, token) is None


async def test_a_host_that_does_not_answer_uses_the_token_up(lab: Lab, server_id: str) -> None:
    token = await token_for(lab, server_id)
    await lab.bus.withdraw(ComputeAPI, host="host-1")
    assert await lab.bus.client(ConductorAPI).redeem_console(CTX, token) is None
    assert isinstance(lab.database, Database)
    async with lab.database.reading() as connection:
        assert await console_tokens.find(connection, token, lab.conductor.deps.now()) is None

"""Consoles as a compute host relays them: only with a ticket, once, and until the guest is off."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from kilonova.compute.agent import consoles
from kilonova.compute.errors import ConsoleTypeUnavailable, GuestMissing
from kilonova.compute.models import ConsoleTicket
from tests.component.agent.lab import CTX, Lab, build_of, server_id
from tests.eventually import PATIENCE


async def running(lab: Lab) -> None:
    """A launched server on a host that relays consoles."""
    agent = await lab.start()
    agent.transfers._at = ("127.0.0.1", 0)
    await agent.transfers.start()
    assert (await lab.launch(build_of())).ok


async def ticket_of(lab: Lab, kind: str = "serial") -> ConsoleTicket:
    place = await lab.host.find_console(CTX, server_id(), kind)
    return await lab.host.open_console(CTX, server_id(), kind, place.life)


async def opened(ticket: ConsoleTicket) -> ClientConnection:
    headers = {"Authorization": f"Bearer {ticket.secret}"}
    return await connect(ticket.url, additional_headers=headers, proxy=None, open_timeout=PATIENCE)


async def said(console: ClientConnection, words: bytes) -> None:
    """Wait until the console has said them."""
    seen = b""
    async with asyncio.timeout(PATIENCE):
        while words not in seen:
            piece = await console.recv()
            assert isinstance(piece, bytes)
            seen += piece


async def end_of(console: ClientConnection) -> str | None:
    """Why it was closed, once it is."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await asyncio.wait_for(console.recv(), PATIENCE)
    return console.close_reason


async def refused(ticket: ConsoleTicket) -> None:
    with pytest.raises(InvalidStatus) as error:
        await opened(ticket)
    assert error.value.response.status_code == 403


async def test_a_ticket_opens_a_console_once(lab: Lab) -> None:
    await running(lab)
    ticket = await ticket_of(lab)
    console = await opened(ticket)
    await said(console, b"login: ")
    await console.send("who\r")
    await said(console, b"Hello, who")
    await refused(ticket)
    await refused(ConsoleTicket(url=ticket.url, secret=""))
    await refused(ConsoleTicket(url=ticket.url + "/more", secret=(await ticket_of(lab)).secret))
    await console.close()


async def test_a_ticket_is_for_soon(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    await running(lab)
    monkeypatch.setattr(consoles, "TICKET_LIFE", 0.0)
    await refused(await ticket_of(lab))


async def test_tickets_that_are_not_used_are_bounded(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    await running(lab)
    monkeypatch.setattr(consoles, "MOST_TICKETS", 3)
    first, *_, last = [await ticket_of(lab) for _ in range(5)]
    await refused(first)
    await (await opened(last)).close()


@pytest.mark.parametrize("kind", ["vnc", "serial"])
async def test_a_console_ends_with_its_guest(lab: Lab, kind: str) -> None:
    await running(lab)
    console, unused = await opened(await ticket_of(lab, kind)), await ticket_of(lab, kind)
    place = await lab.host.find_console(CTX, server_id(), kind)
    await lab.act("stop")
    assert await end_of(console) == "the console has ended"
    await refused(unused)
    with pytest.raises(ConsoleTypeUnavailable):
        await lab.host.find_console(CTX, server_id(), kind)
    await lab.act("start")
    assert (await lab.host.find_console(CTX, server_id(), kind)).life != place.life
    with pytest.raises(ConsoleTypeUnavailable):
        await lab.host.open_console(CTX, server_id(), kind, place.life)


async def test_a_serial_console_goes_to_its_newest_client(lab: Lab) -> None:
    await running(lab)
    first = await opened(await ticket_of(lab))
    await said(first, b"login: ")
    second = await opened(await ticket_of(lab))
    assert await end_of(first) == "the console was opened again elsewhere"
    await said(second, b"login: ")
    await second.close()


async def test_several_clients_see_one_picture(lab: Lab) -> None:
    await running(lab)
    clients = [await opened(await ticket_of(lab, "vnc")) for _ in range(2)]
    for client in clients:
        assert await asyncio.wait_for(client.recv(), PATIENCE) == b"RFB 003.008\n"
        await client.close()


async def test_consoles_that_there_are_not(lab: Lab) -> None:
    agent = await lab.start()
    assert (await lab.launch(build_of())).ok
    with pytest.raises(ConsoleTypeUnavailable, match="Unavailable console type vnc"):
        await lab.host.find_console(CTX, server_id(), "vnc")  # nothing relays it
    agent.transfers._at = ("127.0.0.1", 0)
    await agent.transfers.start()
    with pytest.raises(GuestMissing):
        await lab.host.find_console(CTX, server_id(9), "vnc")
    with pytest.raises(ConsoleTypeUnavailable, match="Unavailable console type rdp"):
        await lab.host.find_console(CTX, server_id(), "rdp")
    await agent.transfers.stop()

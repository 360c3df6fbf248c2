"""A compute host with a broker user of its own sends only messages about itself; the broker proves the sender."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest
from aiormq import spec
from aiormq.exceptions import ChannelAccessRefused, ChannelPreconditionFailed

from kilonova.core import errors
from kilonova.core.bus import ANY_HOST, RECEIVER, Interface, call, cast, from_host
from kilonova.core.bus.amqp import AmqpBus
from kilonova.core.bus.base import Envelope, envelope_for
from kilonova.core.bus.interface import methods
from kilonova.core.bus.senders import HostUsers
from kilonova.core.context import RequestContext
from kilonova.testing.engines import RabbitMQ
from tests.component.core.brokers import channel
from tests.eventually import until

USERS = "kilonova-host-{host}"
CTX = RequestContext(request_id="req-1", roles=("admin",), sender="host-2")  # what it says of itself counts for nothing


class Report(msgspec.Struct):
    host: str


class ControlAPI(Interface):
    topic = "conductor"

    @from_host("report.host")
    @call(timeout=60)
    async def report(self, ctx: RequestContext, report: Report) -> str: ...

    @from_host(ANY_HOST)
    @call(timeout=60)
    async def who(self, ctx: RequestContext) -> str | None: ...

    @call(timeout=60)
    async def command(self, ctx: RequestContext) -> str: ...

    @from_host("report.host")
    @cast
    async def post(self, ctx: RequestContext, report: Report) -> None: ...


class AgentAPI(Interface):
    topic = "network_agent"

    @from_host(RECEIVER)
    @call(timeout=60)
    async def plug(self, ctx: RequestContext) -> str: ...

    @cast
    async def destroy(self, ctx: RequestContext) -> None: ...


class Control(ControlAPI):
    def __init__(self) -> None:
        self.reported: list[str] = []

    async def report(self, ctx: RequestContext, report: Report) -> str:
        return report.host

    async def who(self, ctx: RequestContext) -> str | None:
        return ctx.sender

    async def command(self, ctx: RequestContext) -> str:
        return "done"

    async def post(self, ctx: RequestContext, report: Report) -> None:
        self.reported.append(report.host)


class Agent(AgentAPI):
    def __init__(self, host: str) -> None:
        self.host = host
        self.destroyed = 0

    async def plug(self, ctx: RequestContext) -> str:
        return self.host

    async def destroy(self, ctx: RequestContext) -> None:
        self.destroyed += 1


async def opened(url: str, host_users: str = USERS) -> AmqpBus:
    bus = AmqpBus(url, host_users)
    await bus.open()
    return bus


@pytest.fixture(scope="module")
def hosts(rabbitmq: RabbitMQ) -> RabbitMQ:
    rabbitmq.add_hosts(USERS, "host-1", "host-2")
    return rabbitmq


@pytest.fixture
async def control(hosts: RabbitMQ) -> AsyncIterator[AmqpBus]:
    bus = await opened(hosts.url)
    yield bus
    await bus.close()


@pytest.fixture
async def host(hosts: RabbitMQ, control: AmqpBus) -> AsyncIterator[AmqpBus]:
    """The connection of host-1, which was taken over."""
    bus = await opened(hosts.url_of("kilonova-host-host-1"))
    yield bus
    await bus.close()


async def test_a_host_speaks_for_itself_alone(control: AmqpBus, host: AmqpBus) -> None:
    manager = Control()
    await control.serve(ControlAPI, manager, host="ctl1")
    client = host.client(ControlAPI)
    assert await client.report(CTX, Report("host-1")) == "host-1"
    assert await client.who(CTX) == "host-1"
    with pytest.raises(errors.Forbidden, match=r"Host host-1 may not send conductor\.report in the name of host-2"):
        await client.report(CTX, Report("host-2"))
    with pytest.raises(errors.Forbidden, match=r"Host host-1 may not send conductor\.command"):
        await client.command(CTX)
    await client.post(CTX, Report("host-2"))
    await client.post(CTX, Report("host-1"))
    assert await client.who(CTX) == "host-1"
    assert manager.reported == ["host-1"]


async def test_the_control_plane_may_send_all(control: AmqpBus, hosts: RabbitMQ) -> None:
    await control.serve(ControlAPI, Control(), host="ctl1")
    other = await opened(hosts.url)
    try:
        assert await other.client(ControlAPI).command(CTX) == "done"
        assert await other.client(ControlAPI).who(CTX) is None
        assert await other.client(ControlAPI).report(CTX, Report("host-2")) == "host-2"
    finally:
        await other.close()


async def test_an_agent_takes_messages_of_its_host_and_of_the_control_plane(
    control: AmqpBus, host: AmqpBus, hosts: RabbitMQ
) -> None:
    other = await opened(hosts.url_of("kilonova-host-host-2"))
    one, two = Agent("host-1"), Agent("host-2")
    try:
        await host.serve(AgentAPI, one, host="host-1")
        await other.serve(AgentAPI, two, host="host-2")
        assert await host.client(AgentAPI, host="host-1").plug(CTX) == "host-1"
        await control.client(AgentAPI, host="host-2").destroy(CTX)
        await until(lambda: two.destroyed)
        # by its routing key the broker refuses; by the queue's name it does not, and the receiver does
        with pytest.raises(errors.BusError):
            await host.client(AgentAPI, host="host-2").plug(CTX)
        await _by_queue(hosts, "kilonova.network_agent.host-2", user="kilonova-host-host-1")
        await control.client(AgentAPI, host="host-2").plug(CTX)
        assert two.destroyed == 1
    finally:
        await other.close()


async def test_a_host_cannot_borrow_another_user_or_hide_its_own(control: AmqpBus, hosts: RabbitMQ) -> None:
    manager = Control()
    await control.serve(ControlAPI, manager, host="ctl1")
    with pytest.raises(ChannelPreconditionFailed):  # the broker compares
        await _by_queue(hosts, "kilonova.conductor", user="kilonova-host-host-2")
    forged = envelope_for(ControlAPI, None, methods(ControlAPI)["post"], CTX, (Report("host-2"),), {})
    await _by_queue(hosts, "kilonova.conductor", user=None, envelope=forged)
    assert await control.client(ControlAPI).who(CTX) is None
    assert manager.reported == []


async def test_a_host_cannot_read_what_is_for_others(control: AmqpBus, host: AmqpBus, hosts: RabbitMQ) -> None:
    await control.serve(ControlAPI, Control(), host="ctl1")
    other = await opened(hosts.url_of("kilonova-host-host-2"))
    try:
        await other.serve(AgentAPI, Agent("host-2"), host="host-2")
        for queue in ("kilonova.network_agent.host-2", "kilonova.conductor"):
            async with channel(hosts.url_of("kilonova-host-host-1")) as broker:
                with pytest.raises(ChannelAccessRefused):
                    await broker.basic_consume(queue, _ignore)
        async with channel(hosts.url_of("kilonova-host-host-1")) as broker:
            await broker.queue_declare("kilonova.compute.host-1", durable=True, arguments={"x-queue-type": "quorum",
                "x-delivery-limit": 10, "x-dead-letter-exchange": "kilonova.dead"})  # fmt: skip
            with pytest.raises(ChannelAccessRefused):
                await broker.queue_bind("kilonova.compute.host-1", "kilonova", "conductor")
    finally:
        await other.close()


async def test_where_hosts_share_a_user_senders_are_not_distinguished(hosts: RabbitMQ) -> None:
    bus = await opened(hosts.url, "")
    try:
        await bus.serve(ControlAPI, Control(), host="ctl1")
        assert await bus.client(ControlAPI).report(CTX, Report("host-2")) == "host-2"
        assert await bus.client(ControlAPI).who(CTX) is None
    finally:
        await bus.close()


@pytest.mark.parametrize("pattern", ["kilonova-host", "{host}-{host}"])
def test_a_pattern_names_the_host_once(pattern: str) -> None:
    with pytest.raises(ValueError, match="once, as in kilonova-host-"):
        HostUsers(pattern)


@pytest.mark.parametrize(
    ("user", "sender"),
    [
        ("kilonova", None),
        ("kilonova-host-a", "a"),
        ("kilonova-host-", None),
        ("x-kilonova-host-a", None),
        (None, ""),
        ("", ""),
    ],
)
def test_users_are_hosts_or_the_control_plane(user: str | None, sender: str | None) -> None:
    assert HostUsers(USERS).sender(user) == sender
    assert HostUsers("").sender(user) is None


async def _by_queue(hosts: RabbitMQ, queue: str, *, user: str | None, envelope: Envelope | None = None) -> None:
    """Send past the exchange, as host-1, in the name of `user`."""
    sent = envelope or envelope_for(AgentAPI, "host-2", methods(AgentAPI)["destroy"], CTX, (), {})
    async with channel(hosts.url_of("kilonova-host-host-1")) as broker:
        properties = spec.Basic.Properties(user_id=user)
        await broker.basic_publish(
            msgspec.msgpack.encode(sent), exchange="", routing_key=queue, properties=properties, timeout=10
        )


async def _ignore(_message: object) -> None:
    return None

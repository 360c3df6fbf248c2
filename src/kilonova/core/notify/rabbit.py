"""Notifications in RabbitMQ, over a connection of their own, so that no other message waits behind them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import aiormq
from aiormq import spec
from aiormq.abc import AbstractChannel, AbstractConnection
from aiormq.exceptions import ChannelNotFoundEntity

from kilonova.core import errors
from kilonova.core.bus.amqp.address import parse
from kilonova.core.bus.amqp.link import typed
from kilonova.core.notify.envelope import Notification, encode

TIMEOUT = 10.0  # seconds for the broker to do one thing
ARGUMENTS: dict[str, dict[str, Any]] = {"transient": {}, "durable": {}, "quorum": {"x-queue-type": "quorum"}}


class RabbitPublisher:
    """Exchange and queues are used as they are; those that are missing are made as `queues` says, so that a consumer that
    declares them itself finds no others."""

    def __init__(self, url: str, exchange: str, queues: str) -> None:
        self._address, self._exchange, self._queues = parse(url), exchange, queues
        self._urls = itertools.cycle(self._address.urls)
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self._known: set[str] = set()

    async def publish(self, notification: Notification) -> None:
        properties = spec.Basic.Properties(
            content_type="application/json", content_encoding="utf-8", delivery_mode=2, priority=0
        )
        try:
            with typed("notifying"):
                async with asyncio.timeout(TIMEOUT):
                    channel = await self._open()
                    await self._settle_queue(notification.queue)
                    await channel.basic_publish(
                        encode(notification), exchange=self._exchange, routing_key=notification.queue,
                        properties=properties,
                    )  # fmt: skip
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        self._known.clear()
        if connection is not None:
            with contextlib.suppress(errors.BusError, TimeoutError), typed("closing"):
                async with asyncio.timeout(TIMEOUT):
                    await connection.close()

    async def _open(self) -> AbstractChannel:
        if self._channel is None or self._channel.is_closed:
            connection = self._connection = aiormq.Connection(next(self._urls))
            await connection.connect()
            durable = self._queues != "transient"
            await self._exists_or(
                lambda channel: channel.exchange_declare(self._exchange, passive=True),
                lambda channel: channel.exchange_declare(self._exchange, exchange_type="topic", durable=durable),
            )
            self._channel = await connection.channel()
        return self._channel

    async def _settle_queue(self, name: str) -> None:
        if self._queues == "none" or name in self._known:
            return
        durable, arguments = self._queues != "transient", ARGUMENTS[self._queues]
        await self._exists_or(
            lambda channel: channel.queue_declare(name, passive=True),
            lambda channel: channel.queue_declare(name, durable=durable, arguments=arguments),
        )
        await self._on_own_channel(lambda channel: channel.queue_bind(name, self._exchange, routing_key=name))
        self._known.add(name)

    async def _exists_or(
        self, ask: Callable[[AbstractChannel], Awaitable[Any]], make: Callable[[AbstractChannel], Awaitable[Any]]
    ) -> None:
        try:
            await self._on_own_channel(ask)
        except ChannelNotFoundEntity:
            await self._on_own_channel(make)

    async def _on_own_channel(self, do: Callable[[AbstractChannel], Awaitable[Any]]) -> None:
        """On a channel for this alone: what the broker refuses ends a channel."""
        if self._connection is None:
            raise ConnectionError("closed")
        channel = await self._connection.channel(publisher_confirms=False)
        try:
            await do(channel)
        finally:
            await channel.close()

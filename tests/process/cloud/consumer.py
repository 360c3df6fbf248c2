"""A consumer of notifications outside of the cloud, on a real broker."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aio_pika

from tests.eventually import eventually

QUEUES = [
    f"{topic}.{priority}" for topic in ("notifications", "versioned_notifications") for priority in ("info", "error")
]


class Consumer:
    """All notifications so far, in the order of each queue: `raw` and, by queue, decoded."""

    def __init__(self, url: str) -> None:
        self.url, self.raw = url, b""
        self.received: dict[str, list[dict[str, Any]]] = {name: [] for name in QUEUES}

    async def _read(self) -> None:
        async with await aio_pika.connect(self.url) as connection:
            channel = await connection.channel()
            for name in QUEUES:
                try:
                    queue = await channel.declare_queue(name, passive=True)
                except aio_pika.exceptions.ChannelNotFoundEntity:
                    channel = await connection.channel()
                    continue
                while (message := await queue.get(no_ack=True, fail=False)) is not None:
                    self.raw += message.body
                    outer = json.loads(message.body)
                    assert outer["oslo.version"] == "2.0"
                    self.received[name].append(json.loads(outer["oslo.message"]))

    def events(self, server: str, queue: str) -> list[dict[str, Any]]:
        def about(message: dict[str, Any]) -> str:
            payload = message["payload"]
            return str(payload.get("instance_id") or payload["nova_object.data"]["uuid"])

        return [message for message in self.received[queue] if about(message) == server]

    def until(self, server: str, last: str) -> None:
        """Read until every form of the event has come."""

        def event_types() -> set[str]:
            asyncio.run(self._read())
            return {m["event_type"] for name in QUEUES for m in self.events(server, name)}

        eventually(event_types, f"no {last}", satisfies={f"compute.instance.{last}", f"instance.{last}"}.issubset)

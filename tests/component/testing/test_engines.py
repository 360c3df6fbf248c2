"""The engines that other tests stand on: they start, answer, and come back with their data after SIGKILL."""

from __future__ import annotations

import socket
from pathlib import Path

import aio_pika
import asyncpg
import pytest

from kilonova.core.cache import MemcachedCache
from kilonova.core.ceph import CephError, CephOptions, Pool
from kilonova.testing.engines import Ceph, EngineFailed, HAProxy, Memcached, PostgreSQL, RabbitMQ, free_port
from kilonova.testing.engines.ceph import USERS


async def test_rabbitmq(rabbitmq: RabbitMQ) -> None:
    async with await aio_pika.connect(rabbitmq.url) as connection:
        channel = await connection.channel()
        await channel.declare_queue("seen", durable=True)
    assert "seen" in rabbitmq.control("list_queues")


async def test_postgresql_comes_back_after_kill(engine_folder: Path) -> None:
    with PostgreSQL(engine_folder / "killed") as server:
        connection = await asyncpg.connect(server.url("shop"))
        await connection.execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")
        server.kill()
        server.start()
        again = await asyncpg.connect(server.url("shop"))
        assert await again.fetchval("SELECT n FROM kept") == 7
        await again.close()


async def test_memcached(memcached: Memcached, patient: None) -> None:
    cache = MemcachedCache([("127.0.0.1", memcached.port)])
    await cache.set("a", b"1", 60)
    assert await cache.get("a") == b"1"
    await cache.close()


def test_haproxy_answers_5xx_without_a_working_backend(tmp_path: Path, memcached: Memcached) -> None:
    port = free_port()
    with (
        HAProxy(tmp_path, {"api": (port, [f"127.0.0.1:{memcached.port}"])}),
        socket.create_connection(("127.0.0.1", port)) as client,
    ):
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert client.recv(100).startswith((b"HTTP/1.1 502 ", b"HTTP/1.1 503 ", b"HTTP/1.0 503 "))


def test_an_engine_that_does_not_start_raises_its_output(tmp_path: Path, memcached: Memcached) -> None:
    with pytest.raises(EngineFailed, match="memcached did not start: "):
        Memcached(tmp_path, port=70000).start()


@pytest.mark.ceph
def test_ceph_keeps_users_apart_and_data_over_a_kill(engine_folder: Path) -> None:
    with Ceph(engine_folder / "killed") as cluster:
        pools = {user: CephOptions(conf=cluster.conf, user=user, keyring=str(cluster.keyring(user))) for user in USERS}
        images, stranger = Pool(pools["image"], "images"), Pool(pools["image"], "servers")
        images.create("kept", 1 << 20)
        with pytest.raises(CephError):
            stranger.create("disk", 1 << 20)
        images.close()
        stranger.close()
        cluster.kill()
        cluster.start()
        assert images.names() == ["kept"]
        images.close()

"""Real engines on free loopback ports with folders of their own: RabbitMQ, PostgreSQL, MariaDB, memcached, haproxy,
Ceph.

    with RabbitMQ(folder) as broker, PostgreSQL(folder) as database:
        broker.url, database.url("compute")
        broker.kill(); broker.start()        # SIGKILL, and again with the same port and data

`tied` engines end with the process that started them, however it ends. Passwords are made at the first start.
"""

from kilonova.testing.engines.base import Engine, EngineFailed, free_port, program
from kilonova.testing.engines.ceph import Ceph
from kilonova.testing.engines.haproxy import HAProxy
from kilonova.testing.engines.mariadb import MariaDB
from kilonova.testing.engines.memcached import Memcached
from kilonova.testing.engines.postgresql import PostgreSQL
from kilonova.testing.engines.rabbitmq import RabbitMQ

__all__ = [
    "Ceph",
    "Engine",
    "EngineFailed",
    "HAProxy",
    "MariaDB",
    "Memcached",
    "PostgreSQL",
    "RabbitMQ",
    "free_port",
    "program",
]

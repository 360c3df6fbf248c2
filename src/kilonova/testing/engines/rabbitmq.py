"""RabbitMQ."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
from pathlib import Path
from typing import Self
from urllib.parse import quote

import msgspec

from kilonova.core.bus.amqp.permissions import of_host
from kilonova.core.bus.amqp.topology import EXCHANGE
from kilonova.core.bus.senders import HostUsers
from kilonova.testing.certificates import make_certificates
from kilonova.testing.engines.base import (
    LOOPBACK,
    PACKAGES,
    START_TIMEOUT,
    Engine,
    EngineFailed,
    free_port,
    program,
    spawn,
)

LIBRARIES = (
    *("asn1", "compiler", "crypto", "inets", "mnesia", "os_mon"),
    *("public_key", "ssl", "syntax_tools", "tools", "xmerl"),
)
"""Erlang's, of whose modules the node needs few."""


class RabbitMQ(Engine):
    """One node; `url` is amqp://, and `tls_url` amqps:// when it was made with `tls`, for which `tls/ca.pem` vouches. It needs
    a port mapper of its own, which ends with it."""

    name = "rabbitmq"
    SBIN = "/usr/lib/rabbitmq/bin"

    def __init__(
        self, folder: Path, *, port: int = 0, tied: bool = True, address: str = LOOPBACK, tls: bool = False
    ) -> None:
        super().__init__(folder, port=port, tied=tied, address=address)
        self.tls_port = free_port(address) if tls else 0
        self.mapper_port, self.node_port = free_port(), free_port()
        self._mapper: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"amqp://kilonova:{self._secret()}@{self.address}:{self.port}/"

    @property
    def tls_url(self) -> str:
        ca = quote(str(self.folder / "tls" / "ca.pem"))
        return f"amqps://kilonova:{self._secret()}@{self.address}:{self.tls_port}/?cafile={ca}"

    def start(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._mapper is None:
            command = [program("epmd"), "-address", LOOPBACK, "-port", str(self.mapper_port)]
            self._mapper = spawn(command, tied=self.tied, user=self.user)
        return super().start()

    def stop(self) -> None:
        super().stop()
        if self._mapper is not None:
            self._mapper.terminate()
            self._mapper.wait()
            self._mapper = None

    def prepare(self) -> None:
        lines = {
            "listeners.tcp.1": f"{self.address}:{self.port}", "default_user": "kilonova", "default_pass": self._secret(),
            "disk_free_limit.absolute": "50MB", "log.console": "true", "log.console.level": "warning", "log.file": "false",
        }  # fmt: skip
        if self.tls_port:
            lines |= self._encrypted()
        text = "".join(f"{key} = {value}\n" for key, value in lines.items())
        (self.folder / "rabbitmq.conf").write_text(text)
        (self.folder / "plugins").write_text("[].\n")
        self._leave_libraries_alone()

    def _leave_libraries_alone(self) -> None:
        """At start the node loads every module that an application's description names, half of them for nothing: that takes
        seconds. So it finds descriptions that name none; what it does need it loads when it is called."""
        (self.folder / "libraries").mkdir(exist_ok=True)
        for name in LIBRARIES:
            for found in Path("/usr/lib/erlang/lib").glob(f"{name}-*/ebin/{name}.app"):
                text = re.sub(r"\{\s*modules\s*,\s*\[.*?\]\s*\}", "{modules, []}", found.read_text(), flags=re.S)
                (self.folder / "libraries" / found.name).write_text(text)

    def _encrypted(self) -> dict[str, str]:
        """Settings of a TLS listener, with an authority and a certificate of its own."""
        folder = self.folder / "tls"
        if not folder.exists():
            folder.mkdir()
            make_certificates(folder, self.address)
        return {
            "listeners.ssl.1": f"{self.address}:{self.tls_port}",
            "ssl_options.cacertfile": str(folder / "ca.pem"),
            "ssl_options.certfile": str(folder / "server.pem"),
            "ssl_options.keyfile": str(folder / "server.key"),
        }

    def command(self) -> list[str]:
        if not Path(self.SBIN).is_dir():
            raise EngineFailed(f"rabbitmq-server is not installed: {PACKAGES}")
        return [f"{self.SBIN}/rabbitmq-server"]  # the one of /usr/sbin insists on its own user and folders

    def environment(self) -> dict[str, str]:
        return dict(os.environ) | {
            "RUNNING_UNDER_SYSTEMD": "true",  # no shell between us and the server, which would outlive it
            "HOME": str(self.folder), "ERL_EPMD_PORT": str(self.mapper_port), "ERL_EPMD_ADDRESS": LOOPBACK,
            "RABBITMQ_NODENAME": f"kilonova{self.port}@localhost", "RABBITMQ_DIST_PORT": str(self.node_port),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"), "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"), "RABBITMQ_LOG_BASE": str(self.folder),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none "
            f"-kernel inet_dist_use_interface {{127,0,0,1}} -pa {self.folder / 'libraries'}",
        }  # fmt: skip

    def ready(self) -> bool:
        """The listener opens last, when all queues are there; it answers a wrong greeting with its own."""
        with contextlib.suppress(OSError), socket.create_connection((self.address, self.port), timeout=1) as connection:
            if self.tls_port:
                socket.create_connection((self.address, self.tls_port), timeout=1).close()
            connection.sendall(b"AMQP\x00\x09\x09\x09")
            return connection.recv(4) == b"AMQP"
        return False

    def add_hosts(self, host_users: str, *hosts: str) -> None:
        """A user for each compute host, named after `host_users` (see core/bus/senders.py), with what such a one may do."""
        users = {host: HostUsers(host_users).user_of(host) for host in hosts}
        rights = {host: msgspec.structs.asdict(of_host(host)) for host in hosts}
        where = {"vhost": "/"}
        document = {
            "users": [{"name": user, "password": self._secret(), "tags": ""} for user in users.values()],
            "vhosts": [{"name": "/"}],
            "permissions": [
                where | {"user": user, **{name: rights[host][name] for name in ("configure", "write", "read")}}
                for host, user in users.items()
            ],
            "topic_permissions": [
                where | {"user": user, "exchange": EXCHANGE, "write": rights[host]["topic_write"],
                         "read": rights[host]["topic_read"]}
                for host, user in users.items()
            ],
        }  # fmt: skip
        file = self.folder / "hosts.json"
        file.touch(0o600)
        file.write_bytes(msgspec.json.encode(document))
        self.control("import_definitions", str(file))

    def url_of(self, user: str) -> str:
        """As `url`, for another user."""
        return f"amqp://{quote(user, safe='')}:{self._secret()}@{self.address}:{self.port}/"

    def control(self, *words: str) -> str:
        """What `rabbitmqctl WORDS` prints, as for listing queues."""
        done = subprocess.run(
            [f"{self.SBIN}/rabbitmqctl", "-q", *words], capture_output=True, text=True, env=self.environment(),
            timeout=START_TIMEOUT, check=False,
        )  # fmt: skip
        if done.returncode:
            raise EngineFailed(f"rabbitmqctl {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

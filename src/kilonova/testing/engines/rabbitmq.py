"""RabbitMQ."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from pathlib import Path
from typing import Self

from kilonova.testing.engines.base import LOOPBACK, PACKAGES, START_TIMEOUT, Engine, EngineFailed, free_port, program


class RabbitMQ(Engine):
    """One node; `url` is amqp://. It needs a port mapper of its own, which lives and dies with it."""

    name = "rabbitmq"
    SBIN = "/usr/lib/rabbitmq/bin"

    def __init__(self, folder: Path, *, port: int = 0, tied: bool = True, address: str = LOOPBACK) -> None:
        super().__init__(folder, port=port, tied=tied, address=address)
        self.mapper_port, self.node_port = free_port(), free_port()
        self._mapper: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"amqp://kilonova:{self._secret()}@{self.address}:{self.port}/"

    def start(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._mapper is None:
            command = [program("epmd"), "-address", LOOPBACK, "-port", str(self.mapper_port)]
            self._mapper = subprocess.Popen([*self._as_user(), *command], stdin=subprocess.DEVNULL)
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
        text = "".join(f"{key} = {value}\n" for key, value in lines.items())
        (self.folder / "rabbitmq.conf").write_text(text)
        (self.folder / "plugins").write_text("[].\n")

    def command(self) -> list[str]:
        if not Path(self.SBIN).is_dir():
            raise EngineFailed(f"rabbitmq-server is not installed: {PACKAGES}")
        return [f"{self.SBIN}/rabbitmq-server"]  # the one of /usr/sbin insists on its own user and folders

    def environment(self) -> dict[str, str]:
        return dict(os.environ) | {
            "HOME": str(self.folder), "ERL_EPMD_PORT": str(self.mapper_port), "ERL_EPMD_ADDRESS": LOOPBACK,
            "RABBITMQ_NODENAME": f"kilonova{self.port}@localhost", "RABBITMQ_DIST_PORT": str(self.node_port),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"), "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"), "RABBITMQ_LOG_BASE": str(self.folder),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none "
            "-kernel inet_dist_use_interface {127,0,0,1}",
        }  # fmt: skip

    def ready(self) -> bool:
        """The listener opens last, when all queues are there; it answers a wrong greeting with its own."""
        with contextlib.suppress(OSError), socket.create_connection((self.address, self.port), timeout=1) as connection:
            connection.sendall(b"AMQP\x00\x09\x09\x09")
            return connection.recv(4) == b"AMQP"
        return False

    def control(self, *words: str) -> str:
        """What `rabbitmqctl WORDS` prints, as for listing queues."""
        done = subprocess.run(
            [f"{self.SBIN}/rabbitmqctl", "-q", *words], capture_output=True, text=True, env=self.environment(),
            timeout=START_TIMEOUT, check=False,
        )  # fmt: skip
        if done.returncode:
            raise EngineFailed(f"rabbitmqctl {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

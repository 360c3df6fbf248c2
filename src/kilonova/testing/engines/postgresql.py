"""PostgreSQL."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from urllib.parse import quote

from kilonova.testing.engines.base import LOOPBACK, START_TIMEOUT, Engine, EngineFailed, program


class PostgreSQL(Engine):
    """A server with a database for each name that `url` is asked for. `durable` waits for the disk at each commit, as
    production does; without it a crash of the process still loses nothing, one of the machine may."""

    name = "postgresql"
    user = "postgres"

    def __init__(
        self, folder: Path, *, port: int = 0, tied: bool = True, address: str = LOOPBACK, durable: bool = False
    ) -> None:
        super().__init__(folder, port=port, tied=tied, address=address)
        self.durable = durable
        self.data = self.folder / "data"

    def url(self, database: str) -> str:
        """postgresql://…/database; the database is made when it is not there. The server must run."""
        if database not in self._databases():
            self._sql(f'CREATE DATABASE "{database}"')
        return self.url_template.format(service=database)

    @property
    def url_template(self) -> str:
        return f"postgresql://kilonova:{quote(self._secret())}@{self.address}:{self.port}/{{service}}"

    def prepare(self) -> None:
        (self.folder / "socket").mkdir(exist_ok=True)
        self._own(self.folder / "socket")
        self._secret()
        if not (self.data / "PG_VERSION").exists():
            self._run(
                self._binary("initdb"), "-D", str(self.data), "-U", "kilonova", "--auth=scram-sha-256", "--no-sync",
                "--pwfile", str(self.folder / "password"), "-E", "UTF8", "--locale=C.UTF-8",
            )  # fmt: skip
            with (self.data / "pg_hba.conf").open("a") as rules:
                rules.write("host all all all scram-sha-256\n")  # any client with the password may connect
        (self.data / "postmaster.pid").unlink(missing_ok=True)  # of a killed one; the port would refuse a second

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": self.address, "port": str(self.port), "unix_socket_directories": str(self.folder / "socket"),
            "max_connections": "300", "shared_buffers": "64MB", "fsync": "on" if self.durable else "off",
        }  # fmt: skip
        words = [self._binary("postgres"), "-D", str(self.data)]
        return words + [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]

    def ready(self) -> bool:
        command = [self._binary("pg_isready"), "-q", "-h", self.address, "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def stop_signal(self) -> signal.Signals:
        return signal.SIGINT  # fast: open transactions are rolled back

    def _databases(self) -> list[str]:
        return self._sql("SELECT datname FROM pg_database").split()

    def _sql(self, statement: str) -> str:
        command = ["-h", self.address, "-p", str(self.port), "-U", "kilonova", "-d", "postgres", "-At", "-c", statement]
        done = subprocess.run(
            [self._binary("psql"), *command], env=os.environ | {"PGPASSWORD": self._secret()}, capture_output=True, text=True,
            timeout=START_TIMEOUT, check=False,
        )  # fmt: skip
        if done.returncode:
            raise EngineFailed(f"{self.name}: {statement}: {done.stderr.strip()}")
        return done.stdout

    def _binary(self, name: str) -> str:
        versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        return program(name, *(str(path) for path in reversed(versions)))

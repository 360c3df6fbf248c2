"""MariaDB."""

from __future__ import annotations

import os
import subprocess
from urllib.parse import quote

from kilonova.testing.engines.base import START_TIMEOUT, Engine, EngineFailed, program


class MariaDB(Engine):
    """A server with a database for each name that `url` is asked for."""

    name = "mariadb"
    user = "mysql"

    def url(self, database: str) -> str:
        """mysql://…/database; the database is made when it is not there. The server must run."""
        self._sql(f"CREATE DATABASE IF NOT EXISTS `{database}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        return self.url_template.format(service=database)

    @property
    def url_template(self) -> str:
        return f"mysql://kilonova:{quote(self._secret())}@{self.address}:{self.port}/{{service}}"

    def prepare(self) -> None:
        data = self.folder / "data"
        temporary = self.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        self._own(temporary)
        if not (data / "mysql").exists():
            self._run(
                program("mariadb-install-db"), "--no-defaults", f"--datadir={data}", self._temporary, "--skip-test-db",
                "--skip-name-resolve", "--auth-root-authentication-method=socket",
            )  # fmt: skip
        init = self.folder / "init.sql"
        init.touch(0o600)
        init.write_text(
            f"CREATE USER IF NOT EXISTS kilonova@'%' IDENTIFIED BY '{self._secret()}';\n"
            f"GRANT ALL ON *.* TO kilonova@'%';\n"
        )
        self._own(init)

    def command(self) -> list[str]:
        return [
            program("mariadbd"), "--no-defaults", f"--datadir={self.folder / 'data'}", self._temporary, f"--port={self.port}",
            f"--bind-address={self.address}", f"--socket={self.folder / 'socket'}", f"--pid-file={self.folder / 'pid'}",
            f"--init-file={self.folder / 'init.sql'}", "--skip-name-resolve", "--max-connections=300",
            "--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=2", "--character-set-server=utf8mb4",
            "--collation-server=utf8mb4_bin",
        ]  # fmt: skip

    @property
    def _temporary(self) -> str:
        """A server that starts removes other servers' temporary tables where it keeps its own."""
        return f"--tmpdir={self.folder / 'tmp'}"

    def ready(self) -> bool:
        return self._client("SELECT 1").returncode == 0

    def _sql(self, statement: str) -> None:
        done = self._client(statement)
        if done.returncode:
            raise EngineFailed(f"{self.name}: {statement}: {done.stderr.strip()}")

    def _client(self, statement: str) -> subprocess.CompletedProcess[str]:
        words = ["--no-defaults", "-h", self.address, "-P", str(self.port), "-u", "kilonova", "--connect-timeout=1"]
        return subprocess.run(
            [program("mariadb"), *words, "-e", statement], env=os.environ | {"MYSQL_PWD": self._secret()},
            capture_output=True, text=True, timeout=START_TIMEOUT, check=False,
        )  # fmt: skip

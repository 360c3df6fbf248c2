"""Real engines on free loopback ports with folders of their own: RabbitMQ, PostgreSQL, MariaDB, memcached, haproxy.

    with RabbitMQ(folder) as broker, PostgreSQL(folder) as database:
        broker.url, database.url("compute")
        broker.kill(); broker.start()        # SIGKILL, and again with the same port and data

`tied` engines end with the process that started them, however it ends. Passwords are made at the first start.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import quote

LOOPBACK = "127.0.0.1"
START_TIMEOUT = 60.0
STOP_TIMEOUT = 30.0
PACKAGES = "apt-get install rabbitmq-server postgresql mariadb-server memcached haproxy"


class EngineFailed(Exception):
    """The text names the engine and ends with its last words."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def program(name: str, *places: str) -> str:
    """The program's path, also where only root's PATH has it. Raises EngineFailed with what to install."""
    path = os.pathsep.join([*places, os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    found = shutil.which(name, path=path)
    if found is None:
        raise EngineFailed(f"{name} is not installed: {PACKAGES}")
    return found


class Engine:
    """One server process under `folder/<name>`. Subclasses say what is run, how it is prepared and when it is ready."""

    name: ClassVar[str]
    user: ClassVar[str] = ""  # who runs it when we are root

    def __init__(self, folder: Path, *, port: int = 0, tied: bool = True) -> None:
        self.folder = folder / self.name
        self.port = port or free_port()
        self.tied = tied
        self.log = self.folder / "log"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Return when it answers. Raises EngineFailed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._own(self.folder)
        self.prepare()
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [*self._as_user(), *self.command()], env=self.environment(), cwd=self.folder, stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        until = time.monotonic() + START_TIMEOUT
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > until:
                self.kill()
                raise EngineFailed(f"{self.name} did not start: {self.words()}")
            time.sleep(0.05)
        return self

    def stop(self) -> None:
        """Let it finish, and wait for its end."""
        if self.process is not None:
            self.process.send_signal(self.stop_signal())
            try:
                self.process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self.kill()
        self.process = None

    def kill(self) -> None:
        """SIGKILL to it and its children; port and data stay for the next start."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None

    def words(self) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return " | ".join(text.strip().splitlines()[-5:])

    # what an engine says of itself

    def prepare(self) -> None:
        """Make what the first start needs."""

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def ready(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, self.port), timeout=1):
            return True
        return False

    def stop_signal(self) -> signal.Signals:
        return signal.SIGTERM

    # inside

    def _secret(self, name: str = "password") -> str:
        """A password made once and kept beside the data."""
        file = self.folder / name
        if not file.exists():
            file.touch(0o600)
            file.write_text(secrets.token_hex(16))
            self._own(file)
        return file.read_text()

    def _other_user(self) -> bool:
        return bool(self.user) and os.geteuid() == 0

    def _own(self, path: Path) -> None:
        if self._other_user():
            entry = pwd.getpwnam(self.user)
            os.chown(path, entry.pw_uid, entry.pw_gid)

    def _as_user(self) -> list[str]:
        words = [program("setpriv")]
        if self._other_user():
            words += [f"--reuid={self.user}", f"--regid={self.user}", "--init-groups"]
        if self.tied:
            words += ["--pdeathsig", "KILL"]
        return words if len(words) > 1 else []

    def _run(self, *command: str, **variables: str) -> None:
        """A helper program as the engine's user. Raises EngineFailed with what it said."""
        done = subprocess.run(
            [*self._as_user(), *command], capture_output=True, text=True, env=self.environment() | variables,
            cwd=self.folder, timeout=START_TIMEOUT, check=False,
        )  # fmt: skip
        if done.returncode:
            raise EngineFailed(f"{self.name}: {Path(command[0]).name}: {(done.stderr or done.stdout).strip()}")


class RabbitMQ(Engine):
    """One node; `url` is amqp://. It needs a port mapper of its own, which lives and dies with it."""

    name = "rabbitmq"
    SBIN = "/usr/lib/rabbitmq/bin"

    def __init__(self, folder: Path, *, port: int = 0, tied: bool = True) -> None:
        super().__init__(folder, port=port, tied=tied)
        self.mapper_port, self.node_port = free_port(), free_port()
        self._mapper: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"amqp://kilonova:{self._secret()}@{LOOPBACK}:{self.port}/"

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
            "listeners.tcp.1": f"{LOOPBACK}:{self.port}", "default_user": "kilonova", "default_pass": self._secret(),
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
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
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


class PostgreSQL(Engine):
    """A server with a database for each name that `url` is asked for. `durable` waits for the disk at each commit, as
    production does; without it a crash of the process still loses nothing, one of the machine may."""

    name = "postgresql"
    user = "postgres"

    def __init__(self, folder: Path, *, port: int = 0, tied: bool = True, durable: bool = False) -> None:
        super().__init__(folder, port=port, tied=tied)
        self.durable = durable
        self.data = self.folder / "data"

    def url(self, database: str) -> str:
        """postgresql://…/database; the database is made when it is not there. The server must run."""
        if database not in self._databases():
            self._sql(f'CREATE DATABASE "{database}"')
        return self.url_template.format(service=database)

    @property
    def url_template(self) -> str:
        return f"postgresql://kilonova:{quote(self._secret())}@{LOOPBACK}:{self.port}/{{service}}"

    def prepare(self) -> None:
        (self.folder / "socket").mkdir(exist_ok=True)
        self._own(self.folder / "socket")
        self._secret()
        if not (self.data / "PG_VERSION").exists():
            self._run(
                self._binary("initdb"), "-D", str(self.data), "-U", "kilonova", "--auth=scram-sha-256", "--no-sync",
                "--pwfile", str(self.folder / "password"), "-E", "UTF8", "--locale=C.UTF-8",
            )  # fmt: skip
        (self.data / "postmaster.pid").unlink(missing_ok=True)  # of a killed one; the port would refuse a second

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": LOOPBACK, "port": str(self.port), "unix_socket_directories": str(self.folder / "socket"),
            "max_connections": "300", "shared_buffers": "64MB", "fsync": "on" if self.durable else "off",
        }  # fmt: skip
        words = [self._binary("postgres"), "-D", str(self.data)]
        return words + [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]

    def ready(self) -> bool:
        command = [self._binary("pg_isready"), "-q", "-h", LOOPBACK, "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def stop_signal(self) -> signal.Signals:
        return signal.SIGINT  # fast: open transactions are rolled back

    def _databases(self) -> list[str]:
        return self._sql("SELECT datname FROM pg_database").split()

    def _sql(self, statement: str) -> str:
        command = ["-h", LOOPBACK, "-p", str(self.port), "-U", "kilonova", "-d", "postgres", "-At", "-c", statement]
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
        return f"mysql://kilonova:{quote(self._secret())}@{LOOPBACK}:{self.port}/{{service}}"

    def prepare(self) -> None:
        data = self.folder / "data"
        if not (data / "mysql").exists():
            self._run(
                program("mariadb-install-db"), "--no-defaults", f"--datadir={data}", "--skip-test-db", "--skip-name-resolve",
                "--auth-root-authentication-method=socket",
            )  # fmt: skip
        init = self.folder / "init.sql"
        init.touch(0o600)
        init.write_text(
            f"CREATE USER IF NOT EXISTS kilonova@'{LOOPBACK}' IDENTIFIED BY '{self._secret()}';\n"
            f"GRANT ALL ON *.* TO kilonova@'{LOOPBACK}';\n"
        )
        self._own(init)

    def command(self) -> list[str]:
        return [
            program("mariadbd"), "--no-defaults", f"--datadir={self.folder / 'data'}", f"--port={self.port}",
            f"--bind-address={LOOPBACK}", f"--socket={self.folder / 'socket'}", f"--pid-file={self.folder / 'pid'}",
            f"--init-file={self.folder / 'init.sql'}", "--skip-name-resolve", "--max-connections=300",
            "--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=2", "--character-set-server=utf8mb4",
            "--collation-server=utf8mb4_bin",
        ]  # fmt: skip

    def ready(self) -> bool:
        return self._client("SELECT 1").returncode == 0

    def _sql(self, statement: str) -> None:
        done = self._client(statement)
        if done.returncode:
            raise EngineFailed(f"{self.name}: {statement}: {done.stderr.strip()}")

    def _client(self, statement: str) -> subprocess.CompletedProcess[str]:
        words = [
            "--no-defaults",
            "-h",
            LOOPBACK,
            "-P",
            str(self.port),
            "-u",
            "kilonova",
            "--connect-timeout=1",
            "-e",
            statement,
        ]
        return subprocess.run(
            [program("mariadb"), *words], env=os.environ | {"MYSQL_PWD": self._secret()}, capture_output=True, text=True,
            timeout=START_TIMEOUT, check=False,
        )  # fmt: skip


class Memcached(Engine):
    name = "memcached"
    user = "memcache"

    @property
    def url(self) -> str:
        return f"memcached://{LOOPBACK}:{self.port}"

    def command(self) -> list[str]:
        return [program("memcached"), "-l", LOOPBACK, "-p", str(self.port), "-U", "0", "-m", "64"]


class HAProxy(Engine):
    """`routes` maps a name to (port, back ends as host:port); a back end is in use while `GET /healthcheck` answers 200."""

    name = "haproxy"

    def __init__(
        self, folder: Path, routes: dict[str, tuple[int, list[str]]], *, tied: bool = True, check: str = "/healthcheck"
    ) -> None:
        super().__init__(folder, port=next(iter(routes.values()))[0], tied=tied)
        self.routes, self.check = routes, check

    def prepare(self) -> None:
        lines = [
            "defaults", "  mode http", "  timeout connect 2s", "  timeout client 10m", "  timeout server 10m",
            "  retries 2", "  option redispatch", f"  option httpchk GET {self.check}",
            "  default-server inter 500ms fall 2 rise 1",
        ]  # fmt: skip
        for name, (port, back_ends) in self.routes.items():
            lines += [f"listen {name}", f"  bind {LOOPBACK}:{port}", "  balance roundrobin"]
            lines += [f"  server {name}{n} {address} check" for n, address in enumerate(back_ends, 1)]
        (self.folder / "haproxy.cfg").write_text("\n".join(lines) + "\n")

    def command(self) -> list[str]:
        return [program("haproxy"), "-db", "-f", str(self.folder / "haproxy.cfg")]

"""Database URLs as operators write them: sqlite:///PATH, postgresql://…, mysql://…, with the same words for both servers.

Query parameters: `sslmode` (disable, require, verify-ca, verify-full) with `sslrootcert`, `sslcert`, `sslkey`; `pool_size` and
`max_overflow` (connections of one process); `connect_timeout` in seconds.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from kilonova.core.config import ConfigError

DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+asyncpg", "mysql": "mysql+asyncmy"}
OWN = ("sslmode", "sslrootcert", "sslcert", "sslkey", "pool_size", "max_overflow", "connect_timeout")
SSL_MODES = ("disable", "require", "verify-ca", "verify-full")
LOCK_WAIT = 10  # seconds for which a statement waits for others' locks
IDLE_LIMIT = 60  # seconds after which a server ends a transaction in which nothing happens: its process hangs


def default_url(state_dir: Path, service: str) -> str:
    """Of a service for which no other is configured."""
    return f"sqlite:///{state_dir / 'db' / service}.sqlite"


class Address:
    """A parsed URL: `url` with its driver, `options` for the engine. Raises ConfigError."""

    def __init__(self, text: str, name: str) -> None:
        try:
            parsed = make_url(text)
            self.kind = parsed.get_backend_name()
        except ArgumentError:
            raise ConfigError(f"[database] {name}: not a URL; write postgresql://USER:PASSWORD@HOST/NAME") from None
        if self.kind not in DRIVERS:
            raise ConfigError(f"[database] {name}: {self.kind}:// is not known; use sqlite, postgresql or mysql")
        self.name = name
        self._given = {key: str(value) for key, value in parsed.query.items() if key in OWN}
        self.url: URL = parsed.set(drivername=DRIVERS[self.kind]).difference_update_query(OWN)
        self.options: dict[str, Any] = {
            "pool_size": self._number("pool_size", 8), "max_overflow": self._number("max_overflow", 8),
        }  # fmt: skip
        if self.kind != "sqlite":
            self.options |= {"isolation_level": "READ COMMITTED", "connect_args": self._arguments()}

    def _arguments(self) -> dict[str, Any]:
        seconds = self._number("connect_timeout", 5)
        found: dict[str, Any] = {"ssl": context} if (context := self._tls()) is not None else {}
        if self.kind == "postgresql":
            settings = {
                "application_name": f"kilonova {self.name}", "timezone": "UTC", "jit": "off",
                "lock_timeout": f"{LOCK_WAIT}s", "idle_in_transaction_session_timeout": f"{IDLE_LIMIT}s",
                "tcp_keepalives_idle": "30", "tcp_keepalives_interval": "10", "tcp_keepalives_count": "3",
            }  # fmt: skip
            return found | {"timeout": seconds, "server_settings": settings}
        start = (
            "SET SESSION sql_mode='STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', time_zone='+00:00',"
            f" innodb_lock_wait_timeout={LOCK_WAIT}, idle_transaction_timeout={IDLE_LIMIT}"
        )
        return found | {"connect_timeout": seconds, "charset": "utf8mb4", "init_command": start}

    def _tls(self) -> ssl.SSLContext | bool | None:
        """None leaves it to the driver: PostgreSQL's tries TLS first, MariaDB's does without."""
        mode = self._given.get("sslmode")
        if mode is None or (mode == "disable" and self.kind == "mysql"):
            return None
        if mode not in SSL_MODES:
            raise ConfigError(f"[database] {self.name}: sslmode={mode}; use {', '.join(SSL_MODES)}")
        if mode == "disable":
            return False
        try:
            context = ssl.create_default_context(cafile=self._given.get("sslrootcert"))
            if "sslcert" in self._given:
                context.load_cert_chain(self._given["sslcert"], self._given.get("sslkey"))
        except OSError as error:
            raise ConfigError(f"[database] {self.name}: TLS files: {error}") from None
        context.check_hostname = mode == "verify-full"
        context.verify_mode = ssl.CERT_NONE if mode == "require" else ssl.CERT_REQUIRED
        return context

    def _number(self, key: str, default: int) -> int:
        text = self._given.get(key, str(default))
        if not text.isdecimal():
            raise ConfigError(f"[database] {self.name}: {key}={text} is not a number")
        return int(text)

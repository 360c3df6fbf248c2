"""`kilonova bootstrap` may be repeated, may run twice at once, and follows the endpoints."""

from __future__ import annotations

import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import asyncpg

from kilonova.bootstrap import CATALOG
from kilonova.testing.cluster import PASSWORD
from kilonova.testing.engines import PostgreSQL
from tests.process.serve.processes import Served, write_toml

ONCE = {
    "projects": "name", "users": "name", "roles": "name", "services": "type", "endpoints": "service_id || interface",
    "regions": "id", "assignments": "actor_id || target_id || role_id",
}  # fmt: skip


def settings(tmp_path: Path, url: str, **more: Any) -> Path:
    return write_toml(
        tmp_path / "kilonova.toml",
        {
            "database": {"identity": url},
            "cloud": {"state_dir": str(tmp_path / "state")} | more.pop("cloud", {}),
            "endpoints": {"identity": "http://10.0.0.10:5000/identity", "compute": "http://10.0.0.10:8774/compute"},
            "secrets": {"admin_password": PASSWORD, "service_password": PASSWORD} | more.pop("secrets", {}),
        },
    )


def run(tmp_path: Path, config: Path, *words: str, at_once: int = 1) -> list[str]:
    runs = [Served(tmp_path / f"log{n}", *words, "--config", str(config)) for n in range(at_once)]
    assert [(one.ended(), one.words()) for one in runs] == [(0, one.words()) for one in runs]
    return [one.words() for one in runs]


async def column(url: str, table: str, what: str) -> list[str]:
    connection = await asyncpg.connect(url)
    try:
        return [str(row[0]) for row in await connection.fetch(f"SELECT {what} FROM {table}")]
    finally:
        await connection.close()


async def test_bootstrapping_at_once_and_again(postgresql: PostgreSQL, tmp_path: Path) -> None:
    url = postgresql.url(f"boot_{uuid.uuid4().hex[:8]}")
    config = settings(tmp_path, url)
    run(tmp_path, config, "db", "upgrade", "identity")
    run(tmp_path, config, "bootstrap", at_once=3)
    for table, what in ONCE.items():
        found = Counter(await column(url, table, what))
        assert found, table
        assert max(found.values()) == 1, (table, found)
    assert "demo" not in await column(url, "users", "name")
    assert "http://10.0.0.10:8774/compute/v2.1" in await column(url, "endpoints", "url")
    assert not (tmp_path / "state" / "fernet-keys").exists()

    config = settings(
        tmp_path, url, cloud={"public_url": "https://cloud.example.org"}, secrets={"demo_password": PASSWORD}
    )
    run(tmp_path, config, "bootstrap")
    urls = await column(url, "endpoints", "interface || ' ' || url")
    assert len(urls) == 3 * len(CATALOG)
    assert "public https://cloud.example.org/compute/v2.1" in urls
    assert "internal http://10.0.0.10:8774/compute/v2.1" in urls
    assert sorted(await column(url, "users", "name")) == ["admin", "demo", "kilonova"]

    config = settings(tmp_path, url, secrets={"compute_password": PASSWORD})  # of a cloud that had no account for hosts
    run(tmp_path, config, "bootstrap", at_once=2)
    roles = "(SELECT r.name FROM roles r WHERE r.id = role_id)"
    names = f"(SELECT u.name FROM users u WHERE u.id = actor_id) || ' ' || {roles}"
    held = [row for row in await column(url, "assignments", names) if row.startswith("kilonova-compute ")]
    assert held == ["kilonova-compute service"]

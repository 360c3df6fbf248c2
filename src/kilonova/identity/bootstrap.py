"""The first records of a cloud: domain, projects, users, roles, region, catalog. Repeating it changes nothing but URLs."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from kilonova.core.db import Connection
from kilonova.core.db.retry import retried
from kilonova.identity.resources.base import Logic
from kilonova.identity.store.assignments import assignments
from kilonova.identity.store.catalog import endpoints, regions, services
from kilonova.identity.store.projects import projects
from kilonova.identity.store.roles import implied_roles, roles
from kilonova.identity.store.users import users

ROLES = ("admin", "manager", "member", "reader", "service")
IMPLIED = (("admin", "manager"), ("manager", "member"), ("member", "reader"))
PROJECTS = {"admin": "Bootstrap project for initializing the cloud.", "demo": "", "service": ""}
GRANTS = (  # user, target kind, target, role
    ("admin", "project", "admin", "admin"),
    ("admin", "system", "all", "admin"),
    ("admin", "domain", "", "admin"),
    ("demo", "project", "demo", "member"),
    ("kilonova", "project", "service", "admin"),
    ("kilonova", "project", "service", "service"),
    ("kilonova-compute", "project", "service", "service"),
)
SERVICE_USER, COMPUTE_USER, DEMO = "kilonova", "kilonova-compute", "demo"
OPTIONAL = (DEMO, COMPUTE_USER)  # made where there is a password for them
# wrong passwords from anywhere must not stop the cloud's own components
USER_OPTIONS = {
    SERVICE_USER: {"ignore_lockout_failure_attempts": True},
    # a host that was taken over must not lock out the others, which have the same password
    COMPUTE_USER: {"ignore_lockout_failure_attempts": True, "lock_password": True},
}


class CatalogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One service and its URLs. `internal` and `admin` default to `public`; URLs may hold `%(project_id)s`."""

    type: str
    name: str
    public: str
    internal: str | None = None
    admin: str | None = None
    region: str = "RegionOne"

    def urls(self) -> dict[str, str]:
        return {
            "public": self.public,
            "internal": self.internal or self.public,
            "admin": self.admin or self.internal or self.public,
        }


class Bootstrap(Logic):
    @retried
    async def bootstrap(
        self, admin_password: str, demo_password: str, service_password: str, endpoints: list[CatalogEntry],
        *, compute_password: str = "", reset_passwords: bool = False,
    ) -> None:  # fmt: skip
        """Passwords that exist stay, unless `reset_passwords`; they are hashed only where they are needed. Without a password
        for it there is no demo user and project, and no account for compute hosts. Several may do this at once."""
        wanted = {
            "admin": admin_password, DEMO: demo_password, SERVICE_USER: service_password, COMPUTE_USER: compute_password,
        }  # fmt: skip
        wanted = {name: password for name, password in wanted.items() if name not in OPTIONAL or password}
        async with self.database.reading() as connection:
            held = await users.find(connection, domain_id=self.options.default_domain_id, name=list(wanted))
        known = {user.name for user in held if user.password_hash}
        names = [name for name in wanted if reset_passwords or name not in known]
        made = await asyncio.gather(*(self.passwords.hash(wanted[name]) for name in names))
        hashes = dict(zip(names, made, strict=True))
        void = None
        async with self.database.transaction() as tx:
            await self._domain(tx.connection)
            project_ids = await self._projects(
                tx.connection, [name for name in PROJECTS if name != DEMO or demo_password]
            )
            role_ids = await self._roles(tx.connection)
            user_ids = await self._users(tx.connection, hashes, project_ids)
            if reset_passwords:
                reset = [row.id for row in held]
                subjects = [f"user:{user_id}" for user_id in reset]
                void = await self.revocations.record(tx.connection, *subjects, user_ids=reset)
            await self._grants(tx.connection, user_ids, project_ids, role_ids)
            await self._catalog(tx.connection, endpoints)
        await self.revocations.publish(void)
        await self.catalog.changed()

    async def _domain(self, connection: Connection) -> None:
        """Also takes its row, or makes it: another process that does this waits until we have finished."""
        domain_id = self.options.default_domain_id
        await projects.change(connection, {"is_domain": True}, id=domain_id)
        if await projects.get(connection, id=domain_id) is None:
            await projects.add(
                connection,
                _project(domain_id, "Default", "The default domain") | {"is_domain": True, "domain_id": ""},
            )

    async def _projects(self, connection: Connection, wanted: list[str]) -> dict[str, str]:
        domain_id = self.options.default_domain_id
        found = {row.name: row.id for row in await projects.find(connection, domain_id=domain_id)}
        fresh = {name: self.clock.hex_id() for name in wanted if name not in found}
        rows: list[dict[str, Any]] = [
            _project(project_id, name, PROJECTS[name]) | {"domain_id": domain_id, "parent_id": domain_id}
            for name, project_id in fresh.items()
        ]
        await projects.add(connection, *rows)
        return found | fresh

    async def _roles(self, connection: Connection) -> dict[str, str]:
        found = {row.name: row.id for row in await roles.find(connection, domain_id="")}
        fresh = {name: self.clock.hex_id() for name in ROLES if name not in found}
        rows: list[dict[str, Any]] = [
            {"id": i, "name": n, "domain_id": "", "description": None, "extra": {}, "options": {}}
            for n, i in fresh.items()
        ]
        await roles.add(connection, *rows)
        ids = found | fresh
        implied = {(row.prior_id, row.implied_id) for row in await implied_roles.find(connection)}
        pairs = [(ids[prior], ids[follows]) for prior, follows in IMPLIED if prior in fresh or follows in fresh]
        missing = [{"prior_id": p, "implied_id": i} for p, i in pairs if (p, i) not in implied]
        await implied_roles.add(connection, *missing)
        return ids

    async def _users(
        self, connection: Connection, hashes: dict[str, str], project_ids: dict[str, str]
    ) -> dict[str, str]:
        domain_id = self.options.default_domain_id
        names = ["admin", SERVICE_USER, *OPTIONAL]
        held = await users.find(connection, domain_id=domain_id, name=names)
        found = {row.name: row.id for row in held}
        for row in held:
            if row.options is None and row.name in USER_OPTIONS:  # made before there were any
                await users.change(connection, {"options": USER_OPTIONS[row.name]}, id=row.id)
        rows: list[dict[str, Any]] = []
        for name, password_hash in hashes.items():
            if name in found:
                await users.change(connection, {"password_hash": password_hash}, id=found[name])
                continue
            found[name] = self.clock.hex_id()
            rows.append(
                {"id": found[name], "name": name, "domain_id": domain_id, "enabled": True, "extra": {},
                 "default_project_id": None, "password_hash": password_hash, "options": USER_OPTIONS.get(name, {})}
            )  # fmt: skip
        await users.add(connection, *rows)
        return found

    async def _grants(
        self, connection: Connection, user_ids: dict[str, str], project_ids: dict[str, str], role_ids: dict[str, str]
    ) -> None:
        targets = project_ids | {"all": "all", "": self.options.default_domain_id}
        rows = [
            {"actor_kind": "user", "actor_id": user_ids[user], "target_kind": kind, "target_id": targets[target],
             "role_id": role_ids[role], "inherited": False}
            for user, kind, target, role in GRANTS
            if user in user_ids and target in targets
        ]  # fmt: skip
        columns = [column.name for column in assignments.table.columns]
        found = await assignments.find(connection, actor_id=list(user_ids.values()))
        held = {tuple(getattr(row, name) for name in columns) for row in found}
        missing = [row for row in rows if tuple(row[name] for name in columns) not in held]
        await assignments.add(connection, *missing)

    async def _catalog(self, connection: Connection, entries: list[CatalogEntry]) -> None:
        known_regions = {row.id for row in await regions.find(connection)}
        names = dict.fromkeys(entry.region for entry in entries if entry.region not in known_regions)
        blank: dict[str, Any] = {"parent_region_id": None, "description": "", "extra": {}}
        await regions.add(connection, *({"id": name} | blank for name in names))
        known = {(row.type, row.name): row.id for row in await services.find(connection)}
        fresh: list[dict[str, Any]] = []
        for entry in entries:
            if (entry.type, entry.name) not in known:
                known[entry.type, entry.name] = self.clock.hex_id()
                fresh.append({"id": known[entry.type, entry.name], "type": entry.type, "name": entry.name,
                              "description": None, "enabled": True, "extra": {}})  # fmt: skip
        await services.add(connection, *fresh)
        held = {(row.service_id, row.region_id, row.interface): row for row in await endpoints.find(connection)}
        added: list[dict[str, Any]] = []
        for entry in entries:
            for interface, url in entry.urls().items():
                key = (known[entry.type, entry.name], entry.region, interface)
                if key not in held:
                    added.append({"id": self.clock.hex_id(), "service_id": key[0], "region_id": key[1],
                                  "interface": interface, "url": url, "enabled": True, "extra": {}})  # fmt: skip
                elif held[key].url != url:
                    await endpoints.change(connection, {"url": url}, id=held[key].id)
        await endpoints.add(connection, *added)


def _project(project_id: str, name: str, description: str) -> dict[str, Any]:
    return {"id": project_id, "name": name, "parent_id": None, "is_domain": False, "enabled": True,
            "description": description, "tags": [], "extra": {}, "options": {}}  # fmt: skip

"""A cloud in this process with one of everything in it, the callers that ask for it, and a look at whether anything changed."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import re
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from kilonova.cloud import Cloud
from kilonova.compute.actions.registry import ACTIONS
from kilonova.core.service import WebService
from kilonova.core.web.app import Route
from kilonova.core.web.transport import AsgiTransport
from kilonova.settings import load
from tests.eventually import PATIENCE, eventually
from tests.process.attack.volumes import VOLUME_ACTIONS
from tests.support import Answer, Client

T = TypeVar("T")
PASSWORD = "an-attack-secret"
NOWHERE = "5f0c7f0e-0000-4000-8000-000000000000"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJqxv0g0r1QpN0kTn9QXkYx0xg4r1oB2k3i6h3c5l0aZ"
CALLERS = (
    "nobody", "garbage", "expired", "unscoped", "foreign", "domain-reader", "system-reader", "reader", "service", "restricted",
    "member", "domain-admin", "system-admin", "admin",
)  # fmt: skip
"""From the least rights to the most. The project `owned` has all things; `reader`, `restricted` (an application credential of
`member`'s) and `member` are of it; `foreign` is a member of another one. Not in the table: `chief`, an admin in `owned`."""
BESIDE = {"last_seen", "updated_at", "seen_at", "heartbeat_timestamp", "stats", "configurations", "reported_at"}
"""Columns that agents write all the time."""
BUSY = "SELECT (SELECT count(*) FROM servers WHERE deleted = 0 AND (task_state IS NOT NULL OR vm_state = 'building')) \
    + (SELECT count(*) FROM migrations WHERE status = 'confirming' OR status = 'finished' AND NOT EXISTS (SELECT * FROM servers \
    WHERE uuid = server_uuid AND deleted = 0 AND vm_state NOT IN ('active', 'stopped'))) + (SELECT count(*) FROM outbox)"
"""What is still going on: moves are ended by the conductor's round, where the user's word is no longer awaited."""
BUSY_VOLUMES = "SELECT (SELECT count(*) FROM tasks) + (SELECT count(*) FROM outbox)"
VERSIONS = {"placement": "1.39", "volume": "3.71"}
"""The microversion of requests, where it is not compute's."""
BESIDE_TABLES = ("outbox", "alembic", "sqlite_", "revocation", "login_failures")


class Place(msgspec.Struct, frozen=True):
    """A route of a service. `action` is the one key of the body for a path that does many things."""

    service: str
    route: Route
    action: str = ""

    @property
    def name(self) -> str:
        path = re.sub(r"\{(\w+):\w+\}", r"{\1}", self.route.path)
        return f"{self.service} {self.route.method} {path} {self.action}".rstrip()

    @property
    def key(self) -> tuple[str, str, str]:
        """(service, method, path with `*` for each parameter), as the table of bodies has it."""
        return self.service, self.route.method, re.sub(r"\{\w+:\w+\}", "*", self.route.path)

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """(parameter, the word before it in the path: what it names)."""
        return [(one, what) for what, one in re.findall(r"(?:([\w.-]+)/)?(\{\w+:\w+\})", self.route.path)]

    @property
    def writes(self) -> bool:
        return self.route.method not in ("GET", "HEAD")


class World:
    """`world.ask("member", "GET", "/compute/v2.1/servers")`; `world.id("servers")` is one that is there now."""

    def __init__(self, folder: Path) -> None:
        overrides: dict[str, Any] = {
            "cloud": {"state_dir": str(folder), "fake_hosts": 2},
            "agent": {"driver": "fake", "stop_grace": 0.0},
            "secrets": {"admin_password": PASSWORD, "demo_password": PASSWORD},
            "volume": {
                "quotas": {"volumes": -1, "backups": -1, "backup_gigabytes": -1, "snapshots": -1, "gigabytes": -1}
            },
        }
        self.folder, self.runner = folder, asyncio.Runner()
        self.cloud = self.run(self._start(overrides))
        self.client = Client(AsgiTransport(self.cloud.app))
        self.numbers = itertools.count()
        self.tokens: dict[str, str | None] = {"nobody": None, "garbage": "gAAAAABnonsense"}
        self.known: dict[str, str] = {}
        self._populate()
        self._read: dict[str, Any] = {}
        self._databases = {path.stem: sqlite3.connect(path) for path in folder.glob("**/*.sqlite")}

    async def _start(self, overrides: dict[str, Any]) -> Cloud:
        cloud = Cloud(load(None, overrides=overrides, env={}), env={})
        await cloud.start()
        return cloud

    def close(self) -> None:
        for database in self._databases.values():
            database.close()
        self.run(self.cloud.stop())
        self.runner.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(asyncio.wait_for(work, PATIENCE))

    @property
    def places(self) -> list[Place]:
        """Every route of every service, and every action of a server."""
        found = []
        for service in self.cloud.services:
            for route in service.routes if isinstance(service, WebService) else ():  # type: ignore[attr-defined]
                found.append(Place(service.prefix[1:], route))
                if route.path == "/v2.1/servers/{server_id:str}/action":
                    found += [Place("compute", route, action.wire) for action in ACTIONS if action.wire]
                if route.path == "/v3/volumes/{volume_id:str}/action":
                    found += [Place("volume", route, name) for name in VOLUME_ACTIONS]
        return found

    # ---- requests

    def ask(
        self, caller: str, method: str, path: str, body: Any = None, *, content: bytes | None = None, **headers: str
    ) -> Answer:
        service = path.split("/")[1]
        version = VERSIONS.get(service) or headers.pop("version", "2.90")
        headers.pop("version", None)
        sent = {"accept": "application/json", "openstack-api-version": f"{service} {version}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        if content is not None:
            sent.setdefault("content-type", "application/json")
        work = self.client(method, path, token=self.tokens[caller], json=body, content=content or b"", headers=sent)
        return self.run(work)

    def ok(self, caller: str, method: str, path: str, body: Any = None, **headers: str) -> Any:
        answer = self.ask(caller, method, path, body, **headers)
        assert answer.status < 300, f"{caller}: {method} {path}: {answer.status} {answer.content!r}"
        return answer.json if answer.content else None

    def port(self) -> str:
        """One that nothing uses."""
        port = {"network_id": self.id("network", "networks")}
        return str(self.ok("member", "POST", "/network/v2.0/ports", {"port": port})["port"]["id"])

    def fresh(self, word: str = "thing") -> str:
        return f"{word}-{next(self.numbers)}"

    def path(self, place: Place) -> str:
        """The place's path, its parameters filled with what is there (an id of nothing for what can't be made)."""
        path = place.route.path
        for parameter, what in place.parameters:
            path = path.replace(parameter, self.id(place.service, what, parameter), 1)
        return f"/{place.service}{path}"

    def id(self, service: str, what: str, parameter: str = "") -> str:
        maker = MAKERS.get((service, what))
        if maker is None:
            return WORDS.get(what, NOWHERE if "id" in parameter else "word")
        known = self.known.get(f"{service} {what}")
        if known is None:
            known = self.known[f"{service} {what}"] = str(maker(self))
        return known

    def forget(self, place: Place) -> None:
        """What the path names may have been changed or removed: it is made anew when it is needed."""
        self.known.clear()
        if "quota" in place.route.path:
            self._unlimited()

    # ---- state

    def quiet(self) -> dict[str, list[Any]]:
        """The rows, once what was asked for has been done."""
        seen = self.rows()

        def at_rest() -> bool:
            nonlocal seen
            self.run(asyncio.sleep(0.003))
            before, seen = seen, self.rows()
            busy = self._databases["compute"].execute(BUSY), self._databases["volume"].execute(BUSY_VOLUMES)
            return before == seen and not any(answer.fetchone()[0] for answer in busy)

        eventually(at_rest, "the cloud does not come to rest", pause=0)
        return seen

    def rows(self) -> dict[str, list[Any]]:
        """All rows of all tables, but for what the cloud writes by itself."""
        found: dict[str, list[Any]] = {}
        for name, base in self._databases.items():
            version = base.execute("PRAGMA data_version").fetchone()[0]  # another one after another connection's commit
            if self._read.get(name, (None,))[0] != version:
                self._read[name] = version, dict(self._tables(name, base))
            found |= self._read[name][1]
        return found

    def changed(self, before: dict[str, list[Any]]) -> str:
        """What is not as it was: tables, and the rows that came and went."""
        after, changes = self.rows(), []
        for table in before.keys() | after.keys():
            old, new = set(before.get(table, ())), set(after.get(table, ()))
            if old != new:
                changes.append(f"{table} -{sorted(old - new)} +{sorted(new - old)}")
        return "; ".join(changes)

    def _tables(self, name: str, base: sqlite3.Connection) -> Iterator[tuple[str, list[Any]]]:
        for (table,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            if not any(word in table for word in BESIDE_TABLES):
                cursor = base.execute(f'SELECT * FROM "{table}"')
                kept = [i for i, column in enumerate(cursor.description) if column[0] not in BESIDE]
                yield f"{name}.{table}", sorted(repr([row[i] for i in kept]) for row in cursor)

    # ---- callers

    def _login(self, auth: dict[str, Any]) -> str:
        answer = self.ask("nobody", "POST", "/identity/v3/auth/tokens", {"auth": auth})
        assert answer.status == 201, answer.content
        return answer.headers["x-subject-token"]

    def _password(self, user: str, scope: Any) -> str:
        known = {"user": {"name": user, "domain": {"id": "default"}, "password": PASSWORD}}
        return self._login({"identity": {"methods": ["password"], "password": known}, "scope": scope})

    def _populate(self) -> None:
        self.tokens["admin"] = self._password("admin", {"project": {"name": "admin", "domain": {"id": "default"}}})
        self.roles = {role["name"]: role["id"] for role in self.ok("admin", "GET", "/identity/v3/roles")["roles"]}
        self.projects = {name: self._project(name) for name in ("owned", "elsewhere", "services")}
        scopes: dict[str, Any] = {
            "foreign": self.projects["elsewhere"], "reader": self.projects["owned"], "member": self.projects["owned"],
            "service": self.projects["services"], "domain-reader": "domain", "domain-admin": "domain",
            "system-reader": "system", "system-admin": "system", "unscoped": "unscoped",
        }  # fmt: skip
        self.users = {}
        for caller, scope in scopes.items():
            role = {"foreign": "member", "unscoped": ""}.get(caller, caller.rpartition("-")[2])
            self.users[caller] = self._user(caller)
            self.tokens[caller] = self._scoped(caller, role, scope)
        self.tokens["expired"], ends = self._expired()
        self._unlimited()
        self.users["chief"] = self._user("chief")
        self.tokens["chief"] = self._scoped("chief", "admin", self.projects["owned"])
        for caller in ("admin", "foreign", "member"):  # the first look makes a project's default group
            self.ok(caller, "GET", "/network/v2.0/security-groups")
        self.ok("admin", "GET", "/ops/verify")  # looks with the account of the components, whose project has one too
        self.tokens["restricted"] = self._application_credential({})
        left = (ends - self.cloud.core.clock.now()).total_seconds()
        self.run(asyncio.sleep(max(left, 0) + 0.1))

    def _project(self, name: str) -> str:
        return str(self.ok("admin", "POST", "/identity/v3/projects", {"project": {"name": name}})["project"]["id"])

    def _user(self, name: str) -> str:
        wanted = {"user": {"name": name, "password": PASSWORD}}
        return str(self.ok("admin", "POST", "/identity/v3/users", wanted)["user"]["id"])

    def _scoped(self, caller: str, role: str, scope: str) -> str:
        where = {"domain": "domains/default", "system": "system"}.get(scope, f"projects/{scope}")
        if role:
            grant = f"/identity/v3/{where}/users/{self.users[caller]}/roles/{self.roles[role]}"
            self.ok("admin", "PUT", grant)
        named = {"domain": {"domain": {"id": "default"}}, "system": {"system": {"all": True}}, "unscoped": "unscoped"}
        return self._password(caller, named.get(scope, {"project": {"id": scope}}))

    def _application_credential(self, fields: dict[str, Any]) -> str:
        path = f"/identity/v3/users/{self.users['member']}/application_credentials"
        wanted = {"application_credential": {"name": self.fresh("credential"), "secret": PASSWORD} | fields}
        made = self.ok("member", "POST", path, wanted)["application_credential"]
        known = {"id": made["id"], "secret": PASSWORD}
        return self._login({"identity": {"methods": ["application_credential"], "application_credential": known}})

    def _expired(self) -> tuple[str, dt.datetime]:
        """A token that ends with its application credential, and when."""
        ends = self.cloud.core.clock.now().replace(microsecond=0) + dt.timedelta(seconds=6)
        return self._application_credential({"expires_at": f"{ends:%Y-%m-%dT%H:%M:%SZ}"}), ends

    def _unlimited(self) -> None:
        project = self.projects["owned"]
        quotas = {"quota_set": dict.fromkeys(("cores", "ram", "key_pairs", "server_groups"), -1) | {"instances": 200}}
        self.ok("admin", "PUT", f"/compute/v2.1/os-quota-sets/{project}", quotas)
        kinds = ("network", "subnet", "port", "security_group", "security_group_rule", "router", "floatingip",
                 "rbac_policy", "trunk")  # fmt: skip
        self.ok("admin", "PUT", f"/network/v2.0/quotas/{project}", {"quota": dict.fromkeys(kinds, -1)})

    def server_now(self, server: str) -> dict[str, Any]:
        """The server, once nothing is done to it."""

        async def settled() -> dict[str, Any]:
            while True:
                path = f"/compute/v2.1/servers/{server}"
                found = (await self.client("GET", path, token=self.tokens["admin"])).json["server"]
                if found["status"] != "BUILD" and not found["OS-EXT-STS:task_state"]:
                    return dict(found)
                await asyncio.sleep(0.01)

        return self.run(settled())


Maker = Callable[[World], str]


def made(path: str, body: Callable[[World], dict[str, Any]], caller: str = "member", key: str = "id") -> Maker:
    """Posts the body and gives the id of what came to be."""

    def make(world: World) -> str:
        answer = world.ok(caller, "POST", path, body(world))
        inner = next(iter(answer.values())) if "id" not in answer else answer
        return str(inner[key])

    return make


def _server(world: World) -> str:
    wanted = {"name": world.fresh(), "flavorRef": "1", "imageRef": world.id("image", "images"), "networks": "none"}
    wanted |= {"metadata": {"word": "x"}, "tags": ["word"]}
    server = str(world.ok("member", "POST", "/compute/v2.1/servers", {"server": wanted})["server"]["id"])
    assert world.server_now(server)["status"] == "ACTIVE"
    return server


def _volume(world: World) -> str:
    wanted = {"size": 1, "name": world.fresh(), "metadata": {"word": "x"}}
    volume = str(world.ok("member", "POST", "/volume/v3/volumes", {"volume": wanted})["volume"]["id"])
    world.quiet()
    return volume


def _volume_snapshot(world: World) -> str:
    wanted = {"volume_id": world.id("volume", "volumes"), "metadata": {"word": "x"}}
    snapshot = str(world.ok("member", "POST", "/volume/v3/snapshots", {"snapshot": wanted})["snapshot"]["id"])
    world.quiet()
    return snapshot


def made_and_done(path: str, body: Callable[[World], dict[str, Any]]) -> Maker:
    """As `made`, of what a back end has to make."""
    make = made(path, body)

    def make_it(world: World) -> str:
        key = make(world)
        world.quiet()
        return key

    return make_it


def _transfer(world: World) -> str:
    wanted = {"transfer": {"volume_id": _volume(world)}}
    return str(world.ok("member", "POST", "/volume/v3/os-volume-transfer", wanted)["transfer"]["id"])


def _attachment(world: World) -> str:
    wanted = {"attachment": {"volume_uuid": _volume(world), "instance_uuid": None, "connector": {"host": "h"}}}
    return str(world.ok("member", "POST", "/volume/v3/attachments", wanted)["attachment"]["id"])


def _image(world: World) -> str:
    wanted = {"name": world.fresh(), "disk_format": "raw", "container_format": "bare", "tags": ["word"]}
    image = str(world.ok("member", "POST", "/image/v2/images", wanted)["id"])
    answer = world.ask(
        "member", "PUT", f"/image/v2/images/{image}/file", content=b"\0" * 512, content_type="application/octet-stream"
    )
    assert answer.status == 204, answer.content
    return image


def _key_pair(world: World) -> str:
    name = world.fresh("key")
    world.ok("member", "POST", "/compute/v2.1/os-keypairs", {"keypair": {"name": name, "public_key": KEY}})
    return name


def _external(world: World) -> str:
    project = world.projects["services"]  # its RBAC policy counts there
    wanted = {"network": {"name": world.fresh(), "router:external": True, "project_id": project}}
    network = str(world.ok("admin", "POST", "/network/v2.0/networks", wanted)["network"]["id"])
    subnet = {"network_id": network, "cidr": "198.51.100.0/24", "ip_version": 4}
    world.ok("admin", "POST", "/network/v2.0/subnets", {"subnet": subnet})
    return network


def _inside(world: World) -> str:
    """A port with the address 10.66.0.9, behind a router of the external network."""
    network = world.ok("member", "POST", "/network/v2.0/networks", {"network": {}})["network"]["id"]
    subnet = {"network_id": network, "cidr": "10.66.0.0/24", "ip_version": 4}
    subnet_id = world.ok("member", "POST", "/network/v2.0/subnets", {"subnet": subnet})["subnet"]["id"]
    router = {"external_gateway_info": {"network_id": world.id("network", "external")}}
    router_id = world.ok("member", "POST", "/network/v2.0/routers", {"router": router})["router"]["id"]
    world.ok("member", "PUT", f"/network/v2.0/routers/{router_id}/add_router_interface", {"subnet_id": subnet_id})
    port = {"network_id": network, "fixed_ips": [{"ip_address": "10.66.0.9"}]}
    return str(world.ok("member", "POST", "/network/v2.0/ports", {"port": port})["port"]["id"])


def _trunk(world: World) -> str:
    trunk = {"port_id": world.port()}
    return str(world.ok("member", "POST", "/network/v2.0/trunks", {"trunk": trunk})["trunk"]["id"])


def _port_forwarding(world: World) -> str:
    wanted = {"protocol": "tcp", "external_port": 1000, "internal_port": 80, "internal_ip_address": "10.66.0.9"}
    wanted["internal_port_id"] = world.id("network", "inside")
    path = f"/network/v2.0/floatingips/{world.id('network', 'floatingips')}/port_forwardings"
    return str(world.ok("member", "POST", path, {"port_forwarding": wanted})["port_forwarding"]["id"])


QOS_RULES = {
    "bandwidth_limit_rule": {"max_kbps": 1000},
    "packet_rate_limit_rule": {"max_kpps": 1},
    "dscp_marking_rule": {"dscp_mark": 8},
}


def _qos_rule(noun: str) -> Maker:
    """In the policy that there is, which has at most one: a request before may have made it."""

    def make(world: World) -> str:
        path = f"/network/v2.0/qos/policies/{world.id('network', 'policies')}/{noun}s"
        held = world.ok("chief", "GET", path)[f"{noun}s"]
        return str(held[0]["id"]) if held else made(path, lambda _: {noun: QOS_RULES[noun]}, "chief")(world)

    return make


def _provider(world: World) -> str:
    found = world.ok("admin", "POST", "/placement/resource_providers", {"name": world.fresh()})
    return str(found["uuid"])


def _member(world: World) -> str:
    image, project = world.id("image", "images"), world.projects["services"]
    world.ask("member", "PATCH", f"/image/v2/images/{image}", [{"op": "replace", "path": "/visibility", "value": "shared"}],
              content_type="application/openstack-images-v2.1-json-patch")  # fmt: skip
    world.ask("member", "POST", f"/image/v2/images/{image}/members", {"member": project})
    return project


def _named(noun: str, **more: Any) -> Callable[[World], dict[str, Any]]:
    return lambda world: {noun: {"name": world.fresh()} | more}


V3 = "/identity/v3"
MAKERS: dict[tuple[str, str], Maker] = {
    ("identity", "projects"): made(f"{V3}/projects", _named("project", tags=["word"]), "admin"),
    ("identity", "domains"): made(f"{V3}/domains", _named("domain", enabled=False), "admin"),
    ("identity", "users"): made(f"{V3}/users", _named("user", password=PASSWORD), "admin"),
    ("identity", "groups"): made(f"{V3}/groups", _named("group"), "admin"),
    ("identity", "roles"): made(f"{V3}/roles", _named("role"), "admin"),
    ("identity", "implies"): made(f"{V3}/roles", _named("role"), "admin"),
    ("identity", "regions"): made(f"{V3}/regions", lambda world: {"region": {}}, "admin"),
    ("identity", "services"): made(f"{V3}/services", _named("service", type="x"), "admin"),
    ("identity", "endpoints"): made(
        f"{V3}/endpoints",
        lambda w: {"endpoint": {"service_id": w.id("identity", "services"), "interface": "public", "url": "http://x"}},
        "admin",
    ),
    ("identity", "credentials"): made(
        f"{V3}/credentials",
        lambda w: {"credential": {"type": "cert", "blob": "x", "user_id": w.users["member"]}},
    ),
    ("image", "images"): _image,
    ("image", "members"): _member,
    ("network", "networks"): made("/network/v2.0/networks", _named("network")),
    ("network", "subnets"): made(
        "/network/v2.0/subnets",
        lambda w: {
            "subnet": {
                "network_id": w.ok("member", "POST", "/network/v2.0/networks", {"network": {}})["network"]["id"],
                "cidr": "10.1.0.0/24", "ip_version": 4,
            }
        },
    ),
    ("network", "ports"): made(
        "/network/v2.0/ports", lambda w: {"port": {"network_id": w.id("network", "networks")}}
    ),
    ("network", "network-ip-availabilities"): lambda w: w.id("network", "networks"),
    ("network", "security-groups"): made("/network/v2.0/security-groups", _named("security_group")),
    ("network", "security-group-rules"): made(
        "/network/v2.0/security-group-rules",
        lambda w: {
            "security_group_rule": {
                "security_group_id": w.id("network", "security-groups"), "direction": "ingress", "protocol": "tcp",
                "port_range_min": next(w.numbers) % 60000 + 1, "port_range_max": 65000,
            }
        },
    ),
    ("network", "default-security-group-rules"): made(
        "/network/v2.0/default-security-group-rules",
        lambda w: {
            "default_security_group_rule": {
                "direction": "ingress", "protocol": "tcp", "port_range_min": next(w.numbers) % 60000 + 1, "port_range_max": 65000,
                "used_in_default_sg": False, "used_in_non_default_sg": False,
            }
        },
        "admin",
    ),
    ("network", "quotas"): lambda w: w.projects["owned"],
    ("network", "external"): _external,
    ("network", "routers"): made("/network/v2.0/routers", _named("router")),
    ("network", "floatingips"): made(
        "/network/v2.0/floatingips", lambda w: {"floatingip": {"floating_network_id": w.id("network", "external")}}
    ),
    ("network", "rbac-policies"): made(
        "/network/v2.0/rbac-policies",
        lambda w: {
            "rbac_policy": {
                "object_type": "network", "object_id": w.id("network", "networks"), "action": "access_as_shared",
                "target_project": w.projects["services"],
            }
        },
    ),
    ("network", "address-groups"): made(
        "/network/v2.0/address-groups", _named("address_group", addresses=["10.3.0.0/24"])
    ),
    ("network", "address-scopes"): made(
        "/network/v2.0/address-scopes", _named("address_scope", ip_version=4)
    ),
    ("network", "trunks"): _trunk,
    ("network", "metering-labels"): made(
        "/network/v2.0/metering/metering-labels", _named("metering_label"), "chief"
    ),
    ("network", "metering-label-rules"): made(
        "/network/v2.0/metering/metering-label-rules",
        lambda w: {
            "metering_label_rule": {
                "metering_label_id": w.id("network", "metering-labels"), "direction": "egress",
                "source_ip_prefix": "10.3.0.0/24",
            }
        },
        "chief",
    ),
    ("network", "flavors"): made("/network/v2.0/flavors", _named("flavor", service_type="FLAVORS"), "admin"),
    ("network", "service_profiles"): made(
        "/network/v2.0/service_profiles", lambda w: {"service_profile": {"metainfo": "x"}}, "admin"
    ),
    ("network", "subnetpools"): made(
        "/network/v2.0/subnetpools", _named("subnetpool", prefixes=["10.8.0.0/16"])
    ),
    ("network", "policies"): made("/network/v2.0/qos/policies", _named("policy"), "chief"),
    **{("network", f"{first}{noun}s"): _qos_rule(noun) for noun in QOS_RULES for first in ("", "alias_")},
    ("network", "rule-types"): lambda w: "bandwidth_limit",
    ("network", "auto-allocated-topology"): lambda w: w.projects["owned"],
    ("network", "inside"): _inside,
    ("network", "port_forwardings"): _port_forwarding,
    ("compute", "servers"): _server,
    ("compute", "os-keypairs"): _key_pair,
    ("compute", "flavors"): made(
        "/compute/v2.1/flavors",
        lambda w: {"flavor": {"name": w.fresh(), "ram": 64, "vcpus": 1, "disk": 1, "os-flavor-access:is_public": False}},
        "admin",
    ),
    ("compute", "os-aggregates"): made("/compute/v2.1/os-aggregates", _named("aggregate"), "admin"),
    ("compute", "os-server-groups"): made(
        "/compute/v2.1/os-server-groups", _named("server_group", policy="affinity")
    ),
    ("compute", "os-security-groups"): lambda w: w.id("network", "security-groups"),
    ("compute", "os-security-group-rules"): lambda w: w.id("network", "security-group-rules"),
    ("compute", "os-floating-ips"): lambda w: w.id("network", "floatingips"),
    ("compute", "images"): lambda w: w.id("image", "images"),
    ("compute", "os-networks"): lambda w: w.id("network", "networks"),
    ("compute", "os-tenant-networks"): lambda w: w.id("network", "networks"),
    ("compute", "os-quota-sets"): lambda w: w.projects["owned"],
    ("compute", "os-simple-tenant-usage"): lambda w: w.projects["owned"],
    ("placement", "resource_providers"): _provider,
    ("volume", "volumes"): _volume,
    ("volume", "snapshots"): _volume_snapshot,
    ("volume", "attachments"): _attachment,
    ("volume", "types"): made(
        "/volume/v3/types",
        lambda w: {"volume_type": {"name": w.fresh(), "os-volume-type-access:is_public": False, "extra_specs": {"word": "x"}}},
        "admin",
    ),
    ("volume", "qos-specs"): made("/volume/v3/qos-specs", lambda w: {"qos_specs": {"name": w.fresh(), "word": "x"}}, "admin"),
    ("volume", "backups"): made_and_done("/volume/v3/backups", lambda w: {"backup": {"volume_id": _volume(w)}}),
    ("volume", "os-volume-transfer"): _transfer,
    ("volume", "volume-transfers"): _transfer,
    ("volume", "os-hosts"): lambda w: w.ok("admin", "GET", "/volume/v3/scheduler-stats/get_pools")["pools"][0]["name"],
    ("volume", "default-types"): lambda w: w.projects["owned"],
    ("volume", "os-quota-sets"): lambda w: w.projects["owned"],
    ("volume", "capabilities"): lambda w: w.ok("admin", "GET", "/volume/v3/scheduler-stats/get_pools")["pools"][0]["name"],
}  # fmt: skip
"""(service, the word before a path's parameter) → makes one that `member`'s project owns, or a cloud-wide one."""
WORDS = {
    "tags": "word",
    "metadata": "word",
    "extra_specs": "word",
    "os-services": "enable",
    "os-extra_specs": "hw:cpu_policy",
    "extensions": "agent",
}
PRIVATE = {
    ("compute", what)
    for what in (
        "servers", "os-keypairs", "os-server-groups", "os-security-groups", "os-quota-sets", "os-floating-ips",
        "os-networks", "os-tenant-networks", "images",
    )
} | {
    ("network", what)
    for what in (
        "networks", "subnets", "ports", "security-groups", "security-group-rules", "quotas", "routers", "floatingips",
        "rbac-policies", "address-groups", "address-scopes", "subnetpools", "policies",
    )
} | {
    ("volume", what) for what in ("volumes", "snapshots", "attachments", "os-quota-sets", "volume-transfers", "backups")
} | {("image", "images"), ("identity", "users"), ("identity", "projects"), ("identity", "credentials")}  # fmt: skip
"""What a stranger has no right on, not even to see."""

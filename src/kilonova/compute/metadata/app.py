"""The metadata service: answers the network agents' proxies, which have identified the server that asks.

The proxy names the server and its project and signs both; a request without a right signature learns nothing.
"""

from __future__ import annotations

import hmac
import re
from pathlib import Path
from typing import NamedTuple

import msgspec

from kilonova.compute.guest_facts import facts_of
from kilonova.compute.metadata import tokens
from kilonova.compute.metadata.lookup import answer
from kilonova.compute.models import ServerBuild, TaggedVolume
from kilonova.compute.store import block_devices, request_specs, servers
from kilonova.compute.store.builds import build_of
from kilonova.compute.store.migrations import destinations
from kilonova.core import errors
from kilonova.core.cache import LocalCache
from kilonova.core.db import Connection, Database, retried
from kilonova.core.grants import HEADER, METADATA
from kilonova.core.service import Core
from kilonova.core.web.app import Route, build_app
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.errors import image_format
from kilonova.network.agent.metadata_signature import (
    HOST,
    INSTANCE_ID,
    SIGNATURE,
    TENANT_ID,
    host_secret,
    sign_instance,
)

CACHE_SECONDS = 5.0
PASSWORD = re.compile(r"/?openstack/[^/]+/password")
PASSWORD_BYTES = 1020  # as upstream


class Known(NamedTuple):
    """What one look into the database has found of a server."""

    build: ServerBuild
    volumes: list[TaggedVolume]


class MetadataService:
    prefix = "/metadata"

    def __init__(self, core: Core, database: Database, secret: str, *, domain: str = "novalocal") -> None:
        self.database, self._secret, self._domain = database, secret, domain
        self._grants, self._clock = core.grants, core.clock
        self._tokens = tokens.MetadataTokens(secret, core.clock)
        self._cache: LocalCache[Known] = LocalCache(size=1000, ttl=CACHE_SECONDS)
        web = msgspec.structs.replace(core.web("metadata", image_format, core.policy("metadata", {})), documented=False)
        self.routes = [
            Route("GET", "/", self.show, public=True, summary="List the versions of the metadata."),
            Route(
                "GET",
                "/{path:path}",
                self.show,
                public=True,
                summary="Show one of the server's facts, or list those below.",
            ),
            Route(
                "POST",
                "/{path:path}",
                self.leave,
                status=200,
                public=True,
                body=bytes,
                summary="Leave the guest's password.",
            ),
            Route(
                "PUT",
                "/{path:path}",
                self.token,
                public=True,
                reply=bytes,
                summary="Get a token for further requests.",
            ),
        ]
        self.app = build_app(web, self.routes)

    async def start(self) -> None:
        return None

    async def stop(self) -> None:
        return None

    async def show(self, call: Call, path: Path = Path("/")) -> Reply:
        build, volumes = await self._known(call)
        self._tokens.check(build.server, call.headers.get(tokens.TOKEN))
        facts = facts_of(build, build.server.network_info, volumes, domain=self._domain)
        if PASSWORD.fullmatch(str(path)):
            return Reply((build.spec.guest_password or "").encode(), content_type="text/plain")
        content = answer(facts, str(path))
        if content is None:
            raise errors.NotFound
        return Reply(content, content_type="application/json" if str(path).endswith(".json") else _kind(content))

    async def token(self, call: Call, path: Path) -> Reply:
        if str(path).strip("/") != tokens.PATH:
            raise errors.MethodNotAllowed
        server = (await self._known(call)).build.server
        text, life = self._tokens.make(server, call.headers.get(tokens.LIFE, ""))
        return Reply(
            text.encode(), headers={tokens.LIFE: str(life)} | tokens.hop_limit(server), content_type="text/plain"
        )

    async def leave(self, call: Call, path: Path) -> Reply:
        """What a guest leaves stays: it must be cleared by its user before there is another one."""
        if not PASSWORD.fullmatch(str(path)):
            raise errors.MethodNotAllowed
        build, _ = await self._known(call)
        given = b"".join([piece async for piece in call.stream(PASSWORD_BYTES)])
        try:
            await self._keep(build.server.uuid, given.decode())
        except UnicodeDecodeError:
            raise errors.BadRequest("The password is no text.") from None
        return Reply()

    @retried
    async def _keep(self, server_id: str, password: str) -> None:
        async with self.database.transaction() as tx:
            if await servers.get(tx.connection, server_id, lock=True) is None:
                raise errors.NotFound
            spec = await request_specs.get(tx.connection, server_id)
            if spec is None:
                raise errors.NotFound
            if spec.guest_password:
                raise errors.Conflict("The password was left already.")
            spec.guest_password = password
            await request_specs.save(tx.connection, server_id, spec)

    def _prove(self, call: Call) -> tuple[str, str, str]:
        """(server uuid, project id, host) that the proxy signed; raises Forbidden. Proxies that have the cloud's own secret,
        as those of older releases, name no host."""
        host = call.headers.get(HOST.lower(), "")
        secret = host_secret(self._secret, host) if host else self._secret
        server_id, project_id = call.headers.get(INSTANCE_ID.lower(), ""), call.headers.get(TENANT_ID.lower(), "")
        given = call.headers.get(SIGNATURE.lower(), "")
        if not hmac.compare_digest(given.encode(), sign_instance(secret, server_id, project_id).encode()):
            raise errors.Forbidden("Invalid proxy request signature.")
        return server_id, project_id, host

    async def _known(self, call: Call) -> Known:
        """A guest reads many paths at its boot: they are answered from one look into the database."""
        server_id, project_id, host = self._prove(call)
        known = self._cache.get((server_id, host))
        if known is None:
            async with self.database.reading() as connection:
                build = await build_of(connection, server_id)
                if build is None or not (self._granted(call, server_id, host) or await _is_on(connection, build, host)):
                    raise errors.NotFound
                known = Known(build, await block_devices.tagged(connection, server_id) if build.spec.volumes else [])
            self._cache.set((server_id, host), known)
        if known.build.server.project_id != project_id:
            raise errors.NotFound
        return known

    def _granted(self, call: Call, server_id: str, host: str) -> bool:
        """Whether the host has the server's router, as the network service says."""
        grant = self._grants.read(call.headers.get(HEADER, ""), self._clock.now().timestamp(), METADATA)
        return grant is not None and grant.fresh and (grant.server, grant.host) == (server_id, host)


async def _is_on(connection: Connection, build: ServerBuild, host: str) -> bool:
    """Whether the server is on the host that asks, or is being brought up there."""
    if host in ("", build.server.host):
        return True
    return (await destinations(connection, [build.server.uuid])).get(build.server.uuid) == host


def _kind(content: bytes) -> str:
    """Of what users gave: a script is text (its charset comes with the reply), a compressed one is not."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return "application/octet-stream"
    return "application/octet-stream" if b"\0" in content else "text/plain"

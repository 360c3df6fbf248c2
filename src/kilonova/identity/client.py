"""The interface to identity for other services: validation of callers' tokens, lookups. The token of a component's own is in
service_account.py."""

from __future__ import annotations

import asyncio
import hashlib

import msgspec

from kilonova.core import errors
from kilonova.core.bus import Bus, MemoryBus
from kilonova.core.cache import Cache, LocalCache
from kilonova.core.clock import Clock, parse_iso
from kilonova.core.context import RequestContext
from kilonova.core.service import Core
from kilonova.core.web.client import ServiceClient, TokenSource, refusal
from kilonova.core.web.transport import Transport
from kilonova.core.web.wire import View
from kilonova.identity.interface import REVOCATION_EPOCH, IdentityEvents, RevocationList, Revoked
from kilonova.identity.resources.auth.schemas import TokenReply, TokenView
from kilonova.identity.revocation_log import RevocationLog
from kilonova.identity.signatures import Signed

SERVICE_ROLE = "service"


class _Proof(msgspec.Struct, frozen=True, array_like=True):
    """A token's owner as identity answered. `generation` is that of the revocations we knew before we asked, `until` the
    time (epoch seconds) until which it may be cached."""

    context: RequestContext
    audit_ids: tuple[str, ...]
    generation: int
    until: float


class RemoteAuthenticator(IdentityEvents):
    """An Authenticator (see core/web/auth) that asks identity and remembers the answer: a valid token for `ttl` seconds and
    never past its end, here and in a cache that is shared with other processes; an invalid one for `negative_ttl`, here.
    Callers with one token share one question. A revocation counts at once; see RevocationLog for how, and
    docs/explanation/caching.md for when it can't. `lease` is how long, in seconds,
    this process trusts the bus and the shared cache alone."""

    def __init__(
        self, identity_url: str, transport: Transport, tokens: TokenSource, clock: Clock, *, cache: Cache | None = None,
        ttl: float = 30, negative_ttl: float = 1, lease: float = 5, size: int = 20_000,
    ) -> None:  # fmt: skip
        self._http = ServiceClient(identity_url, transport, tokens)
        self._clock, self._ttl = clock, ttl
        self._shared = cache if cache is not None and cache.shared else None
        self._log = RevocationLog(self._revocations, self._shared, clock, lease=lease, keep=ttl + 60, size=size)
        self._known: LocalCache[_Proof] = LocalCache(size=size, ttl=ttl)
        self._unknown: LocalCache[int] = LocalCache(size=size, ttl=negative_ttl)
        self._asking: dict[tuple[bytes, int], asyncio.Task[RequestContext | None]] = {}

    async def listen(self, bus: Bus, *, host: str) -> None:
        """`host` must differ between the authenticators of one cloud."""
        if isinstance(bus, MemoryBus):
            self._log.lease = float("inf")  # it loses nothing
        await bus.serve(IdentityEvents, self, host=host)

    async def revoked(self, ctx: RequestContext, what: Revoked) -> None:
        self._log.receive(what)

    async def authenticate(self, token: str) -> RequestContext | None:
        """Raises ServiceUnavailable when identity can't be asked."""
        key = hashlib.sha256(token.encode(errors="surrogatepass")).digest()
        proof, epoch = await self._remembered(key)
        settled = await self._log.settle(epoch)
        proof = proof or self._known.get(key)  # that of an earlier caller
        if settled and proof is not None and self._holds(proof):
            return proof.context
        if settled and self._unknown.get(key) == self._log.generation:
            return None  # and what could make it valid is an event too
        place = (key, self._log.generation)  # an answer on its way is not for callers after a revocation
        asking = self._asking.get(place)
        if asking is None:
            asking = self._asking[place] = asyncio.ensure_future(self._ask(key, token))
            asking.add_done_callback(lambda _: self._asking.pop(place))
        return await asyncio.shield(asking)

    async def _remembered(self, key: bytes) -> tuple[_Proof | None, bytes | None]:
        """(what is known of a token, the shared cache's epoch)."""
        proof = self._known.get(key)
        if self._shared is None:
            return proof, None
        name = _name(key)
        found = await self._shared.get_many([REVOCATION_EPOCH] if proof is not None else [REVOCATION_EPOCH, name])
        if name in found:
            try:
                proof = msgspec.msgpack.decode(found[name], type=_Proof)
            except msgspec.DecodeError:  # of another release
                return None, found.get(REVOCATION_EPOCH)
            self._known.set(key, proof)
        return proof, found.get(REVOCATION_EPOCH)

    def _holds(self, proof: _Proof) -> bool:
        if self._now() >= proof.until:
            return False
        names = (*proof.audit_ids, proof.context.user_id, proof.context.project_id)
        return not self._log.voids(proof.generation, names)

    def _now(self) -> float:
        return self._clock.now().timestamp()

    async def _ask(self, key: bytes, token: str) -> RequestContext | None:
        asked, generation = self._now(), self._log.generation
        view = await self._validate(token)
        if view is None:
            self._unknown.set(key, generation)
            return None
        context = context_of(view)
        until = min(asked + self._ttl, parse_iso(view.expires_at).timestamp())
        proof = _Proof(context, tuple(view.audit_ids), generation, until)
        self._known.set(key, proof)
        if self._shared is not None:
            await self._shared.set(_name(key), msgspec.msgpack.encode(proof), until - asked)
        return context

    async def _revocations(self, after: int) -> RevocationList:
        return await self._http.get(f"/v3/OS-KILONOVA/revocations?after={after}", RevocationList, own=True)

    async def _validate(self, token: str) -> TokenView | None:
        if not token.isascii() or not token.isprintable():
            return None
        headers = {"x-subject-token": token, "accept": "application/json"}
        async with self._http.open("GET", "/v3/auth/tokens?nocatalog", own=True, headers=headers) as answer:
            data = await answer.read()
        if answer.status == 404:
            return None
        if answer.status in (401, 403):
            raise errors.ServiceUnavailable(reason="identity refuses this service's own account")
        if answer.status != 200:
            raise refusal(answer.status, data)
        return msgspec.json.decode(data, type=TokenReply).token


def _name(key: bytes) -> str:
    """A token's name in the shared cache: never the token."""
    return "token/" + key.hex()


def context_of(view: TokenView) -> RequestContext:
    """The caller that a token's description names."""
    project = view.project if isinstance(view.project, msgspec.Struct) else None
    domain = view.domain if isinstance(view.domain, msgspec.Struct) else None
    roles = tuple(role.name or "" for role in view.roles) if isinstance(view.roles, list) else ()
    return RequestContext(
        request_id="",
        user_id=view.user.id,
        user_name=view.user.name,
        user_domain_id=view.user.domain.id,
        project_id=project.id if project else None,
        project_name=project.name if project else None,
        project_domain_id=project.domain.id if project else None,
        domain_id=domain.id if domain else None,
        system_scope="all" if isinstance(view.system, dict) else None,
        roles=roles,
        expires_at=view.expires_at,
        is_service=SERVICE_ROLE in roles,
    )


class HeaderLogin:
    """The login of the first clients, by `X-Auth-User`, `X-Auth-Key` and `X-Auth-Project-Id`, for services that offer it at
    their own URL."""

    def __init__(self, core: Core) -> None:
        self._http = ServiceClient(core.endpoints["identity"], core.transport, None)
        self._authenticator = core.authenticator

    async def login(self, headers: dict[str, str]) -> tuple[str, RequestContext]:
        """(the token, whose it is); raises Unauthorized."""
        _, answered = await self._http.request("GET", "/v1.1", headers=headers)
        token = answered["x-auth-token"]
        owner = await self._authenticator.authenticate(token)
        if owner is None:
            raise errors.Unauthorized
        return token, owner


class Project(View):
    id: str
    name: str
    domain_id: str | None = None
    enabled: bool = True


class User(View):
    id: str
    name: str
    domain_id: str
    enabled: bool = True


class Ec2Credential(View):
    """Whose an EC2 access key is, and the secret that its requests are signed with. `roles` are all that its requests may have
    (None: the user's on the project): those of the application credential that made it."""

    access: str
    secret: str
    user_id: str
    project_id: str
    roles: list[str] | None = None


class _Credential(View):
    user_id: str
    project_id: str
    blob: str


class _CredentialReply(View):
    credential: _Credential


class _Keys(View):
    access: str
    secret: str
    app_cred_id: str | None = None


class _Role(View):
    name: str


class _ApplicationCredential(View):
    roles: list[_Role]
    expires_at: str | None = None


class _ApplicationCredentialReply(View):
    application_credential: _ApplicationCredential


class _Project(View):
    project: Project


class _Projects(View):
    projects: list[Project]


class _User(View):
    user: User


class IdentityClient:
    """Lookups on the component's own account, or on a caller's behalf with its context."""

    def __init__(self, core: Core) -> None:
        self._http, self._clock = core.client("identity", "/v3"), core.clock

    async def project(self, project_id: str, *, ctx: RequestContext | None = None) -> Project:
        return (await self._http.get(f"/projects/{project_id}", _Project, ctx=ctx)).project

    async def projects(self) -> list[Project]:
        return (await self._http.get("/projects", _Projects)).projects

    async def ec2_credential(self, access: str) -> Ec2Credential:
        """Raises NotFound for an unknown key, and for one whose application credential is gone or has expired."""
        credential_id = hashlib.sha256(access.encode(errors="surrogatepass")).hexdigest()
        found = (await self._http.get(f"/credentials/{credential_id}", _CredentialReply)).credential
        keys, roles = msgspec.json.decode(found.blob, type=_Keys), None
        if keys.app_cred_id is not None:
            path = f"/users/{found.user_id}/application_credentials/{keys.app_cred_id}"
            maker = (await self._http.get(path, _ApplicationCredentialReply)).application_credential
            if maker.expires_at is not None and parse_iso(maker.expires_at) <= self._clock.now():
                raise errors.NotFound
            roles = [role.name for role in maker.roles]
        return Ec2Credential(
            access=keys.access, secret=keys.secret, user_id=found.user_id, project_id=found.project_id, roles=roles
        )

    async def user(self, user_id: str, *, ctx: RequestContext | None = None) -> User:
        return (await self._http.get(f"/users/{user_id}", _User, ctx=ctx)).user


async def signed_login(http: ServiceClient, signed: Signed) -> RequestContext:
    """The caller that an EC2 request's signature names, with a token. `http` has the account of the service that received the
    request. Raises Unauthorized."""
    data, headers = await http.request("POST", "/v3/ec2tokens?nocatalog", body={"credentials": signed}, own=True)
    view = msgspec.json.decode(data, type=TokenReply).token
    return msgspec.structs.replace(context_of(view), token=headers["x-subject-token"])

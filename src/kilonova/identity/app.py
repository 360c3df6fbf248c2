"""The route table of identity, and the service around it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from kilonova.core.periodic import Repeated
from kilonova.core.service import Core
from kilonova.core.web.app import Route, build_app
from kilonova.core.web.errors import identity_format
from kilonova.identity import policies
from kilonova.identity.bootstrap import Bootstrap, CatalogEntry
from kilonova.identity.catalog_cache import CatalogCache
from kilonova.identity.flush import flush
from kilonova.identity.keys import KeyRepository
from kilonova.identity.logins.lockout import Lockout
from kilonova.identity.logins.passwords import Passwords
from kilonova.identity.options import IdentityOptions
from kilonova.identity.resources import versions
from kilonova.identity.resources.application_credentials.logic import ApplicationCredentialLogic
from kilonova.identity.resources.assignments.handlers import Assignments, RoleAssignments
from kilonova.identity.resources.assignments.logic import AssignmentLogic
from kilonova.identity.resources.auth.handlers import Auth, sources
from kilonova.identity.resources.auth.logic import AuthLogic
from kilonova.identity.resources.base import Deps
from kilonova.identity.resources.catalog.handlers import Endpoints, Regions, Services
from kilonova.identity.resources.catalog.logic import EndpointLogic, RegionLogic, ServiceLogic
from kilonova.identity.resources.credentials.handlers import ApplicationCredentials, Credentials
from kilonova.identity.resources.credentials.logic import CredentialLogic
from kilonova.identity.resources.legacy_auth.handlers import V1, V2
from kilonova.identity.resources.projects.handlers import Domains, Projects
from kilonova.identity.resources.projects.logic import ProjectLogic
from kilonova.identity.resources.revocation_events import RevocationEvents
from kilonova.identity.resources.roles.handlers import Roles
from kilonova.identity.resources.roles.logic import RoleLogic
from kilonova.identity.resources.users.handlers import Groups, Users
from kilonova.identity.resources.users.logic import GroupLogic, UserLogic
from kilonova.identity.tables import metadata
from kilonova.identity.tokens.authenticator import LocalAuthenticator
from kilonova.identity.tokens.lifecycle import TokenLogic
from kilonova.identity.tokens.providers import FernetProvider, TokenProvider, UuidProvider
from kilonova.identity.tokens.revocation import Revocations
from kilonova.identity.web.guard import guarded

MIGRATIONS = Path(__file__).parent / "migrations"


def login_routes(auth: Auth, v2: V2, v1: V1) -> list[Route]:
    t = "/v3/auth/tokens"
    return [
        Route("GET", "/", versions.versions, public=True, status=300),
        Route("GET", "/v3", versions.v3, public=True),
        Route("GET", "/v2.0", versions.v2, public=True),
        Route("POST", t, auth.login, public=True, status=201),
        Route("GET", t, auth.show, "identity:validate_token"),
        Route("HEAD", t, auth.check, "identity:check_token"),
        Route("DELETE", t, auth.revoke, "identity:revoke_token", 204),
        Route("GET", "/v3/auth/catalog", auth.catalog, "identity:get_auth_catalog"),
        Route("GET", "/v3/auth/projects", auth.my_projects, "identity:get_auth_projects"),
        Route("GET", "/v3/auth/domains", auth.my_domains, "identity:get_auth_domains"),
        Route("GET", "/v3/auth/system", auth.my_system, "identity:get_auth_system"),
        Route("POST", "/v2.0/tokens", v2.login, public=True),
        # only callers that may see any token may name one here: the subject is not read before the check
        Route("GET", "/v2.0/tokens/{token_id:str}", v2.show, "identity:validate_token_v2"),
        Route("GET", "/v2.0/tenants", v2.tenants, "identity:get_auth_projects"),
        *[Route("GET", path, v1.login, public=True, status=204) for path in ("/v1", "/v1.0", "/v1.1")],
    ]


def crud(path: str, noun: str, key: str, api: Any) -> list[Route]:
    """The five routes of a noun; `api` has list, create, show, update, delete."""
    one, plural = f"{path}/{{{key}:str}}", path.rsplit("/", 1)[1]
    return [
        Route("GET", path, api.list, f"identity:list_{plural}"),
        Route("POST", path, api.create, f"identity:create_{noun}", 201),
        Route("GET", one, api.show, f"identity:get_{noun}"),
        Route("PATCH", one, api.update, f"identity:update_{noun}"),
        Route("DELETE", one, api.delete, f"identity:delete_{noun}", 204),
    ]


def user_routes(users: Users, groups: Groups) -> list[Route]:
    user, group = "/v3/users/{user_id:str}", "/v3/groups/{group_id:str}"
    member = group + "/users/{user_id:str}"
    return [
        *crud("/v3/users", "user", "user_id", users),
        Route("POST", user + "/password", users.change_password, public=True, status=204),  # the old one proves it
        Route("GET", user + "/projects", users.projects, "identity:list_user_projects"),
        Route("GET", user + "/groups", users.groups, "identity:list_groups_for_user"),
        Route("GET", user + "/access_rules", users.access_rules, "identity:list_access_rules"),
        *crud("/v3/groups", "group", "group_id", groups),
        Route("GET", group + "/users", groups.members, "identity:list_users_in_group"),
        Route("PUT", member, groups.add_member, "identity:add_user_to_group", 204),
        Route("GET", member, groups.check_member, "identity:check_user_in_group", 204),
        Route("HEAD", member, groups.check_member, "identity:check_user_in_group", 204),
        Route("DELETE", member, groups.remove_member, "identity:remove_user_from_group", 204),
    ]


def project_routes(projects: Projects, domains: Domains) -> list[Route]:
    tags = "/v3/projects/{project_id:str}/tags"
    tag = tags + "/{value:str}"
    return [
        *crud("/v3/projects", "project", "project_id", projects),
        Route("GET", tags, projects.tags, "identity:list_project_tags"),
        Route("PUT", tags, projects.set_tags, "identity:update_project_tags"),
        Route("DELETE", tags, projects.clear_tags, "identity:delete_project_tags", 204),
        Route("GET", tag, projects.check_tag, "identity:get_project_tag", 204),
        Route("PUT", tag, projects.add_tag, "identity:create_project_tag", 201),
        Route("DELETE", tag, projects.remove_tag, "identity:delete_project_tag", 204),
        *crud("/v3/domains", "domain", "domain_id", domains),
    ]


def role_routes(roles: Roles, listing: RoleAssignments) -> list[Route]:
    implies = "/v3/roles/{prior_role_id:str}/implies"
    pair = implies + "/{implied_role_id:str}"
    return [
        *crud("/v3/roles", "role", "role_id", roles),
        Route("GET", implies, roles.implied, "identity:list_implied_roles"),
        Route("PUT", pair, roles.imply, "identity:create_implied_role", 201),
        Route("GET", pair, roles.show_implied, "identity:get_implied_role"),
        Route("HEAD", pair, roles.check_implied, "identity:check_implied_role", 204),
        Route("DELETE", pair, roles.stop_implying, "identity:delete_implied_role", 204),
        Route("GET", "/v3/role_inferences", roles.inferences, "identity:list_role_inference_rules"),
        Route("GET", "/v3/role_assignments", listing.list, "identity:list_role_assignments"),
    ]


def grant_routes(logic: AssignmentLogic) -> list[Route]:
    """`/TARGET/ACTOR/roles[/ROLE]` for every pair, and the inherited ones of projects and domains."""
    made: list[Route] = []
    for actor in ("user", "group"):
        for target in ("project", "domain", "system"):
            where = "system" if target == "system" else f"{target}s/{{{target}_id:str}}"
            path = f"{where}/{actor}s/{{{actor}_id:str}}/roles"
            rules = [f"{verb}_system_grant{plural}_for_{actor}" for verb, plural in SYSTEM_VERBS]
            if target != "system":
                rules = ["list_grants", "check_grant", "create_grant", "revoke_grant"]
            api = Assignments(logic, actor=actor, target=target)
            made += _grants(api, f"/v3/{path}", f"/v3/{path}/{{role_id:str}}", rules)
            if target != "system":
                api = Assignments(logic, actor=actor, target=target, inherited=True)
                base, tail = f"/v3/OS-INHERIT/{path}", "/inherited_to_projects"
                made += _grants(api, base + tail, f"{base}/{{role_id:str}}{tail}", rules)
    return made


SYSTEM_VERBS = (("list", "s"), ("check", ""), ("create", ""), ("revoke", ""))


def _grants(api: Assignments, several: str, one: str, rules: list[str]) -> list[Route]:
    listing, check, create, revoke = (f"identity:{rule}" for rule in rules)
    return [
        Route("GET", several, api.list, listing),
        Route("GET", one, api.check, check, 204),
        Route("HEAD", one, api.check, check, 204),
        Route("PUT", one, api.grant, create, 204),
        Route("DELETE", one, api.revoke, revoke, 204),
    ]


def catalog_routes(regions: Regions, services: Services, endpoints: Endpoints) -> list[Route]:
    return [
        *crud("/v3/regions", "region", "region_id", regions),
        Route("PUT", "/v3/regions/{region_id:str}", regions.create, "identity:create_region", 201),
        *crud("/v3/services", "service", "service_id", services),
        *crud("/v3/endpoints", "endpoint", "endpoint_id", endpoints),
    ]


def credential_routes(application: ApplicationCredentials, other: Credentials) -> list[Route]:
    mine = "/v3/users/{user_id:str}/application_credentials"
    ec2 = "/v3/users/{user_id:str}/credentials/OS-EC2"
    one, noun = mine + "/{application_credential_id:str}", "application_credential"
    return [
        Route("GET", mine, application.list, f"identity:list_{noun}s"),
        Route("POST", mine, application.create, f"identity:create_{noun}", 201),
        Route("GET", one, application.show, f"identity:get_{noun}"),
        Route("DELETE", one, application.delete, f"identity:delete_{noun}", 204),
        Route("GET", ec2, other.list_ec2, "identity:ec2_list_credentials"),
        Route("POST", ec2, other.create_ec2, "identity:ec2_create_credential", 201),
        Route("GET", ec2 + "/{credential_id:str}", other.show_ec2, "identity:ec2_get_credential"),
        Route("DELETE", ec2 + "/{credential_id:str}", other.delete_ec2, "identity:ec2_delete_credential", 204),
        *crud("/v3/credentials", "credential", "credential_id", other),
    ]


class IdentityService:
    """`tokens`, `authenticator` and `bootstrap` are for the process that holds identity."""

    prefix = "/identity"

    def __init__(self, core: Core, options: IdentityOptions | None = None) -> None:
        self.options = options = options or IdentityOptions()
        self.core = core
        self.database = core.database("identity", metadata)
        self._keys = KeyRepository(
            Path(options.key_dir or core.state_dir / "fernet-keys"), core.clock, max_active=options.max_active_keys
        )
        folder = Path(options.credential_key_dir or core.state_dir / "credential-keys")
        self._credential_keys = KeyRepository(folder, core.clock, max_active=options.max_active_keys)
        provider: TokenProvider = FernetProvider(self._keys)
        if options.token_provider == "uuid":  # noqa: S105
            provider = UuidProvider(self.database, core.clock)
        self._revocations = revocations = Revocations(core.clock, core.bus, core.cache, options)
        self.passwords, self.lockout = Passwords(options), Lockout(self.database, core.clock, options)
        catalog = CatalogCache(core.cache, core.clock)
        deps = Deps(self.database, core.clock, options, revocations, self.passwords, catalog)
        self.tokens = TokenLogic(self.database, core.clock, options, provider, revocations, catalog)
        self.authenticator = LocalAuthenticator(self.tokens)
        self._bootstrap = Bootstrap(deps)
        self._flushes = Repeated("token flush", core.clock, options.flush_interval, self.flush)
        policy = core.policy("identity", policies.RULES)
        web = core.web("identity", identity_format, policy, authenticator=self.authenticator)
        self.routes = [guarded(route) for route in self._routes(deps)]
        self.app = build_app(msgspec.structs.replace(web, default_policy_check=False), self.routes)

    def _routes(self, deps: Deps) -> list[Route]:
        logins = AuthLogic(self.database, self.tokens, self.passwords, self.lockout)
        projects, source_of = ProjectLogic(deps), sources(deps.options.proxies)
        domain_id = deps.options.default_domain_id
        assignments = AssignmentLogic(deps)
        credentials = CredentialLogic(deps, self._credential_keys)
        return [
            *login_routes(
                Auth(logins, self.tokens, projects, source_of),
                V2(logins, self.tokens, projects, domain_id, source_of),
                V1(logins, projects, domain_id, source_of),
            ),
            *user_routes(Users(UserLogic(deps), projects, logins, source_of), Groups(GroupLogic(deps))),
            *project_routes(Projects(projects), Domains(projects)),
            *role_routes(Roles(RoleLogic(deps)), RoleAssignments(assignments, projects)),
            *grant_routes(assignments),
            *catalog_routes(Regions(RegionLogic(deps)), Services(ServiceLogic(deps)), Endpoints(EndpointLogic(deps))),
            Route(
                "GET",
                "/v3/OS-KILONOVA/revocations",
                RevocationEvents(self._revocations, self.database).list,
                "identity:list_revoke_events",
            ),
            *credential_routes(
                ApplicationCredentials(ApplicationCredentialLogic(deps), self.tokens),
                Credentials(credentials, self.tokens),
            ),
        ]

    async def start(self) -> None:
        await self.core.settle(self.database, MIGRATIONS)
        if self.options.flush_interval:
            self._flushes.start()
        await asyncio.gather(
            asyncio.to_thread(self._keys.create),
            asyncio.to_thread(self._credential_keys.create),
            self.passwords.prepare(),
        )

    async def stop(self) -> None:
        await self._flushes.stop()
        await self.database.close()

    async def flush(self) -> None:
        """Remove what has expired."""
        await flush(self.database, self.core.clock)

    def rotate_keys(self) -> int:
        """Seal tokens with the next Fernet key from now on; its number. Rotate at most `max_active_keys` - 2 times within
        a token's life, or tokens die before their time."""
        return self._keys.rotate()

    async def bootstrap(
        self, admin_password: str, demo_password: str, service_password: str, endpoints: list[CatalogEntry],
        *, compute_password: str = "", reset_passwords: bool = False,
    ) -> None:  # fmt: skip
        """Make the cloud's first records; see bootstrap.py. Only in a migrated database."""
        await self._bootstrap.bootstrap(
            admin_password, demo_password, service_password, endpoints,
            compute_password=compute_password, reset_passwords=reset_passwords,
        )  # fmt: skip

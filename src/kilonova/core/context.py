"""The user, project and id of a request. Travels with every call, over HTTP and over the bus."""

from __future__ import annotations

import msgspec

from kilonova.core.grants import Grant

HOST_ROLES = ("service",)


class RequestContext(msgspec.Struct, frozen=True, kw_only=True):
    """The caller as the identity service authenticated it. Times are ISO text; `token` never reaches logs (see core/log).
    `sender` is set by the bus alone (core/bus/senders.py): the compute host that sent the message, None for the control plane.
    `grant` is what a host's account may do in this request (core/grants.py), set by core/web/app.py alone."""

    request_id: str
    user_id: str | None = None
    user_name: str | None = None
    user_domain_id: str | None = None
    project_id: str | None = None
    project_name: str | None = None
    project_domain_id: str | None = None
    domain_id: str | None = None  # domain scope
    system_scope: str | None = None  # "all" for system scope
    roles: tuple[str, ...] = ()
    token: str | None = None
    expires_at: str | None = None
    is_service: bool = False  # a Kilonova component acting on its own account
    global_request_id: str | None = None
    sender: str | None = None
    grant: Grant | None = None

    @property
    def is_admin(self) -> bool:
        return "admin" in self.roles

    @property
    def is_host(self) -> bool:
        """A compute host's account: it may do what its grant covers, and nothing else."""
        return self.roles == HOST_ROLES

    def credentials(self) -> dict[str, object]:
        """The names that policy rules use."""
        return {
            "user_id": self.user_id,
            "project_id": self.project_id,
            "tenant_id": self.project_id,
            "domain_id": self.domain_id,
            "user_domain_id": self.user_domain_id,
            "project_domain_id": self.project_domain_id,
            "system_scope": self.system_scope,
            "roles": list(self.roles),
            "service_roles": ["service"] if self.is_service else [],
            "is_admin": self.is_admin,
            "granted": self.grant is not None,
        }


def service_context(request_id: str) -> RequestContext:
    """A component acting for itself: reconcilers, recoveries."""
    return RequestContext(request_id=request_id, is_service=True, roles=("admin", "service"))

"""What upstream has below a server and this release has not: answered with 501, after its policy."""

from __future__ import annotations

from typing import Literal, NamedTuple

from kilonova.compute.errors import NotBuiltYet
from kilonova.compute.policy_checks import MEMBER, READER
from kilonova.compute.resources.base import Deps, R, Resource
from kilonova.compute.resources.servers.below import SERVER, below_server
from kilonova.core.web.app import Handler, Route
from kilonova.core.web.call import Call, Reply

SHARES = f"{R}:os-server-shares"
RULES = {
    f"{SHARES}:index": READER,
    f"{SHARES}:create": MEMBER,
    f"{SHARES}:show": READER,
    f"{SHARES}:delete": MEMBER,
}
"""Of those that have no other routes yet."""


class Planned(NamedTuple):
    """`path` below the server's; `what` begins the sentence that says that it is missing; `since` is a microversion."""

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    rule: str
    what: str
    since: str | None = None


NOT_BUILT = (
    Planned("GET", "/shares", f"{SHARES}:index", "The list of a server's shares", "2.97"),
    Planned("POST", "/shares", f"{SHARES}:create", "Attaching a share", "2.97"),
    Planned("GET", "/shares/{share_id:str}", f"{SHARES}:show", "A server's share", "2.97"),
    Planned("DELETE", "/shares/{share_id:str}", f"{SHARES}:delete", "Detaching a share", "2.97"),
)  # fmt: skip


def routes(deps: Deps) -> list[Route]:
    return below_server(
        deps,
        *(
            Route(
                one.method, SERVER + one.path, _answer(one.what), one.rule, since=one.since,
                summary=f"{one.what}: not available yet, 501.",
            )
            for one in NOT_BUILT
        ),
    )  # fmt: skip


def _answer(what: str) -> Handler:
    async def not_built(call: Call, server_id: str, **_: str) -> Reply:
        raise NotBuiltYet(what=what)

    return not_built


PLANNED = Resource(routes, RULES)

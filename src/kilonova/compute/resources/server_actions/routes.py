"""Routes of server actions. The registry of actions defines what a body may hold."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

from kilonova.compute.actions.base import Action, Api
from kilonova.compute.actions.registry import ACTIONS
from kilonova.compute.resources.base import Deps, Resource
from kilonova.compute.resources.floating_ips.logic import FloatingIpLogic
from kilonova.compute.resources.remote_consoles.logic import ConsoleLogic
from kilonova.compute.resources.server_actions.console import ConsoleLogic as ConsoleTextLogic
from kilonova.compute.resources.server_actions.evacuation import EvacuationLogic
from kilonova.compute.resources.server_actions.guest_passwords import PasswordLogic
from kilonova.compute.resources.server_actions.handlers import ServerActions
from kilonova.compute.resources.server_actions.live import LiveMigrationLogic
from kilonova.compute.resources.server_actions.logic import ActionLogic
from kilonova.compute.resources.server_actions.moving import MoveLogic
from kilonova.compute.resources.server_actions.policies import ACTION, RULES
from kilonova.compute.resources.server_actions.rebuilding import RebuildLogic
from kilonova.compute.resources.server_actions.rebuilds import Rebuilds
from kilonova.compute.resources.server_actions.rescues import RescueLogic
from kilonova.compute.resources.server_actions.shelving import ShelvingLogic
from kilonova.compute.resources.server_actions.snapshots import SnapshotLogic
from kilonova.compute.resources.server_security_groups import ServerNetworkLogic
from kilonova.compute.resources.servers.below import SERVER
from kilonova.compute.resources.servers.logic import ServerLogic
from kilonova.core.web.app import Route
from kilonova.core.web.wire import wrapped


def routes(deps: Deps) -> list[Route]:
    database, clock = deps.database, deps.clock
    logic = ActionLogic(database, clock, deps.options, deps.events, deps.core.grants)
    snapshots = SnapshotLogic(logic, deps.images, deps.core.endpoints.get("image", ""), deps.volumes)
    api = Api(
        actions=logic,
        network=ServerNetworkLogic(database, clock, deps.networks),
        console=ConsoleTextLogic(database, deps.core.bus, deps.options.console_bytes),
        consoles=ConsoleLogic(database, deps.core.bus, clock, deps.consoles),
        evacuation=EvacuationLogic(logic),
        rescues=RescueLogic(logic, deps.images),
        shelving=ShelvingLogic(logic, snapshots, deps.images),
        snapshots=snapshots,
        moves=MoveLogic(logic),
        live=LiveMigrationLogic(logic),
        floating_ips=FloatingIpLogic(deps.networks),
        passwords=PasswordLogic(logic, deps.core.bus),
        rebuilds=Rebuilds(ServerLogic(database, clock, deps.options), RebuildLogic(logic, deps.images)),
    )
    actions = ServerActions(ServerLogic(database, clock, deps.options), api)
    return [
        Route(
            "POST", SERVER + "/action", actions.act, ACTION, 202, body=_bodies(), reply=_replies(),
            summary="Do an action on a server: the body's one key names it.",
        ),
    ]  # fmt: skip


def _bodies() -> Any:
    """One key: the name of an action; below it what the action takes."""
    return reduce(or_, [wrapped(action.wire, _body(action)) for action in ACTIONS if action.wire is not None])


def _body(action: Action) -> Any:
    kind: Any = Any if action.body is None else action.body
    return kind | None if action.optional_body else kind


def _replies() -> Any:
    """Most actions answer nothing."""
    return reduce(or_, {action.reply for action in ACTIONS if action.reply is not None}, None)


SERVER_ACTIONS = Resource(routes, RULES)

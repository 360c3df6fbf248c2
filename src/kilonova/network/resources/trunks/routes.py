"""Trunks: what the API knows of them."""

from __future__ import annotations

from kilonova.core.web.app import Route
from kilonova.network.resources.base.resource import ID, V2, CrudResource, Extension
from kilonova.network.resources.trunks.handlers import TrunkHandlers
from kilonova.network.resources.trunks.logic import TrunkLogic
from kilonova.network.resources.trunks.policies import RULES
from kilonova.network.resources.trunks.schemas import SubPortsIn, SubPortsView, Trunk, TrunkCreate, TrunkUpdate


def _more(handlers: TrunkHandlers) -> list[Route]:
    one = f"{V2}/trunks{ID}"
    return [
        Route(
            "GET", f"{one}/get_subports", handlers.subports, "get_subports", reply=SubPortsView,
            summary="List the subports of a trunk.",
        ),
        Route(
            "PUT", f"{one}/add_subports", handlers.add_subports, "add_subports", body=SubPortsIn, reply=Trunk,
            summary="Add subports to a trunk.",
        ),
        Route(
            "PUT", f"{one}/remove_subports", handlers.remove_subports, "remove_subports", body=SubPortsIn, reply=Trunk,
            summary="Remove subports from a trunk.",
        ),
    ]  # fmt: skip


TRUNKS_RESOURCE = CrudResource(
    name="trunk",
    collection="trunks",
    path="trunks",
    view=Trunk,
    create=TrunkCreate,
    update=TrunkUpdate,
    derived=frozenset({"status"}),
    rules=RULES,
    logic=TrunkLogic,
    handlers=TrunkHandlers,
    quota=True,
    more=_more,
    extensions=(
        Extension("trunk", "Trunk Extension", "2016-01-01T10:00:00-00:00", "Ports that carry other ports by VLAN tags"),
        Extension("trunk-details", "Trunk port details", "2016-01-01T10:00:00-00:00", "Ports show their trunk"),
    ),
)

"""Routes of key pairs."""

from __future__ import annotations

from kilonova.compute.resources.base import Deps, Resource, V
from kilonova.compute.resources.key_pairs import schemas as shapes
from kilonova.compute.resources.key_pairs.handlers import KeyPairs
from kilonova.compute.resources.key_pairs.logic import KeyPairLogic
from kilonova.compute.resources.key_pairs.policies import RULE, RULES
from kilonova.compute.web.parameters import PAGE, known
from kilonova.core.web.app import Route

USER = known("2.75", "user_id")
PARAMETERS = {
    "GET /os-keypairs": known("2.75", *PAGE, "user_id"),
    "GET /os-keypairs/{name:str}": USER,
    "DELETE /os-keypairs/{name:str}": USER,
}


def routes(deps: Deps) -> list[Route]:
    pairs = KeyPairs(KeyPairLogic(deps.database, deps.clock, deps.options))
    every, one, body = V + "/os-keypairs", V + "/os-keypairs/{name:str}", shapes.KeyPairBody
    return [
        Route("GET", every, pairs.list, f"{RULE}:index", reply=shapes.KeyPairs, summary="List a user's key pairs."),
        Route(
            "POST", every, pairs.create, f"{RULE}:create", 201, body=shapes.KeyPairCreate, reply=body,
            summary="Import a key pair, or make one.",
        ),
        Route("GET", one, pairs.show, f"{RULE}:show", reply=body, summary="Show a key pair."),
        Route("DELETE", one, pairs.delete, f"{RULE}:delete", 204, summary="Delete a key pair."),
    ]  # fmt: skip


KEY_PAIRS = Resource(routes, RULES, PARAMETERS)

"""Routes of domains."""

from __future__ import annotations

from kilonova.core.web.app import Route
from kilonova.identity.resources.base import Deps
from kilonova.identity.resources.domains import schemas as shapes
from kilonova.identity.resources.domains.handlers import Domains
from kilonova.identity.resources.domains.logic import DomainLogic
from kilonova.identity.resources.domains.policies import RULES
from kilonova.identity.web.resource import Resource, crud


def routes(deps: Deps) -> list[Route]:
    return crud(
        "/v3/domains", "domain", Domains(DomainLogic(deps)),
        one=shapes.DomainBody, several=shapes.Domains, create=shapes.DomainCreateBody, update=shapes.DomainUpdateBody,
    )  # fmt: skip


DOMAINS = Resource(routes, RULES)

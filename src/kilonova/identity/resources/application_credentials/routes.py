"""Routes of application credentials."""

from __future__ import annotations

from kilonova.core.web.app import Route
from kilonova.identity.resources.application_credentials import schemas as shapes
from kilonova.identity.resources.application_credentials.handlers import ApplicationCredentials
from kilonova.identity.resources.application_credentials.logic import ApplicationCredentialLogic
from kilonova.identity.resources.application_credentials.policies import RULES
from kilonova.identity.resources.base import Deps
from kilonova.identity.web.resource import Resource


def routes(deps: Deps) -> list[Route]:
    api = ApplicationCredentials(ApplicationCredentialLogic(deps), deps.tokens)
    path, noun = "/v3/users/{user_id:str}/application_credentials", "application_credential"
    one = path + "/{application_credential_id:str}"
    return [
        Route(
            "GET", path, api.list, f"identity:list_{noun}s",
            reply=shapes.ApplicationCredentials, summary="List a user's application credentials.",
        ),
        Route(
            "POST", path, api.create, f"identity:create_{noun}", 201,
            body=shapes.ApplicationCredentialCreateBody, reply=shapes.ApplicationCredentialBody,
            summary="Create an application credential on the token's project.",
        ),
        Route(
            "GET", one, api.show, f"identity:get_{noun}",
            reply=shapes.ApplicationCredentialBody, summary="Show an application credential.",
        ),
        Route(
            "DELETE", one, api.delete, f"identity:delete_{noun}", 204,
            summary="Delete an application credential, with its tokens and the EC2 keys made with it.",
        ),
    ]  # fmt: skip


APPLICATION_CREDENTIALS = Resource(routes, RULES)

"""Routes of EC2 credentials and others."""

from __future__ import annotations

from kilonova.core.web.app import Route
from kilonova.identity.resources.base import Deps
from kilonova.identity.resources.credentials import schemas as shapes
from kilonova.identity.resources.credentials.handlers import Credentials, Ec2Credentials
from kilonova.identity.resources.credentials.logic import CredentialLogic
from kilonova.identity.resources.credentials.policies import OBJECT_RULES, RULES
from kilonova.identity.web.resource import Resource, crud


def routes(deps: Deps) -> list[Route]:
    logic = CredentialLogic(deps)
    api = Ec2Credentials(logic, deps.tokens)
    path = "/v3/users/{user_id:str}/credentials/OS-EC2"
    one = path + "/{credential_id:str}"
    return [
        Route(
            "GET", path, api.list, "identity:ec2_list_credentials",
            reply=shapes.Ec2Credentials, summary="List a user's EC2 credentials.",
        ),
        Route(
            "POST", path, api.create, "identity:ec2_create_credential", 201,
            body=shapes.Ec2Create, reply=shapes.Ec2CredentialBody, summary="Create an EC2 credential.",
        ),
        Route(
            "GET", one, api.show, "identity:ec2_get_credential",
            reply=shapes.Ec2CredentialBody, summary="Show an EC2 credential, by its access key.",
        ),
        Route("DELETE", one, api.delete, "identity:ec2_delete_credential", 204, summary="Delete an EC2 credential."),
        *crud(
            "/v3/credentials", "credential", Credentials(logic, deps.tokens),
            one=shapes.CredentialBody, several=shapes.Credentials,
            create=shapes.CredentialCreateBody, update=shapes.CredentialUpdateBody,
        ),
    ]  # fmt: skip


CREDENTIALS = Resource(routes, RULES, OBJECT_RULES)

"""Routes of logins by signed requests."""

from __future__ import annotations

from kilonova.core.web.app import Route
from kilonova.identity.resources.auth.schemas import TokenReply
from kilonova.identity.resources.base import Deps
from kilonova.identity.resources.ec2_tokens import schemas as shapes
from kilonova.identity.resources.ec2_tokens.handlers import Ec2Tokens
from kilonova.identity.resources.ec2_tokens.logic import Ec2TokenLogic
from kilonova.identity.resources.ec2_tokens.policies import RULES
from kilonova.identity.web.resource import Resource


def routes(deps: Deps) -> list[Route]:
    api = Ec2Tokens(Ec2TokenLogic(deps))
    return [
        Route(
            "POST", "/v3/ec2tokens", api.ec2, "identity:ec2tokens_validate",
            body=shapes.Ec2Request, reply=TokenReply, summary="Log in by a request signed with an EC2 credential.",
        ),
        Route(
            "POST", "/v3/s3tokens", api.s3, "identity:s3tokens_validate",
            body=shapes.S3Request, reply=TokenReply, summary="Log in by a text signed with an EC2 credential, as S3 does.",
        ),
    ]  # fmt: skip


EC2_TOKENS = Resource(routes, RULES)

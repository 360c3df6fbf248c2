"""The versions of the compute API, and the login of the first clients at its URL: user, key and project in headers, the token and
the URL to go on with in the answer's."""

from __future__ import annotations

from typing import Protocol

from msgspec import UNSET, UnsetType

from kilonova.compute.resources.base import Deps, Resource, V
from kilonova.compute.web.legacy_urls import CURRENT
from kilonova.core.context import RequestContext
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.microversion import Microversions
from kilonova.core.web.wire import Version, View
from kilonova.identity.client import HeaderLogin

MICROVERSIONS = Microversions("compute", Version(2, 1), Version(2, 104), "X-OpenStack-Nova-API-Version")
MEDIA = "application/vnd.openstack.compute+json;version="
GIVEN = ("x-auth-user", "x-auth-key", "x-auth-project-id")


class VersionLink(View, kw_only=True):
    rel: str
    type: str | UnsetType = UNSET
    href: str


class MediaType(View, kw_only=True):
    base: str
    type: str


class ApiVersion(View, kw_only=True, rename={"media_types": "media-types"}):
    id: str
    status: str
    version: str
    min_version: str
    updated: str
    links: list[VersionLink]
    media_types: list[MediaType] | UnsetType = UNSET


class ApiVersions(View, kw_only=True):
    versions: list[ApiVersion]


class ApiVersionBody(View, kw_only=True):
    version: ApiVersion


class LoginClient(Protocol):
    """The part of identity that the login uses."""

    async def login(self, headers: dict[str, str]) -> tuple[str, RequestContext]:
        """(the token, whose it is); raises Unauthorized."""


class Versions:
    def _brief(self, call: Call, version: str) -> ApiVersion:
        current = version == "v2.1"
        return ApiVersion(
            id="v2.1" if current else "v2.0",
            status="CURRENT" if current else "SUPPORTED",
            version=str(MICROVERSIONS.high) if current else "",
            min_version=str(MICROVERSIONS.low) if current else "",
            updated="2013-07-23T11:33:21Z" if current else "2011-01-21T11:33:21Z",
            links=[VersionLink(rel="self", href=f"{call.base_url}{CURRENT if current else '/v2'}/")],
        )

    def _full(self, call: Call, version: str) -> Reply:
        view = self._brief(call, version)
        view.links.append(VersionLink(rel="describedby", type="text/html", href="http://docs.openstack.org/"))
        view.media_types = [MediaType(base="application/json", type=MEDIA + ("2.1" if version == "v2.1" else "2"))]
        return Reply(ApiVersionBody(version=view))

    async def list(self, call: Call) -> Reply:
        return Reply(ApiVersions(versions=[self._brief(call, "v2.0"), self._brief(call, "v2.1")]))

    async def current(self, call: Call) -> Reply:
        return self._full(call, "v2.1")

    async def legacy(self, call: Call) -> Reply:
        return self._full(call, "v2.0")


class LegacyLogin:
    def __init__(self, client: LoginClient) -> None:
        self.client = client

    async def login(self, call: Call) -> Reply:
        given = {name: call.headers[name] for name in GIVEN if name in call.headers}
        token, ctx = await self.client.login(given)
        url = f"{call.base_url}/v1.1/{ctx.project_id}"
        return Reply(status=204, headers={"X-Auth-Token": token, "X-Server-Management-Url": url})


def routes(deps: Deps) -> list[Route]:
    versions, login = Versions(), LegacyLogin(HeaderLogin(deps.core)).login
    body = ApiVersionBody
    return [
        Route("GET", "/", versions.list, public=True, reply=ApiVersions, summary="List the versions of the API."),
        Route("GET", V, versions.current, public=True, reply=body, summary="Show the version with microversions."),
        Route(
            "GET", "/v2", versions.legacy, public=True, reply=body, summary="Show the version without microversions."
        ),
        *(
            Route("GET", path, login, status=204, public=True, summary="Log in as the first clients did, by headers.")
            for path in ("/v1.0", "/v1.1")
        ),
    ]


VERSIONS = Resource(routes, {})

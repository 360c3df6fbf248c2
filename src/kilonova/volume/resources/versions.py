"""The versions of the volume API."""

from __future__ import annotations

from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.microversion import Microversions
from kilonova.core.web.resource import Resource
from kilonova.core.web.wire import Version, View
from kilonova.volume.fields import Link
from kilonova.volume.resources.base import Deps, V

MICROVERSIONS = Microversions("volume", Version(3, 0), Version(3, 71))
MEDIA = "application/vnd.openstack.volume+json;version=3"


class MediaType(View, kw_only=True):
    base: str
    type: str


class ApiVersion(View, kw_only=True, rename={"media_types": "media-types"}):
    id: str
    status: str
    version: str
    min_version: str
    updated: str
    links: list[Link]
    media_types: list[MediaType]


class ApiVersions(View, kw_only=True):
    versions: list[ApiVersion]


async def show(call: Call) -> Reply:
    """The same at the root, with status 300, and at the version's URL."""
    found = ApiVersion(
        id="v3.0",
        status="CURRENT",
        version=str(MICROVERSIONS.high),
        min_version=str(MICROVERSIONS.low),
        updated="2023-08-31T00:00:00Z",
        links=[
            Link(rel="describedby", href="https://docs.openstack.org/"),
            Link(rel="self", href=f"{call.base_url}{V}/"),
        ],
        media_types=[MediaType(base="application/json", type=MEDIA)],
    )
    return Reply(ApiVersions(versions=[found]))


def routes(_: Deps) -> list[Route]:
    return [
        Route("GET", "/", show, status=300, public=True, reply=ApiVersions, summary="List the versions of the API."),
        Route("GET", V, show, public=True, reply=ApiVersions, summary="Show the version and its microversions."),
    ]


VERSIONS = Resource(routes)

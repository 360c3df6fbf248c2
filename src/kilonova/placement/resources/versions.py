"""What placement answers at its root: its one version and the range of its microversions."""

from __future__ import annotations

from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.microversion import Microversions
from kilonova.core.web.resource import Resource
from kilonova.core.web.wire import Version, View
from kilonova.placement.resources.base import Deps

MICROVERSIONS = Microversions("placement", Version(1, 0), Version(1, 39))


class Link(View):
    rel: str
    href: str


class ApiVersion(View):
    """A major version of the API and its microversions."""

    id: str
    status: str
    min_version: str
    max_version: str
    links: list[Link]


class Versions(View):
    versions: list[ApiVersion]


async def root(call: Call) -> Reply:
    low, high = str(MICROVERSIONS.low), str(MICROVERSIONS.high)
    version = ApiVersion(
        id="v1.0", status="CURRENT", min_version=low, max_version=high, links=[Link(rel="self", href="")]
    )
    return Reply(Versions(versions=[version]))


def routes(_: Deps) -> list[Route]:
    return [Route("GET", "/", root, public=True, reply=Versions, summary="Show the API's version and microversions.")]


VERSIONS = Resource(routes)

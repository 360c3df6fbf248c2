"""Which versions there are. Asked before any login, so it never needs a token."""

from __future__ import annotations

from msgspec import field

from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import View
from kilonova.identity.resources.base import Deps
from kilonova.identity.web.resource import Resource

MEDIA = "application/vnd.openstack.identity-{}+json"


class VersionLink(View, kw_only=True):
    rel: str = "self"
    href: str


class MediaType(View, kw_only=True):
    base: str = "application/json"
    type: str


class Version(View):
    id: str
    status: str
    updated: str
    links: list[VersionLink]
    media_types: list[MediaType] = field(name="media-types")


class VersionBody(View):
    version: Version


class VersionValues(View):
    values: list[Version]


class Versions(View):
    versions: VersionValues


def _version(call: Call, number: str, path: str, status: str, updated: str) -> Version:
    return Version(
        id=number,
        status=status,
        updated=updated,
        links=[VersionLink(href=f"{call.base_url}{path}/")],
        media_types=[MediaType(type=MEDIA.format(path[1:]))],
    )


def _v3(call: Call) -> Version:
    return _version(call, "v3.14", "/v3", "stable", "2020-04-07T00:00:00Z")


def _v2(call: Call) -> Version:
    return _version(call, "v2.0", "/v2.0", "deprecated", "2016-08-04T00:00:00Z")


async def versions(call: Call) -> Reply:
    body = Versions(versions=VersionValues(values=[_v3(call), _v2(call)]))
    return Reply(body, headers={"Location": f"{call.base_url}/v3/", "Vary": "X-Auth-Token"})


async def v3(call: Call) -> Reply:
    return Reply(VersionBody(version=_v3(call)), headers={"Vary": "X-Auth-Token"})


async def v2(call: Call) -> Reply:
    return Reply(VersionBody(version=_v2(call)), headers={"Vary": "X-Auth-Token"})


def routes(_: Deps) -> list[Route]:
    return [
        Route("GET", "/", versions, public=True, status=300, reply=Versions, summary="List the API's versions."),
        Route("GET", "/v3", v3, public=True, reply=VersionBody, summary="Show version 3 of the API."),
        Route("GET", "/v2.0", v2, public=True, reply=VersionBody, summary="Show version 2.0 of the API."),
    ]


VERSIONS = Resource(routes)

"""Versions, resources and extensions: what this service can do, and nothing it cannot."""

from __future__ import annotations

from collections.abc import Sequence

from kilonova.core.policy import ANYONE
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import View
from kilonova.network import errors
from kilonova.network.resources.base.resource import V2, AnyResource, Api, CrudResource, Extension, Resource
from kilonova.network.resources.base.shape import Link

COMMON = (
    Extension(
        "empty-string-filtering", "Empty String Filtering Extension", "2018-05-01T10:00:00-00:00",
        "Filters with an empty value",
    ),
    Extension("filter-validation", "Filter parameters validation", "2018-07-04T10:00:00-00:00", "Unknown filters are refused"),
    Extension("pagination", "Pagination support", "2016-06-12T00:00:00-00:00", "Lists in pages"),
    Extension("project-id", "project_id field enabled", "2016-09-09T09:09:09-09:09", "project_id beside tenant_id"),
    Extension(
        "revision-if-match", "If-Match constraints based on revision_number", "2016-12-11T00:00:00-00:00",
        "Changes only of what has the revision that the header If-Match names",
    ),
    Extension("sort-key-validation", "Sort keys validation", "2018-07-04T10:00:00-00:00", "Unknown sort keys are refused"),
    Extension("sorting", "Sorting support", "2016-06-12T00:00:00-00:00", "Lists in any order"),
    Extension("standard-attr-description", "standard-attr-description", "2016-02-10T10:00:00-00:00", "Descriptions"),
    Extension("standard-attr-revisions", "Resource revision numbers", "2016-04-11T10:00:00-00:00", "Revision numbers"),
    Extension("standard-attr-timestamp", "Resource timestamps", "2016-09-12T10:00:00-00:00", "Times of creation and change"),
    Extension("tag", "Tag support", "2016-01-01T00:00:00-00:00", "Tags of networks"),
    Extension("tag-ext", "Tag support for resources", "2017-01-01T00:00:00-00:00", "Tags of subnets, ports, routers and others"),
    Extension("tag-creation", "Tag creation extension", "2024-07-23T10:00:00-00:00", "Many tags are added at once"),
)  # fmt: skip
"""What all resources have."""


class Version(View):
    id: str
    status: str
    links: list[Link]


class Versions(View):
    versions: list[Version]


class Collection(View):
    name: str
    collection: str
    links: list[Link]


class Collections(View):
    resources: list[Collection]


class ExtensionView(View):
    alias: str
    name: str
    description: str
    updated: str
    links: list[Link]


class ExtensionBody(View):
    extension: ExtensionView


class ExtensionsBody(View):
    extensions: list[ExtensionView]


class Providers(View):
    """There are none beside the service's own parts."""

    service_providers: list[str]


class Discovery:
    def __init__(self, resources: Sequence[AnyResource]) -> None:
        crud = [one for one in resources if isinstance(one, CrudResource)]
        self.listed = [one for one in crud if one.listed]
        known = [*COMMON, tags(crud), *(extension for one in resources for extension in one.extensions)]
        self.extensions = {extension.alias: _shown(extension) for extension in sorted(known, key=lambda e: e.alias)}

    async def versions(self, call: Call) -> Reply:
        link = Link(rel="self", href=f"{call.base_url}{V2}/")
        return Reply(Versions(versions=[Version(id="v2.0", status="CURRENT", links=[link])]))

    async def collections(self, call: Call) -> Reply:
        found = [
            Collection(
                name=one.name, collection=one.collection,
                links=[Link(rel="self", href=f"{call.base_url}{V2}/{one.path}")],
            )
            for one in self.listed
        ]  # fmt: skip
        return Reply(Collections(resources=found))

    async def list(self, call: Call) -> Reply:
        return Reply(ExtensionsBody(extensions=[*self.extensions.values()]))

    async def show(self, call: Call, alias: str) -> Reply:
        if alias not in self.extensions:
            raise errors.ExtensionNotFound(alias=alias)
        return Reply(ExtensionBody(extension=self.extensions[alias]))

    async def providers(self, call: Call) -> Reply:
        return Reply(Providers(service_providers=[]))


def tags(resources: Sequence[CrudResource]) -> Extension:
    """Upstream's name of the extension says which resources have tags."""
    names = ", ".join(one.name for one in resources if one.tagged)
    name = f"Tag support for resources with standard attribute: {names}"
    return Extension("standard-attr-tag", name, "2017-01-01T00:00:00-00:00", "Tags")


def _shown(one: Extension) -> ExtensionView:
    return ExtensionView(
        alias=one.alias, name=one.name, description=one.description, updated=one.updated, links=[]
    )  # fmt: skip


def routes(api: Api) -> list[Route]:
    found, path, rule = Discovery(api.resources), f"{V2}/extensions", "get_extensions"
    providers, no_rule = f"{V2}/service-providers", "get_service_provider"
    return [
        Route("GET", "/", found.versions, public=True, reply=Versions, summary="List versions of the API."),
        Route("GET", V2, found.collections, public=True, reply=Collections, summary="List the main resources."),
        Route("GET", path, found.list, rule, reply=ExtensionsBody, summary="List extensions."),
        Route("GET", path + "/{alias:str}", found.show, rule, reply=ExtensionBody, summary="Show an extension."),
        Route("GET", providers, found.providers, no_rule, reply=Providers, summary="List service providers."),
    ]


DISCOVERY_RESOURCE = Resource(routes, {"get_extensions": ANYONE, "get_service_provider": ANYONE})

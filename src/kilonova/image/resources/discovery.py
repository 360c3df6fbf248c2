"""Versions, schemas and what this service can do, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.resource import Resource
from kilonova.core.web.wire import View
from kilonova.image.fields import MEMBER_FIELDS, Field
from kilonova.image.quotas import QuotaLogic
from kilonova.image.resources.base import Deps

MIB = 1 << 20
CURRENT = "2.17"
# 2.14 and 2.16 belong to an image cache, which there is none of
VERSIONS = (CURRENT, "2.15", *(f"2.{minor}" for minor in range(13, -1, -1)))
IMAGE_LINKS = [
    {"rel": "self", "href": "{self}"},
    {"rel": "enclosure", "href": "{file}"},
    {"rel": "describedby", "href": "{schema}"},
]
DESCRIBED_BY = [{"rel": "describedby", "href": "{schema}"}]
PAGE_LINKS = [{"rel": "first", "href": "{first}"}, {"rel": "next", "href": "{next}"}, *DESCRIBED_BY]


Schema = dict[str, Any]
"""A JSON schema, for clients that read it."""


class Link(View):
    rel: str
    href: str


class ApiVersion(View):
    id: str
    status: str
    links: list[Link]


class Versions(View):
    versions: list[ApiVersion]


class ImportMethods(View):
    description: str
    type: str
    value: list[str]


class ImportInfo(View):
    methods: ImportMethods = msgspec.field(name="import-methods")


class Limit(View):
    """-1 stands for no limit."""

    limit: int
    usage: int


class Usage(View):
    """By quota."""

    usage: dict[str, Limit]


class Store(View):
    id: str
    default: str


class Stores(View):
    stores: list[Store]


def _properties(fields: Mapping[str, Field]) -> dict[str, Any]:
    return {name: field.schema() for name, field in fields.items()}


class Discovery:
    def __init__(self, fields: Mapping[str, Field], store: str, quotas: QuotaLogic) -> None:
        self._store, self._quotas = store, quotas
        image = {
            "name": "image",
            "properties": _properties(fields),
            "additionalProperties": {"type": "string"},
            "links": IMAGE_LINKS,
        }
        member = {"name": "member", "properties": _properties(MEMBER_FIELDS)}
        self._schemas = {
            "image": image,
            "images": _collection(
                "images", image, {"first": {"type": "string"}, "next": {"type": "string"}}, PAGE_LINKS
            ),
            "member": member,
            "members": _collection("members", member, {}, DESCRIBED_BY),
        }

    async def root(self, call: Call) -> Reply:
        return Reply(self._versions(call), status=300)

    async def versions(self, call: Call) -> Reply:
        return Reply(self._versions(call))

    def _versions(self, call: Call) -> Versions:
        links = [Link(rel="self", href=f"{call.base_url}/v2/")]
        return Versions(
            versions=[
                ApiVersion(id=f"v{version}", status="CURRENT" if version == CURRENT else "SUPPORTED", links=links)
                for version in VERSIONS
            ]
        )

    async def image_schema(self, call: Call) -> Reply:
        return Reply(self._schemas["image"])

    async def images_schema(self, call: Call) -> Reply:
        return Reply(self._schemas["images"])

    async def member_schema(self, call: Call) -> Reply:
        return Reply(self._schemas["member"])

    async def members_schema(self, call: Call) -> Reply:
        return Reply(self._schemas["members"])

    async def import_info(self, call: Call) -> Reply:
        methods = ImportMethods(description="Import methods available.", type="array", value=[])
        return Reply(ImportInfo(methods=methods))

    async def usage(self, call: Call) -> Reply:
        """Of the caller's project; bytes as MiB, with what is begun."""
        owner = call.ctx.project_id
        if owner is None:
            return Reply(Usage(usage={}))
        limits, used = self._quotas.of(owner), await self._quotas.usage(owner)
        most = limits.image_size_total
        numbers = {
            "image_size_total": (most // MIB if most >= 0 else -1, -(-used.size // MIB)),
            "image_count_total": (limits.image_count_total, used.count),
            "image_count_uploading": (limits.image_count_uploading, used.uploading),
        }
        shown = {name: Limit(limit=limit, usage=number) for name, (limit, number) in numbers.items()}
        return Reply(Usage(usage=shown))

    async def stores(self, call: Call) -> Reply:
        return Reply(Stores(stores=[Store(id=self._store, default="true")]))


def _collection(name: str, item: dict[str, Any], more: dict[str, Any], links: list[dict[str, str]]) -> dict[str, Any]:
    properties = {name: {"type": "array", "items": item}} | more | {"schema": {"type": "string"}}
    return {"name": name, "properties": properties, "links": links}


def routes(deps: Deps) -> list[Route]:
    discovery = Discovery(deps.fields, deps.images.data.name, deps.images.quotas)
    s, i = "/v2/schemas", "/v2/info"
    return [
        Route("GET", "/", discovery.root, public=True, status=300, reply=Versions, summary="List the API's versions."),
        Route("GET", "/versions", discovery.versions, public=True, reply=Versions, summary="List the API's versions."),
        Route("GET", f"{s}/image", discovery.image_schema, "default", reply=Schema, summary="Show an image's schema."),
        Route(
            "GET", f"{s}/images", discovery.images_schema, "default", reply=Schema,
            summary="Show the schema of a list of images.",
        ),
        Route(
            "GET", f"{s}/member", discovery.member_schema, "default", reply=Schema, summary="Show a membership's schema."
        ),
        Route(
            "GET", f"{s}/members", discovery.members_schema, "default", reply=Schema,
            summary="Show the schema of a list of memberships.",
        ),
        Route(
            "GET", f"{i}/import", discovery.import_info, "default", reply=ImportInfo,
            summary="Show by which methods images can be imported: there are none.",
        ),
        Route("GET", f"{i}/stores", discovery.stores, "default", reply=Stores, summary="List the stores of images."),
        Route(
            "GET", f"{i}/usage", discovery.usage, "default", reply=Usage, summary="Show the project's quotas and usage."
        ),
    ]  # fmt: skip


DISCOVERY = Resource(routes, {"default": ""})

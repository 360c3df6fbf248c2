"""Versions, schemas and what this service can do, over HTTP."""

from __future__ import annotations

from typing import Any

from kilonova.core.web.call import Call, Reply
from kilonova.image.fields import MEMBER_FIELDS, Field
from kilonova.image.quotas import QuotaLogic

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


def _properties(fields: dict[str, Field]) -> dict[str, Any]:
    return {name: field.schema() for name, field in fields.items()}


class Discovery:
    def __init__(self, fields: dict[str, Field], store: str, quotas: QuotaLogic) -> None:
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

    def _versions(self, call: Call) -> dict[str, Any]:
        links = [{"rel": "self", "href": f"{call.base_url}/v2/"}]
        return {
            "versions": [
                {"id": f"v{version}", "status": "CURRENT" if version == CURRENT else "SUPPORTED", "links": links}
                for version in VERSIONS
            ]
        }

    async def image_schema(self, call: Call) -> Reply:
        return Reply(self._schemas["image"])

    async def images_schema(self, call: Call) -> Reply:
        return Reply(self._schemas["images"])

    async def member_schema(self, call: Call) -> Reply:
        return Reply(self._schemas["member"])

    async def members_schema(self, call: Call) -> Reply:
        return Reply(self._schemas["members"])

    async def import_info(self, call: Call) -> Reply:
        methods = {"description": "Import methods available.", "type": "array", "value": []}
        return Reply({"import-methods": methods})

    async def usage(self, call: Call) -> Reply:
        """Of the caller's project; bytes as MiB, with what is begun."""
        owner = call.ctx.project_id
        if owner is None:
            return Reply({"usage": {}})
        limits, used = self._quotas.of(owner), await self._quotas.usage(owner)
        most = limits.image_size_total
        numbers = {
            "image_size_total": (most // MIB if most >= 0 else -1, -(-used.size // MIB)),
            "image_count_total": (limits.image_count_total, used.count),
            "image_count_uploading": (limits.image_count_uploading, used.uploading),
        }
        shown = {name: {"limit": limit, "usage": number} for name, (limit, number) in numbers.items()}
        return Reply({"usage": shown})

    async def stores(self, call: Call) -> Reply:
        return Reply({"stores": [{"id": self._store, "default": "true"}]})


def _collection(name: str, item: dict[str, Any], more: dict[str, Any], links: list[dict[str, str]]) -> dict[str, Any]:
    properties = {name: {"type": "array", "items": item}} | more | {"schema": {"type": "string"}}
    return {"name": name, "properties": properties, "links": links}

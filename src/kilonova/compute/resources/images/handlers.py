"""Images for clients that still ask compute for them: the image service's, on the caller's behalf."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from msgspec import UNSET

from kilonova.compute.peers import ImageCatalog
from kilonova.compute.resources.images import errors
from kilonova.compute.resources.images import schemas as shapes
from kilonova.compute.resources.server_metadata import ItemBody, ItemIn, MetadataBody, MetadataIn, UriMismatch
from kilonova.compute.web.links import Links, links, next_page
from kilonova.core.errors import Forbidden, NotFound
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.paging import read_page
from kilonova.image.client import ImageRecord

FILTERS = {
    "name": "name", "status": "status", "changes-since": "updated_at", "server": "instance_uuid", "type": "image_type",
    "minRam": "min_ram", "minDisk": "min_disk",
}  # fmt: skip
"""Query parameter → the image service's own."""
PROPERTY = "property-"
STATES = {
    "active": ("ACTIVE", 100), "queued": ("SAVING", 25), "saving": ("SAVING", 50), "deleted": ("DELETED", 0),
    "pending_delete": ("DELETED", 0), "killed": ("ERROR", 0),
}  # fmt: skip
"""Status → what compute calls it, and the progress in per cent."""
TYPE = "application/vnd.openstack.image"
Items = Mapping[str, str]


class Images:
    def __init__(self, images: ImageCatalog, image_url: str) -> None:
        self.images, self.image_url = images, image_url

    async def brief(self, call: Call) -> Reply:
        found, more = await self._page(call, "/images")
        return Reply(shapes.ImageBriefs(images=[self._brief(call, one) for one in found], images_links=more))

    async def detail(self, call: Call) -> Reply:
        found, more = await self._page(call, "/images/detail")
        return Reply(shapes.ImageDetails(images=[self._detail(call, one) for one in found], images_links=more))

    async def show(self, call: Call, image_id: str) -> Reply:
        return Reply(shapes.ImageBody(image=self._detail(call, await self._get(call, image_id))))

    async def delete(self, call: Call, image_id: str) -> Reply:
        found = await self._get(call, image_id)
        with refused("delete"):
            await self.images.delete(call.ctx, found.id)
        return Reply()

    async def metadata(self, call: Call, image_id: str) -> Reply:
        return Reply(MetadataBody(metadata=(await self._get(call, image_id)).properties))

    async def item(self, call: Call, image_id: str, key: str) -> Reply:
        items = (await self._get(call, image_id)).properties
        if key not in items:
            raise errors.UnknownKey
        return Reply(ItemBody(meta={key: items[key]}))

    async def add(self, call: Call, image_id: str) -> Reply:
        given = (await call.decode(MetadataIn)).metadata
        return Reply(MetadataBody(metadata=await self._edit(call, image_id, lambda old: {**old, **given})))

    async def replace(self, call: Call, image_id: str) -> Reply:
        given = (await call.decode(MetadataIn)).metadata
        return Reply(MetadataBody(metadata=await self._edit(call, image_id, lambda _: given)))

    async def put(self, call: Call, image_id: str, key: str) -> Reply:
        given = (await call.decode(ItemIn)).meta
        if key not in given:
            raise UriMismatch
        await self._edit(call, image_id, lambda old: {**old, **given})
        return Reply(ItemBody(meta=given))

    async def remove(self, call: Call, image_id: str, key: str) -> Reply:
        def without(old: Items) -> Items:
            if key not in old:
                raise errors.UnknownKey
            return {name: value for name, value in old.items() if name != key}

        await self._edit(call, image_id, without)
        return Reply()

    async def _get(self, call: Call, image_id: str) -> ImageRecord:
        try:
            return await self.images.get(call.ctx, image_id)
        except NotFound:
            raise errors.ImageUnknown from None

    async def _edit(self, call: Call, image_id: str, edit: Callable[[Items], Items]) -> dict[str, str]:
        found = await self._get(call, image_id)
        new = dict(edit(found.properties))
        changed = {name: value for name, value in new.items() if found.properties.get(name) != value}
        with refused("change"):
            await self.images.set_properties(call.ctx, found.id, changed, found.properties.keys() - new.keys())
        return new

    async def _page(self, call: Call, path: str) -> tuple[Sequence[ImageRecord], Links]:
        page = read_page(call)
        wanted = _wanted(call) | ({"marker": page.marker} if page.marker else {})
        found = await self.images.list(call.ctx, page.limit, **wanted)
        return found, next_page(call, path, page, found, found[-1].id if found else None)

    def _brief(self, call: Call, one: ImageRecord) -> shapes.ImageBrief:
        return shapes.ImageBrief(id=one.id, name=one.name, links=self._links(call, one))

    def _detail(self, call: Call, one: ImageRecord) -> shapes.ImageDetail:
        status, progress = STATES.get(one.status, ("UNKNOWN", 0))
        server, config = one.properties.get("instance_uuid"), one.properties.get("auto_disk_config")
        return shapes.ImageDetail(
            id=one.id, name=one.name, links=self._links(call, one), min_ram=one.min_ram, min_disk=one.min_disk,
            metadata=one.properties, created=one.created_at, updated=one.updated_at, status=status, progress=progress,
            size=one.size,
            server=shapes.ImageServer(server, links(call, "servers", server)) if server else UNSET,
            disk_config=UNSET if config is None else "AUTO" if config.lower() in ("true", "1", "yes") else "MANUAL",
        )  # fmt: skip

    def _links(self, call: Call, one: ImageRecord) -> list[shapes.ImageLink]:
        own = [shapes.ImageLink(link.rel, link.href) for link in links(call, "images", one.id)]
        return [*own, shapes.ImageLink("alternate", f"{self.image_url}/images/{one.id}", TYPE)]


def _wanted(call: Call) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in call.query.multi_items():
        if name in FILTERS or name.startswith(PROPERTY):
            found[FILTERS.get(name, name.removeprefix(PROPERTY))] = value
    if "instance_uuid" in found:
        found["instance_uuid"] = found["instance_uuid"].rsplit("/", 1)[-1]  # a link to the server will do
    if "status" in found:
        found["status"] = found["status"].lower()
    if "updated_at" in found:
        found["updated_at"] = f"gte:{found['updated_at']}"
    return found


@contextmanager
def refused(what: str) -> Iterator[None]:
    """The image service's refusals in compute's words."""
    try:
        yield
    except Forbidden:
        raise errors.NotYours(what=what) from None
    except NotFound:
        raise errors.ImageUnknown from None

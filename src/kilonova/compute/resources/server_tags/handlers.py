"""A server's tags over HTTP, since 2.26."""

from __future__ import annotations

from kilonova.compute import errors
from kilonova.compute.resources.server_interfaces.schemas import TagsBody
from kilonova.compute.resources.server_metadata.logic import ItemLogic
from kilonova.compute.resources.servers.logic import ServerLogic
from kilonova.compute.web.common import root
from kilonova.core.web.call import Call, Reply

Tags = list[str]


class ServerTags:
    def __init__(self, servers: ServerLogic, items: ItemLogic) -> None:
        self.servers, self.items = servers, items

    async def list(self, call: Call, server_id: str) -> Reply:
        return Reply({"tags": (await self.servers.get(call.ctx, server_id)).tags})

    async def show(self, call: Call, server_id: str, tag: str) -> Reply:
        if tag not in (await self.servers.get(call.ctx, server_id)).tags:
            raise errors.MissingTag(server_id=server_id, tag=tag)
        return Reply()

    async def add(self, call: Call, server_id: str, tag: str) -> Reply:
        if "," in tag or len(tag) > 60:
            raise errors.InvalidTag(tag=tag)
        before, _ = await self.items.edit_tags(
            call.ctx, server_id, "update tag", lambda tags: tags if tag in tags else [*tags, tag]
        )
        if tag in before:
            return Reply(status=204)
        return Reply(status=201, headers={"Location": f"{call.base_url}{root(call)}/servers/{server_id}/tags/{tag}"})

    async def replace(self, call: Call, server_id: str) -> Reply:
        given = [*dict.fromkeys((await call.decode(TagsBody)).tags)]
        _, tags = await self.items.edit_tags(call.ctx, server_id, "update tags", lambda _: given)
        return Reply({"tags": tags})

    async def delete(self, call: Call, server_id: str, tag: str) -> Reply:
        def without(tags: Tags) -> Tags:
            if tag not in tags:
                raise errors.TagNotFound(server_id=server_id, tag=tag)
            return [kept for kept in tags if kept != tag]

        await self.items.edit_tags(call.ctx, server_id, "delete tag", without)
        return Reply()

    async def clear(self, call: Call, server_id: str) -> Reply:
        await self.items.edit_tags(call.ctx, server_id, "delete tags", lambda _: [])
        return Reply()

"""A server's metadata over HTTP."""

from __future__ import annotations

from kilonova.compute import errors
from kilonova.compute.resources.server_interfaces.schemas import MetaBody, MetadataBody
from kilonova.compute.resources.server_metadata.logic import ItemLogic
from kilonova.compute.resources.servers.logic import ServerLogic
from kilonova.core.web.call import Call, Reply

SET, DELETE = "update metadata", "delete metadata"


class ServerMetadata:
    def __init__(self, servers: ServerLogic, items: ItemLogic) -> None:
        self.servers, self.items = servers, items

    async def list(self, call: Call, server_id: str) -> Reply:
        row = await self.servers.get(call.ctx, server_id)
        return Reply({"metadata": row.metadata})

    async def show(self, call: Call, server_id: str, key: str) -> Reply:
        row = await self.servers.get(call.ctx, server_id)
        if key not in row.metadata:
            raise errors.MetadataNotFound
        return Reply({"meta": {key: row.metadata[key]}})

    async def add(self, call: Call, server_id: str) -> Reply:
        given = (await call.decode(MetadataBody)).metadata
        kept = await self.items.edit_metadata(call.ctx, server_id, SET, lambda items: items | given)
        return Reply({"metadata": kept})

    async def replace(self, call: Call, server_id: str) -> Reply:
        given = (await call.decode(MetadataBody)).metadata
        return Reply({"metadata": await self.items.edit_metadata(call.ctx, server_id, SET, lambda _: given)})

    async def put(self, call: Call, server_id: str, key: str) -> Reply:
        given = (await call.decode(MetaBody)).meta
        if key not in given:
            raise errors.UriMismatch
        await self.items.edit_metadata(call.ctx, server_id, SET, lambda items: items | given)
        return Reply({"meta": given})

    async def delete(self, call: Call, server_id: str, key: str) -> Reply:
        def without(items: dict[str, str]) -> dict[str, str]:
            if key not in items:
                raise errors.MetadataNotFound
            return {name: value for name, value in items.items() if name != key}

        await self.items.edit_metadata(call.ctx, server_id, DELETE, without)
        return Reply()

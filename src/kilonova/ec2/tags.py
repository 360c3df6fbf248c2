"""Tags. Those of instances are the metadata of their servers, so that both APIs show them; all others are kept here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from kilonova.core.db import DuplicateRow
from kilonova.ec2.call import Ec2Call
from kilonova.ec2.errors import InvalidParameterValue, coded
from kilonova.ec2.ids import INSTANCE
from kilonova.ec2.store.records import tags as store

MOST = 50
RESERVED = ("aws:", "ec2:")
OWN = "ec2:"
"""Begins the keys of a server's metadata that are no tags."""
TYPE = f"{OWN}instance-type"
"""The name of the type that a server was launched with, where that is another one than its flavor's."""
TOKENS, HOPS = f"{OWN}http-tokens", f"{OWN}http-hop-limit"
"""Read by compute's metadata service (compute/metadata/tokens.py)."""
Tag = dict[str, str]


class Tags:
    """Those of a project's resources, but for instances."""

    def __init__(self, found: Mapping[str, list[Tag]]) -> None:
        self.found = found

    @classmethod
    async def of(cls, call: Ec2Call) -> Tags:
        found: defaultdict[str, list[Tag]] = defaultdict(list)
        async with call.database.reading() as connection:
            for row in await store.find(connection, project_id=call.project_id):
                found[row.resource_id].append({"Key": row.key, "Value": row.value})
        return cls(found)

    def on(self, item: dict[str, Any], key: str, name: str = "Tags") -> dict[str, Any]:
        """The item with its tags; `key` is where its id is."""
        return item | {name: self.found.get(item[key], [])}


def of_server(server: Mapping[str, Any]) -> list[Tag]:
    return [
        {"Key": key, "Value": value} for key, value in sorted(server["metadata"].items()) if not key.startswith(OWN)
    ]


def specified(call: Ec2Call, kind: str) -> dict[str, str]:
    """The tags that a request gives to what it makes of this kind."""
    tags: dict[str, str] = {}
    for each in call.params.get("TagSpecifications", ()):
        if each.get("ResourceType") == kind:
            tags |= checked(each.get("Tags", ()))
    return tags


def checked(given: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Raises InvalidParameterValue and CodedError."""
    tags = {each.get("Key", ""): each.get("Value", "") for each in given}
    for key, value in tags.items():
        if not key or len(key) > 127 or len(value) > 255:
            raise InvalidParameterValue(
                name="tag", value=key[:130], reason="Keys have 1 to 127 characters, values at most 255."
            )
        if key.lower().startswith(RESERVED):
            raise InvalidParameterValue(
                name="tag", value=key, reason="Keys with 'aws:' or 'ec2:' before them are reserved."
            )
    if len(tags) > MOST:
        raise coded("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
    return tags


async def write_specified(call: Ec2Call, made: Mapping[str, Sequence[str]]) -> None:
    """`made`: kind → ids of what the request has made."""
    for kind, ids in made.items():
        if tags := specified(call, kind):
            await write(call, ids, tags)


async def write(call: Ec2Call, ids: Sequence[str], tags: Mapping[str, str]) -> None:
    """Set these tags, beside others that are there."""
    for each in ids:
        if each.startswith("i-"):
            await call.compute.post(f"/servers/{INSTANCE.uuid(each)}/metadata", {"metadata": dict(tags)})
    kept = [each for each in ids if not each.startswith("i-")]
    rows = [
        {"project_id": call.project_id, "resource_id": each, "key": key, "value": value}
        for each in kept
        for key, value in tags.items()
    ]
    try:
        async with call.database.transaction() as tx:
            await store.remove(tx.connection, project_id=call.project_id, resource_id=kept, key=list(tags))
            for each in kept:
                held = await store.count(tx.connection, project_id=call.project_id, resource_id=each)
                if held + len(tags) > MOST:
                    raise coded("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
            await store.add(tx.connection, *rows)
    except DuplicateRow:
        raise coded("ConcurrentTagAccess", "The tags are being changed by another request.") from None


async def erase(call: Ec2Call, ids: Sequence[str], tags: Mapping[str, str | None]) -> None:
    """Remove tags: all of them where none is named, else those of these keys, with this value where one is given."""
    for each in ids:
        if each.startswith("i-"):
            await _erase_metadata(call, INSTANCE.uuid(each), tags)
    kept = [each for each in ids if not each.startswith("i-")]
    async with call.database.transaction() as tx:
        where: dict[str, Any] = {"project_id": call.project_id, "resource_id": kept}
        if not tags:
            await store.remove(tx.connection, **where)
        for key, value in tags.items():
            await store.remove(tx.connection, **where, key=key, **({} if value is None else {"value": value}))


async def _erase_metadata(call: Ec2Call, server_id: str, tags: Mapping[str, str | None]) -> None:
    path = f"/servers/{server_id}/metadata"
    held = (await call.compute.get(path))["metadata"]
    wanted = tags or dict.fromkeys(key for key in held if not key.startswith(OWN))
    for key, value in wanted.items():
        if key in held and value in (None, held[key]):
            await call.compute.delete(f"{path}/{key}")


async def forget(call: Ec2Call, resource_id: str) -> None:
    """Of what is no more."""
    async with call.database.transaction() as tx:
        await store.remove(tx.connection, project_id=call.project_id, resource_id=resource_id)

"""Client tokens: an action that is asked for again with its token is not taken again, and answered as the first time."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from kilonova.core.clock import iso_micro
from kilonova.core.db import DuplicateRow
from kilonova.ec2.call import Ec2Call
from kilonova.ec2.errors import coded
from kilonova.ec2.store.records import ClientTokenRow
from kilonova.ec2.store.records import client_tokens as store


async def once(call: Ec2Call, make: Callable[[], Awaitable[list[str]]]) -> list[str]:
    """The ids that `make` makes, or made when it was asked for with this token. Raises CodedError for other parameters with a
    token that was used, and while the first request is still under way."""
    token = call.params.get("ClientToken")
    if not token:
        return await make()
    if len(token) > 64:
        raise coded("InvalidParameterValue", "A client token has at most 64 characters.")
    key: dict[str, Any] = {"project_id": call.project_id, "token": token}
    known = await _begin(call, key, _digest(call))
    if known is not None:
        return known
    try:
        made = await make()
    except BaseException:
        async with call.database.transaction() as tx:
            await store.remove(tx.connection, **key)
        raise
    async with call.database.transaction() as tx:
        await store.change(tx.connection, {"result": msgspec.json.encode(made).decode()}, **key)
    return made


async def _begin(call: Ec2Call, key: dict[str, Any], digest: str) -> list[str] | None:
    row = key | {"digest": digest, "made_at": iso_micro(call.cloud.clock.now())}
    try:
        async with call.database.transaction() as tx:
            await store.add(tx.connection, row)
        return None
    except DuplicateRow:
        async with call.database.reading() as connection:
            known: ClientTokenRow | None = await store.get(connection, **key)
    if known is None or known.result is None:
        raise coded("ConcurrentIdempotentRequest", "The first request with this client token is still under way.")
    if known.digest != digest:
        raise coded("IdempotentParameterMismatch", "The client token was used with other parameters.")
    return msgspec.json.decode(known.result, type=list[str])


def _digest(call: Ec2Call) -> str:
    params = {name: value for name, value in call.params.items() if name != "ClientToken"}
    return hashlib.sha256(msgspec.json.encode(params, order="deterministic")).hexdigest()

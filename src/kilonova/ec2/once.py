"""Client tokens: an action that is asked for again with its token is not taken again, and answered as the first time. A token
whose action was cut off (the process died) is good for another try after `CUT_OFF`."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from kilonova.core.clock import iso_micro
from kilonova.core.db import DuplicateRow, retried
from kilonova.ec2.call import Ec2Call
from kilonova.ec2.errors import coded
from kilonova.ec2.store.records import ClientTokenRow
from kilonova.ec2.store.records import client_tokens as store

CUT_OFF = dt.timedelta(minutes=15)
"""No action is under way for so long."""


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
    except Exception:  # not where this process ends meanwhile: what was asked for may have been done
        await _end(call, key, None)
        raise
    await _end(call, key, made)
    return made


@retried
async def _end(call: Ec2Call, key: dict[str, Any], made: list[str] | None) -> None:
    """None: the action failed, and the token is as if it was not used."""
    async with call.database.transaction() as tx:
        if made is None:
            await store.remove(tx.connection, **key)
        else:
            await store.change(tx.connection, {"result": msgspec.json.encode(made).decode()}, **key)


async def _begin(call: Ec2Call, key: dict[str, Any], digest: str) -> list[str] | None:
    now = call.cloud.clock.now()
    row = key | {"digest": digest, "made_at": iso_micro(now)}
    try:
        async with call.database.transaction() as tx:
            await store.add(tx.connection, row)
        return None
    except DuplicateRow:
        async with call.database.reading() as connection:
            known: ClientTokenRow | None = await store.get(connection, **key)
    if known is not None and known.digest != digest:
        raise coded("IdempotentParameterMismatch", "The client token was used with other parameters.")
    if known is not None and known.result is not None:
        return msgspec.json.decode(known.result, type=list[str])
    if known is not None and known.made_at < iso_micro(now - CUT_OFF) and await _taken_over(call, row, known):
        return None
    raise coded("ConcurrentIdempotentRequest", "The first request with this client token is still under way.")


@retried
async def _taken_over(call: Ec2Call, row: dict[str, Any], known: ClientTokenRow) -> bool:
    """The token of an action that was cut off is this request's; of several at once, one gets it."""
    was = {"project_id": known.project_id, "token": known.token, "made_at": known.made_at}
    async with call.database.transaction() as tx:
        return bool(await store.change(tx.connection, {"made_at": row["made_at"]}, **was))


def _digest(call: Ec2Call) -> str:
    params = {name: value for name, value in call.params.items() if name != "ClientToken"}
    return hashlib.sha256(msgspec.json.encode(params, order="deterministic")).hexdigest()

"""Client tokens of EC2: an action is taken once, also when the process that took it died."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kilonova import ec2
from kilonova.core.db import Database
from kilonova.ec2.errors import CodedError
from kilonova.ec2.once import CUT_OFF, once
from kilonova.ec2.tables import metadata
from tests.support import make_core

BEGIN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    core, _, _ = make_core(tmp_path)
    made = core.database("ec2", metadata)
    await core.settle(made, Path(ec2.__file__).parent / "migrations")
    yield made
    await made.close()


async def ask(
    database: Database, made: Any, *, after: dt.timedelta = dt.timedelta(), image: str = "ami-1"
) -> list[str]:
    clock = SimpleNamespace(now=lambda: BEGIN + after)
    call: Any = SimpleNamespace(
        params={"ClientToken": "t", "ImageId": image}, project_id="p", database=database, cloud=SimpleNamespace(clock=clock)
    )  # fmt: skip

    async def make() -> list[str]:
        if isinstance(made, BaseException):
            raise made
        return list(made)

    return await once(call, make)


async def refused(asked: Any) -> str:
    with pytest.raises(CodedError) as found:
        await asked
    return found.value.code


async def test_the_first_answer_is_given_again(database: Database) -> None:
    assert await ask(database, ["i-1"]) == ["i-1"]
    assert await ask(database, ["i-2"], after=10 * CUT_OFF) == ["i-1"]
    assert await refused(ask(database, [], image="ami-2")) == "IdempotentParameterMismatch"


async def test_what_failed_may_be_tried_again(database: Database) -> None:
    with pytest.raises(ValueError, match="no"):
        await ask(database, ValueError("no"))
    assert await ask(database, ["i-1"]) == ["i-1"]


async def test_a_token_of_a_process_that_died_is_not_under_way_for_ever(database: Database) -> None:
    with pytest.raises(asyncio.CancelledError):
        await ask(database, asyncio.CancelledError())
    assert await refused(ask(database, ["i-1"], after=CUT_OFF)) == "ConcurrentIdempotentRequest"
    late = CUT_OFF + dt.timedelta(seconds=1)
    tries = [ask(database, [f"i-{n}"], after=late) for n in range(2)]
    answers = await asyncio.gather(*tries, return_exceptions=True)
    made = [answer for answer in answers if isinstance(answer, list)]
    assert made
    assert await ask(database, ["i-9"], after=late) == made[0]

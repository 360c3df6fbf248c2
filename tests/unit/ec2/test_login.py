"""What changes something is done once for each signature."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest

from kilonova.core.cache import MemoryCache
from kilonova.core.context import RequestContext
from kilonova.ec2 import errors, login
from kilonova.identity.signatures import Signed

NOW = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)


def compact(moment: dt.datetime) -> str:
    return moment.strftime("%Y%m%dT%H%M%SZ")


def presigned(moment: dt.datetime) -> Signed:
    params = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Date": compact(moment), "X-Amz-Expires": "604800",
        "X-Amz-Credential": f"key/{moment:%Y%m%d}/RegionOne/ec2/aws4_request", "X-Amz-SignedHeaders": "host",
    }  # fmt: skip
    return Signed(access="key", signature="s", params=params)


def by_header(moment: dt.datetime) -> Signed:
    said = (
        f"AWS4-HMAC-SHA256 Credential=key/{moment:%Y%m%d}/RegionOne/ec2/aws4_request, SignedHeaders=host, Signature=s"
    )
    return Signed(access="key", signature="s", headers={"Authorization": said, "X-Amz-Date": compact(moment)})


def of_old(moment: dt.datetime) -> Signed:
    return Signed(access="key", signature="s", params={"Timestamp": moment.isoformat()})


def until(moment: dt.datetime) -> Signed:
    return Signed(access="key", signature="s", params={"Expires": (moment + dt.timedelta(days=1)).isoformat()})


@pytest.mark.parametrize("sign", [presigned, by_header, of_old, until])
async def test_a_request_is_done_once(monkeypatch: pytest.MonkeyPatch, sign: Any) -> None:
    async def signed_login(*_: Any) -> RequestContext:
        return RequestContext(request_id="r")

    monkeypatch.setattr(login, "signed_login", signed_login)
    clock = SimpleNamespace(now=lambda: NOW)
    at = login.Login(SimpleNamespace(client=str, cache=MemoryCache(), clock=clock, region="RegionOne"))  # type: ignore[arg-type]
    request = sign(NOW - dt.timedelta(minutes=5))
    await at.login(request, "RunInstances", "req-1")
    with pytest.raises(errors.RequestRepeated):
        await at.login(request, "RunInstances", "req-2")
    await at.login(request, "DescribeInstances", "req-3")  # reading may be repeated


@pytest.mark.parametrize("sign", [presigned, by_header, of_old])
async def test_equal_requests_of_one_second_are_two(monkeypatch: pytest.MonkeyPatch, sign: Any) -> None:
    async def signed_login(*_: Any) -> RequestContext:
        return RequestContext(request_id="r")

    monkeypatch.setattr(login, "signed_login", signed_login)
    clock = SimpleNamespace(now=lambda: NOW)
    at = login.Login(SimpleNamespace(client=str, cache=MemoryCache(), clock=clock, region="RegionOne"))  # type: ignore[arg-type]
    for number in range(2):
        await at.login(sign(NOW), "RunInstances", f"req-{number}")

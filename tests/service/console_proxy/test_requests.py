"""Tokens and origins, as browsers name them."""

from __future__ import annotations

import pytest

from kilonova.compute.console_options import ConsoleOptions
from kilonova.compute.console_proxy.requests import comes_from_us, token_of

TOKEN = "x" * 42 + "-"
HTTP, HTTPS = "http://cloud:8774/console", "https://cloud/console"


@pytest.mark.parametrize(
    ("query", "cookie", "found"),
    [
        (f"token={TOKEN}", None, TOKEN), ("", f"token={TOKEN}", TOKEN), ("", f"a=b; token={TOKEN}; c=d", TOKEN),
        ("", f"bad[name]=1; token={TOKEN}", TOKEN), (f"token=bad{TOKEN}", None, None), ("token=", f"token={TOKEN}", TOKEN),
        (f"token={TOKEN[:-1]}%0A", None, None), ("", None, None), (f"path=%3Ftoken%3D{TOKEN}", None, None),
        ("", f"path=%3Ftoken%3D{TOKEN}", None), ("", 'token="', None), (f"token={TOKEN}&token=other", None, None),
        ("token=" + "y" * 60000, None, None),
    ],
)  # fmt: skip
def test_where_a_token_is(query: str, cookie: str | None, found: str | None) -> None:
    headers = [] if cookie is None else [(b"cookie", cookie.encode())]
    assert token_of({"query_string": query.encode(), "headers": headers}) == found


@pytest.mark.parametrize(
    ("base", "host", "origin", "allowed"),
    [
        (HTTP, "cloud:8774", None, True),
        (HTTP, "cloud:8774", "http://cloud:8774", True),
        (HTTP, "cloud:8774", "http://CLOUD:8774", True),
        (HTTP, "cloud:8774", "http://cloud", False),
        (HTTP, "cloud:8774", "http://cloud:8775", False),
        (HTTP, "cloud:8774", "http://evil", False),
        (HTTP, "cloud:8774", "http://cloud:8774.evil", False),
        (HTTP, "cloud:8774", "null", False),
        (HTTP, "cloud:8774", "", False),
        (HTTP, "cloud:8774", "file://", False),
        (HTTP, "cloud:8774", "http://cloud:99999", False),
        (HTTP, "cloud:8774", "https://portal.example", True),
        (HTTP, "cloud:8774", "http://portal.example", False),
        (HTTPS, "cloud", "https://cloud", True),
        (HTTPS, "cloud:443", "https://cloud", True),
        (HTTPS, "cloud", "https://cloud:443", True),
        (HTTPS, "cloud", "http://cloud", False),
        (HTTPS, "cloud", "https://cloud:8443", False),
    ],
)
def test_whose_page_it_is(base: str, host: str, origin: str | None, allowed: bool) -> None:
    headers = [(b"host", host.encode()), *([] if origin is None else [(b"origin", origin.encode())])]
    assert comes_from_us({"headers": headers}, base, ["https://portal.example"]) == allowed


def test_two_origins_are_none() -> None:
    headers = [(b"host", b"cloud:8774"), (b"origin", b"http://cloud:8774"), (b"origin", b"http://evil")]
    assert not comes_from_us({"headers": headers}, HTTP, [])


@pytest.mark.parametrize("origin", ["https://portal.example", "http://10.0.0.1:8080", "https://[2001:db8::1]:443"])
def test_origins_that_settings_may_allow(origin: str) -> None:
    assert ConsoleOptions(allowed_origins=(origin,)).allowed_origins == (origin,)


@pytest.mark.parametrize(
    "origin", ["portal.example", "*", "https://a/b", "https://a; script-src *", "ftp://a", "https://a b"]
)
def test_origins_that_settings_may_not_allow(origin: str) -> None:
    with pytest.raises(ValueError, match="allowed_origins"):
        ConsoleOptions(allowed_origins=(origin,))

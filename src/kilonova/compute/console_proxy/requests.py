"""What a browser says when it asks for a console: the token, and the page that it comes from."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
"""As the compute API makes them: others are refused without asking anyone."""
PORTS = {"http": 80, "https": 443}


def token_of(scope: Any) -> str | None:
    """Of the query, else of the cookie `token`, which pages of older versions of noVNC set; None where there is none that could
    be one of ours."""
    given = parse_qs(scope["query_string"].decode("latin-1")).get("token") or _cookies(scope).get("token") or []
    return given[-1] if given and TOKEN.fullmatch(given[-1]) else None


def _cookies(scope: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        for part in value.decode("latin-1").split(";") if name == b"cookie" else ():
            try:
                for key, morsel in SimpleCookie(part.strip()).items():
                    found.setdefault(key, []).append(morsel.value)
            except CookieError:  # of another application of the same host
                continue
    return found


def comes_from_us(scope: Any, base: str, allowed: Iterable[str]) -> bool:
    """Whether the page that opens the WebSocket is one of ours, or of an allowed origin. Clients that are no browsers name
    none."""
    named = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
    if not named:
        return True
    hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    origin = _place(urlsplit(named[0])) if len(named) == 1 else None
    if origin is None:
        return False
    ours = {_place(urlsplit(one)) for one in allowed}
    if origin[0] == "https" or not base.startswith("https:"):  # a page without TLS is none of ours where ours have it
        ours |= {_place(urlsplit(f"{origin[0]}://{host}")) for host in hosts}
    return origin in ours


def _place(url: SplitResult) -> tuple[str, str, int] | None:
    """Scheme, host and port; None for what is no origin."""
    try:
        port = url.port
    except ValueError:
        return None
    if url.scheme not in PORTS or not url.hostname:
        return None
    return url.scheme, url.hostname, port or PORTS[url.scheme]

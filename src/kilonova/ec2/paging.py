"""`MaxResults` and `NextToken`: a page's token is the place of its first item."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from kilonova.ec2.errors import InvalidParameterCombination, InvalidParameterValue

LEAST, MOST = 5, 1000


def paged(items: Sequence[Any], params: Mapping[str, Any], *, ids: str = "") -> tuple[list[Any], str | None]:
    """(the items of the page that is asked for, the next page's token). `ids` names the parameter that names items, which can't
    be had in pages."""
    asked, token = params.get("MaxResults"), params.get("NextToken")
    if asked is None:
        return list(items[_start(token) :]), None
    if ids and params.get(ids):
        raise InvalidParameterCombination(
            reason=f"The parameter {ids} cannot be used with the parameter maxResults in the same request"
        )
    if not LEAST <= asked <= MOST:
        reason = f"Expecting a value between {LEAST} and {MOST}."
        raise InvalidParameterValue(name="maxResults", value=asked, reason=reason)
    start = _start(token)
    end = start + asked
    return list(items[start:end]), _token(end) if end < len(items) else None


def _token(start: int) -> str:
    return base64.urlsafe_b64encode(f"at {start}".encode()).decode()


def _start(token: str | None) -> int:
    if not token:
        return 0
    try:
        word, _, number = base64.urlsafe_b64decode(token.encode()).decode().partition(" ")
        if word == "at" and number.isascii() and number.isdigit() and len(number) < 10:
            return int(number)
    except ValueError:
        pass
    raise InvalidParameterValue(name="nextToken", value=token[:100], reason="It is not a token of ours.")

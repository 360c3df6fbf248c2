"""What may be wrong in a body: one value of it at a time, or the text itself."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

DEEP: Any = "deep"
for _ in range(500):
    DEEP = [DEEP]
NASTY: list[Any] = [
    None, True, 0, -1, 1.5, 2**31, 2**63, 2**64, -(2**63) - 1, 10**400, 1e300, "", " ", "x" * 300, "x" * 70_000, "\0", "a\0b",
    "\ud800", "a\nb", "a\r\nX-Evil: 1", "\u202e\u0000\uffff", "😀" * 100, "fe80::1%eth0", "fe80::%lo\n-I INPUT 1 -j ACCEPT/64",
    "10.0.0.0/8\n", "0.0.0.0/0", "::/0", "::ffff:1.2.3.4", "1e9", "٣", "2099-13-45T99:99:99Z", "../../etc/passwd", "%s%n{0}${x}",
    "' OR 1=1 --", "http://[::1", "a?" * 30 + "a" * 30, "nan", "-0", "True", "null",
    [], {}, [[]], [None], ["x"] * 3, {"x": "y"}, {"": ""}, ["x"] * 2000, {str(n): n for n in range(500)}, DEEP,
]  # fmt: skip
RAW: list[bytes] = [
    b"", b"null", b"[]", b"{}", b'""', b"0", b"{", b"\xff\xfe", b"\xef\xbb\xbf{}", b"[" * 100_000, b'{"a":' * 50_000,
    b'{"x": NaN}', b'{"x": 1e400}', b'{"\\ud800": 1}', b"\0", b"a=b&c=d",
]  # fmt: skip
"""Whole texts in the body's place."""


def mutants(body: Any, seed: str, count: int | None) -> Iterator[bytes]:
    """Texts made of the body, the same ones for the same seed: `count` of them, or all."""
    every = [*RAW, *_doubled(body), *(_text(one) for one in _changed(body))]
    chosen = every if count is None or count >= len(every) else random.Random(seed).sample(every, count)
    yield from chosen


def _changed(body: Any) -> Iterator[Any]:
    for place in _places(body):
        for value in NASTY:
            yield _replaced(body, place, value)
        if place:
            yield _replaced(body, place, None, removed=True)
            yield _replaced(body, (*place[:-1], "unexpected"), "x") if isinstance(place[-1], str) else body


def _places(body: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield before
    inner = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for key, value in inner:
        yield from _places(value, (*before, key))


def _replaced(body: Any, place: tuple[Any, ...], value: Any, *, removed: bool = False) -> Any:
    if not place:
        return value
    made = copy.deepcopy(body)
    inner = made
    for key in place[:-1]:
        inner = inner[key]
    if removed:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return made


def _doubled(body: Any) -> Iterator[bytes]:
    """A key twice; and the body inside a list, as a bulk request has it."""
    text = json.dumps(body)
    if isinstance(body, dict) and body:
        yield f"{{{text[1:-1]}, {text[1:-1]}}}".encode()
        yield f"[{text}]".encode()


def _text(body: Any) -> bytes:
    return json.dumps(body).encode()  # lone surrogates come out as escapes

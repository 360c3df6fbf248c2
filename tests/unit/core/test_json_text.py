"""What is refused of well-formed JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilonova.core.web.json_text import DEEPEST, is_deep, unfit

texts = st.sampled_from(["", "a", "[", "]{", '"[', "\\", '\\"]', "\\u0000", "{}"])
leaves = texts | st.integers() | st.none()


def depth(value: Any) -> int:
    if not isinstance(value, dict | list):
        return 0
    return 1 + max(map(depth, value.values() if isinstance(value, dict) else value), default=0)


@given(st.lists(st.tuples(st.booleans(), texts, leaves), min_size=DEEPEST - 4, max_size=DEEPEST + 4), leaves)
def test_depth_is_measured_whatever_texts_hold(levels: list[tuple[bool, str, Any]], value: Any) -> None:
    for is_list, key, beside in levels:
        value = [beside, value, beside] if is_list else {f"{key}0": beside, f"{key}1": value, f"{key}2": beside}
    raw = json.dumps(value).encode()
    assert is_deep(raw) == (depth(value) > DEEPEST)
    assert unfit(raw) is None or is_deep(raw)


MALFORMED = [
    b"[" * 5, b"[" * 1000 + b"x", b"]" * 1000, b'"[' * 1000, b'"\\' * 1000 + b"[" * 100, b"[}" * 1000, b"\xff" + b"[" * 100,
]  # fmt: skip


@pytest.mark.parametrize("raw", MALFORMED)
def test_what_is_malformed_is_left_to_the_decoder(raw: bytes) -> None:
    assert unfit(raw) in (None, f"the body is nested more than {DEEPEST} levels deep")


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"a": "\0"}, "a"),
        ({"a": [1, {"b": "x\0"}]}, "a[1].b"),
        ({"\0": 1}, "the body"),
        (["\\\0"], "[0]"),
        ("\0", "the body"),
    ],
)
def test_a_nul_is_named_by_its_place(body: Any, place: str) -> None:
    assert unfit(json.dumps(body).encode()) == f"{place} holds a NUL character"


@pytest.mark.parametrize("body", ["\\u0000", "\\\\u0000", "u0000"])
def test_a_backslash_is_no_nul(body: str) -> None:
    assert unfit(json.dumps([body]).encode()) is None

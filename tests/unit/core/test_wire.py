"""Wire shapes: fields that exist in some microversions only."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType

from kilonova.core.errors import BadRequest, NotAcceptable
from kilonova.core.web.microversion import Microversions
from kilonova.core.web.wire import Body, Version, View, at_version, encode, present, versions


class Item(Body):
    id: int
    old: Annotated[str | UnsetType, versions(until="2.5")] = UNSET
    new: Annotated[list[int] | UnsetType, versions("2.6")] = UNSET


class Thing(Body):
    name: str
    description: Annotated[str | UnsetType | None, versions("2.4")] = UNSET
    hints: Annotated[dict[str, int], versions("2.8")] = msgspec.field(default_factory=dict)
    policies: Annotated[list[str] | UnsetType, versions(until="2.6", name="policy")] = UNSET
    policy_one: Annotated[str | UnsetType, versions("2.7", name="policy")] = UNSET
    window: Annotated[int | UnsetType, versions("2.3", "2.6")] = UNSET
    first: Item | None = None
    items: list[Item] = msgspec.field(default_factory=list)
    by_name: dict[str, Item] = msgspec.field(default_factory=dict)
    either: Item | int | UnsetType = UNSET


def test_lenient_shapes_pass_over_what_they_do_not_know():
    raw = b'{"name": "n", "colour": 1, "first": {"id": 1, "old": "o", "shape": 2}, "items": [{"id": 2, "new": [1]}]}'
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(raw, type=at_version(Thing, v(4)))
    found = msgspec.json.decode(raw, type=at_version(Thing, v(4), lenient=True))
    assert (found.name, found.first.id, found.first.old, found.items[0].id) == ("n", 1, "o", 2)
    assert found.items[0].new is UNSET  # not there at this version
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"name": 3}', type=at_version(Thing, v(4), lenient=True))


def v(minor: int) -> Version:
    return Version(2, minor)


def decode(data: Any, minor: int) -> Thing:
    made: Thing = msgspec.json.decode(msgspec.json.encode(data), type=at_version(Thing, v(minor)))
    return made


RANGES: list[tuple[str, Any, int, int]] = [
    # wire name, a good value, since, until
    ("description", "x", 4, 999),
    ("hints", {"a": 1}, 8, 999),
    ("window", 3, 3, 6),
]


@pytest.mark.parametrize(("name", "value", "since", "until"), RANGES)
def test_a_field_exists_in_its_range_alone(name: str, value: Any, since: int, until: int) -> None:
    for minor in (1, since - 1, since, since + 1, until - 1, until, min(until + 1, 999)):
        if since <= minor <= until:
            thing = decode({"name": "n", name: value}, minor)
            assert getattr(thing, name) == value
            assert msgspec.json.decode(encode(thing, v(minor)))[name] == value
        else:
            with pytest.raises(msgspec.ValidationError, match=name):
                decode({"name": "n", name: value}, minor)
            assert name not in msgspec.json.decode(encode(Thing(name="n", **{name: value}), v(minor)))


def test_two_fields_share_a_name_in_different_ranges() -> None:
    assert decode({"name": "n", "policy": ["a"]}, 6).policies == ["a"]
    assert decode({"name": "n", "policy": "a"}, 7).policy_one == "a"
    for minor, wrong in ((6, "a"), (7, ["a"])):
        with pytest.raises(msgspec.ValidationError, match="policy"):
            decode({"name": "n", "policy": wrong}, minor)
    both = Thing(name="n", policies=["a"], policy_one="b")
    assert msgspec.json.decode(encode(both, v(6)))["policy"] == ["a"]
    assert msgspec.json.decode(encode(both, v(7)))["policy"] == "b"


def test_inner_names_are_never_met_on_the_wire() -> None:
    for name in ("policies", "policy_one", " description", " hints"):
        with pytest.raises(msgspec.ValidationError):
            decode({"name": "n", name: "x"}, 2)


HOLDERS = [
    ("first", lambda i: i),
    ("items", lambda i: [i, i]),
    ("by_name", lambda i: {"old": i}),
    ("either", lambda i: i),
]


@pytest.mark.parametrize(("field", "hold"), HOLDERS)
def test_ranges_hold_inside_other_shapes(field: str, hold: Any) -> None:
    for minor, there, gone in ((5, {"old": "x"}, {"new": [1]}), (6, {"new": [1]}, {"old": "x"})):
        good = decode({"name": "n", field: hold({"id": 1} | there)}, minor)
        assert msgspec.json.decode(encode(good, v(minor)))[field] == hold({"id": 1} | there)
        with pytest.raises(msgspec.ValidationError):
            decode({"name": "n", field: hold({"id": 1} | gone)}, minor)
        both = Thing(name="n", **{field: hold(Item(id=1, old="x", new=[1]))})
        assert msgspec.json.decode(encode(both, v(minor)))[field] == hold({"id": 1} | there)


def test_what_is_left_out_stays_left_out() -> None:
    assert msgspec.json.decode(encode(Thing(name="n"), v(9))).keys() == {"name", "hints", "first", "items", "by_name"}
    assert decode({"name": "n"}, 9).description is UNSET
    assert decode({"name": "n", "description": None}, 9).description is None
    assert decode({"name": "n"}, 1).hints == {}
    assert (present(UNSET, 4), present(0, 4), present(None, 4)) == (4, 0, None)


def test_requests_are_strict_and_views_are_not() -> None:
    class Loose(View):
        name: str
        extra: Annotated[int | UnsetType, versions("2.4")] = UNSET

    with pytest.raises(msgspec.ValidationError, match="colour"):
        decode({"name": "n", "colour": 1}, 9)
    loose = msgspec.json.decode(b'{"name":"n","colour":1,"extra":2}', type=at_version(Loose, v(3)))
    assert loose.extra is UNSET


@given(
    minor=st.integers(0, 12),
    items=st.lists(st.tuples(st.integers(), st.text(), st.lists(st.integers(0, 9)))),
    description=st.none() | st.text() | st.just(UNSET),
    policies=st.lists(st.text()) | st.just(UNSET),
    one=st.text() | st.just(UNSET),
    window=st.integers() | st.just(UNSET),
    hints=st.dictionaries(st.text(), st.integers()),
)
def test_what_is_encoded_at_a_version_decodes_at_it(
    minor: int, items: list[Any], description: Any, policies: Any, one: Any, window: Any, hints: Any
) -> None:
    many = [Item(id=i % (1 << 62), old=old, new=new) for i, old, new in items]
    thing = Thing(
        name="n", description=description, policies=policies, policy_one=one, window=window % 100 if window else UNSET,
        hints=hints, items=many, first=many[0] if many else None, by_name={str(n): i for n, i in enumerate(many)},
    )  # fmt: skip
    wire = encode(thing, v(minor))
    again: Thing = msgspec.json.decode(wire, type=at_version(Thing, v(minor)))
    plain = msgspec.json.decode(wire)
    assert msgspec.json.decode(encode(again, v(minor))) == plain
    assert ("description" in plain) == (minor >= 4 and description is not UNSET)
    assert ("hints" in plain) == (minor >= 8)
    assert all(("old" in item) == (minor <= 5) and ("new" in item) == (minor >= 6) for item in plain["items"])
    if minor <= 12:
        unversioned = msgspec.json.decode(encode(thing, None))
        assert set(plain) <= set(unversioned) | {"policy"}


@given(st.text(max_size=20))
def test_a_version_is_two_plain_numbers(text: str) -> None:
    try:
        version = Version.parse(text)
    except ValueError:
        return
    assert str(version) == text


@pytest.mark.parametrize(
    "bad", ["", "2", "2.", ".1", "2.1.1", "v2.1", "2.01", "02.1", "2.-1", " 2.1", "2.1 ", "٢.١", "9" * 20]
)
def test_what_is_no_version(bad: str) -> None:
    with pytest.raises(ValueError):
        Version.parse(bad)


# ---- negotiation

MICRO = Microversions("compute", Version(2, 1), Version(2, 96), "X-OpenStack-Nova-API-Version")
OLD = "x-openstack-nova-api-version"
NEW = "openstack-api-version"
NEGOTIATED: list[tuple[dict[str, str], str | type[Exception]]] = [
    ({}, "2.1"),
    ({NEW: ""}, "2.1"),
    ({NEW: "compute 2.50"}, "2.50"),
    ({NEW: "Compute   2.50"}, "2.50"),
    ({NEW: "compute latest"}, "2.96"),
    ({NEW: "compute LATEST"}, "2.96"),
    ({NEW: "volume 3.50"}, "2.1"),
    ({NEW: "volume 3.50, compute 2.4"}, "2.4"),
    ({NEW: "compute"}, "2.1"),
    ({OLD: "2.7"}, "2.7"),
    ({OLD: " latest "}, "2.96"),
    ({OLD: "2.7", NEW: "compute 2.9"}, "2.9"),
    ({OLD: "2.7", NEW: "volume 3.0"}, "2.7"),
    ({NEW: "compute 2.1"}, "2.1"),
    ({NEW: "compute 2.96"}, "2.96"),
    ({NEW: "compute 2.0"}, NotAcceptable),
    ({NEW: "compute 2.97"}, NotAcceptable),
    ({NEW: "compute 3.1"}, NotAcceptable),
    ({NEW: "compute 2.1000000000000000"}, BadRequest),
    ({NEW: "compute two"}, BadRequest),
    ({OLD: "2.01"}, BadRequest),
]


@pytest.mark.parametrize(("headers", "wanted"), NEGOTIATED)
def test_negotiation(headers: dict[str, str], wanted: Any) -> None:
    if isinstance(wanted, str):
        version = MICRO.negotiate(headers)
        assert str(version) == wanted
        assert MICRO.reply_headers(version) == {
            "OpenStack-API-Version": f"compute {wanted}",
            "X-OpenStack-Nova-API-Version": wanted,
            "Vary": "OpenStack-API-Version, X-OpenStack-Nova-API-Version",
        }
    else:
        with pytest.raises(wanted):
            MICRO.negotiate(headers)

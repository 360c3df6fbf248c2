"""Sets of prefixes, beside Python's own addresses one by one."""

from __future__ import annotations

import random

from kilonova.core.addresses import parse_network
from kilonova.network.ipam.prefixes import Spans, covers, fitting, overlap, prefixes, spans, without


def of(*texts: str) -> Spans:
    return spans(parse_network(text) for text in texts)


def texts(found: Spans, version: int = 4) -> list[str]:
    return [str(one) for one in prefixes(found, version)]


def test_neighbours_and_what_lies_within_become_one() -> None:
    assert texts(of("10.0.1.0/24", "10.0.0.0/24", "10.0.0.8/29", "10.0.3.0/24")) == ["10.0.0.0/23", "10.0.3.0/24"]
    assert texts(of("2001:db8:3::1/48", "2001:db8:2::/48"), 6) == ["2001:db8:2::/47"]
    assert texts(of("0.0.0.0/1", "128.0.0.0/1")) == ["0.0.0.0/0"]


def test_what_is_left() -> None:
    assert texts(without(of("10.0.0.0/24"), of("10.0.0.64/26"))) == ["10.0.0.0/26", "10.0.0.128/25"]
    assert texts(without(of("10.0.0.0/24"), of("10.0.0.0/16"))) == []
    assert texts(without(of("10.0.0.0/24", "10.9.0.0/24"), of("10.5.0.0/24"))) == ["10.0.0.0/24", "10.9.0.0/24"]


def test_as_sets_of_addresses_say() -> None:
    rng = random.Random(7)
    for _ in range(300):
        one, other = (
            [f"10.0.0.{rng.randrange(256)}/{rng.randint(26, 32)}" for _ in range(rng.randint(0, 5))] for _ in "ab"
        )
        sets = [{int(address) for text in some for address in parse_network(text)} for some in (one, other)]
        left = without(of(*one), of(*other))
        assert {n for first, last in left for n in range(first, last + 1)} == sets[0] - sets[1]
        assert left == spans(prefixes(left, 4))
        assert overlap(of(*one), of(*other)) == bool(sets[0] & sets[1])
        assert covers(of(*one), of(*other)) == (sets[1] <= sets[0])


def test_the_smallest_that_fits_is_cut_first() -> None:
    free = [parse_network(text) for text in ("10.0.0.0/16", "10.2.0.0/24", "10.3.0.0/24", "10.4.0.0/25")]
    for prefixlen, found in ((16, "10.0.0.0/16"), (24, "10.2.0.0/24"), (25, "10.4.0.0/25"), (30, "10.4.0.0/30")):
        assert str(fitting(free, prefixlen)) == found
    assert fitting(free, 15) is None
    assert fitting([], 32) is None

"""What a subnet pool may look like: its prefixes and the lengths of what is taken from them; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET

from kilonova.core.addresses import IPNetwork, parse_network
from kilonova.network.errors import HTTPBadRequest
from kilonova.network.ipam.prefixes import Spans, prefixes, spans
from kilonova.network.resources.subnetpools import errors

LENGTHS = ("min_prefixlen", "max_prefixlen", "default_prefixlen")


@dataclass(frozen=True)
class Family:
    """Of an IP version: the longest prefix, the shortest unless a pool says another, and the length of the prefixes that quotas
    count."""

    longest: int
    shortest: int
    counted: int


FAMILIES = {4: Family(32, 8, 32), 6: Family(128, 64, 64)}


def read(asked: Sequence[str]) -> list[IPNetwork]:
    """Host bits are cleared. Raises HTTPBadRequest."""
    if len(set(asked)) < len(asked):
        raise HTTPBadRequest(
            reason=f"Invalid input for prefixes. Reason: Duplicate items in the list: '{', '.join(asked)}'."
        )
    return [_read(text) for text in asked]


def _read(text: str) -> IPNetwork:
    try:
        found = parse_network(text) if "/" in text else None
    except ValueError:
        found = None
    if found is None:
        raise HTTPBadRequest(reason=f"Invalid input for prefixes. Reason: '{text}' is not a valid IP subnet.")
    return found


def version_of(found: Sequence[IPNetwork]) -> int:
    """Raises EmptySubnetPoolPrefixList, PrefixVersionMismatch."""
    if not found:
        raise errors.EmptySubnetPoolPrefixList
    versions = {one.version for one in found}
    if len(versions) > 1:
        raise errors.PrefixVersionMismatch
    return int(versions.pop())


def held(texts: Iterable[str]) -> Spans:
    """Of prefixes that were read before."""
    return spans(parse_network(text) for text in texts)


def texts(found: Spans, version: int) -> list[str]:
    """As they are kept."""
    return [str(one) for one in prefixes(found, version)]


def lengths(version: int, asked: Mapping[str, Any]) -> dict[str, int]:
    """All three; those that were not asked for (UNSET) as upstream has them. Raises IllegalSubnetPoolPrefixBounds."""
    family = FAMILIES[version]
    given = {name: asked[name] for name in LENGTHS if asked[name] is not UNSET}
    least, most = given.get("min_prefixlen", family.shortest), given.get("max_prefixlen", family.longest)
    usual = given.get("default_prefixlen", least)
    for name, value, bound, limit, bad in (
        ("min_prefixlen", least, "max_prefixlen", most, least > most),
        ("max_prefixlen", most, "ip_version_max", family.longest, most > family.longest),
        ("default_prefixlen", usual, "min_prefixlen", least, usual < least),
        ("default_prefixlen", usual, "max_prefixlen", most, usual > most),
    ):
        if bad:
            raise errors.IllegalSubnetPoolPrefixBounds(name=name, value=value, bound=bound, limit=limit)
    return {"min_prefixlen": least, "max_prefixlen": most, "default_prefixlen": usual}

"""What lists of ports may ask for beside plain attributes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kilonova.core.addresses import parse_address
from kilonova.network import errors
from kilonova.network.store import ports as store
from kilonova.network.store.tags import Condition

MAX_PARTS = 64
Conditions = list[Condition]


def conditions(filters: Mapping[str, Sequence[Any]]) -> Conditions:
    """By security group, and by address as in `fixed_ips=ip_address=10.0.0.5`. Raises HTTPBadRequest."""
    found = [store.with_address(key, values) for key, values in _address_filters(filters.get("fixed_ips", [])).items()]
    if "security_groups" in filters:
        found.append(store.with_group(filters["security_groups"]))
    return found


def _part_of_address(text: str) -> str:
    if not re.fullmatch(r"[0-9A-Fa-f:.]*", text):
        raise ValueError(f"{text!r} is no part of an IP address")
    return text


ADDRESS_FILTERS: dict[str, Callable[[str], str]] = {
    "subnet_id": str,
    "ip_address": lambda text: str(parse_address(text)),
    "ip_address_substr": _part_of_address,
}


def _address_filters(texts: Sequence[Any]) -> dict[str, list[str]]:
    """`ip_address=10.0.0.5` and the like, by key."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for text in texts:
        key, _, value = str(text).partition("=")
        try:
            found[key].append(ADDRESS_FILTERS[key](value))
        except KeyError:
            raise errors.HTTPBadRequest(reason=f"Invalid input for fixed_ips. Reason: '{text}' is no filter.") from None
        except ValueError as error:
            raise errors.HTTPBadRequest(reason=f"Invalid input for fixed_ips. Reason: {error}.") from None
    if len(found["ip_address_substr"]) > MAX_PARTS:  # each is a condition of its own
        raise errors.HTTPBadRequest(
            reason=f"Invalid input for fixed_ips. Reason: more than {MAX_PARTS} parts of addresses."
        )
    return {key: values for key, values in found.items() if values}

"""The ports of a port forwarding, and which forwardings exclude each other. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from kilonova.network.resources.base.errors import BadRequest
from kilonova.network.store.port_forwardings import ForwardingRow, first_last

SIDES = ("external", "internal")


class Ports(Protocol):
    """What a body says of them."""

    external_port: int | None
    external_port_range: str | None
    internal_port: int | None
    internal_port_range: str | None


def bad(reason: str) -> BadRequest:
    return BadRequest(resource="port_forwarding", reason=reason)


def ports(asked: Ports) -> dict[str, Any]:
    """The columns of those sides that the body names. Raises BadRequest."""
    found: dict[str, Any] = {}
    for side in SIDES:
        one, several = getattr(asked, f"{side}_port"), getattr(asked, f"{side}_port_range")
        if one is None and several is None:
            continue
        first, last = _range(several) if several is not None else (one, one)
        if one is not None and (one, one) != (first, last):
            raise bad(f"{side}_port {one} and {side}_port_range {several} do not match")
        found |= {f"{side}_port": first if first == last else None, f"{side}_port_range": f"{first}:{last}"}
    return found


def _range(text: str) -> tuple[int, int]:
    first, _, last = text.partition(":")
    low, high = int(first), int(last or first)
    for port in (low, high):
        if not 1 <= port <= 65535:
            raise bad(f"Invalid port: {port}, the port must be in the range [1, 65535]")
    if low > high:
        raise bad("First port in a port range must be lower than the second port")
    return low, high


def check_lengths(columns: Mapping[str, Any]) -> None:
    """One internal port for all external ones, or as many. Raises BadRequest."""
    for side in SIDES:
        if f"{side}_port_range" not in columns:
            raise bad(f"{side}_port or {side}_port_range must be specified")
    (first, last), (outer, outer_last) = (
        first_last(columns[f"{side}_port_range"]) for side in ("internal", "external")
    )
    if last > first and last - first != outer_last - outer:
        raise bad(
            "Invalid ranges of internal and/or external ports. The relation between internal and external ports must be "
            "N-N or 1-N"
        )


def check_collisions(side: str, columns: Mapping[str, Any], others: Iterable[ForwardingRow]) -> None:
    """Raises BadRequest where another one has some of the ports of this side."""
    key = f"{side}_port_range"
    first, last = first_last(columns[key])
    for other in others:
        begins, ends = first_last(getattr(other, key))
        if other.id != columns["id"] and max(first, begins) <= min(last, ends):
            raise bad(
                f"There is a port collision with the {key}. The following ranges collide: {begins}:{ends} and {first}:{last}"
            )

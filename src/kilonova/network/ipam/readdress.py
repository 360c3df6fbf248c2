"""Giving a port that is there other addresses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kilonova.core.db import Connection
from kilonova.network.ipam.addresses import Allocator, Want
from kilonova.network.store import ports as store
from kilonova.network.store.ports import PortRow


async def readdress(connection: Connection, port: PortRow, wants: Sequence[Want]) -> tuple[list[str], bool]:
    """The port gets the addresses asked for, and keeps those it has that fit: (addresses removed, whether anything
    changed). Raises as Allocator.give does."""
    have = list((await store.addresses_of(connection, [port.id])).get(port.id, []))
    new: list[Want] = []
    for want in sorted(wants, key=lambda w: w.address is None):
        match = next((address for address in have if _satisfies(address, want)), None)
        if match is None:
            new.append(want)
        else:
            have.remove(match)
    taken = [address.ip_address for address in have]
    if taken:
        await store.take_address(connection, port.id, taken)
    if new:
        allocator = await Allocator.on(connection, [port.network_id])
        await allocator.give(port.network_id, [(port.id, want) for want in new])
        await allocator.save()
    return taken, bool(taken or new)


def _satisfies(address: Any, want: Want) -> bool:
    if want.subnet_id is not None and address.subnet_id != want.subnet_id:
        return False
    return want.address is None or address.ip_address == str(want.address)

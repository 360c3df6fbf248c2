"""What is inside a router's namespace, item by item, for `kilonova verify`: (kind, name), as wanted and as there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence

from kilonova.network.agent.l3.namespace.links import RouterLinks
from kilonova.network.agent.l3.namespace.meters import Meters
from kilonova.network.agent.l3.namespace.plan import Plan, Route
from kilonova.network.agent.model import MeterModel, router_namespace
from kilonova.network.agent.system import netns
from kilonova.network.agent.system.commands import run

Item = tuple[str, str]
"""Kind is rule, address, route or counter."""


def wanted(planned: Plan, meters: Iterable[MeterModel]) -> set[Item]:
    addresses = {device.name: device.addresses for device in planned.devices}
    return {
        *(("rule", rule) for rule in _rules(planned.nat)),
        *_links(addresses, planned.routes),
        *(("counter", meter.id) for meter in meters),
    }


async def present(router_id: str, links: RouterLinks, meters: Meters, timeout: float) -> set[Item]:
    """Raises DataPlaneError."""
    saved = await run(*netns.entering(router_namespace(router_id)), "iptables-save", timeout=timeout)
    addresses, routes = await asyncio.to_thread(links.contents, router_id)
    counted = await meters.counted(router_id)
    return {
        *(("rule", rule) for rule in _rules(saved)),
        *_links(addresses, routes),
        *(("counter", label_id) for label_id in counted),
    }


def _links(addresses: Mapping[str, Sequence[str]], routes: Iterable[Route]) -> Iterator[Item]:
    for device, held in addresses.items():
        yield from (("address", f"{address} on {device}") for address in held)
    for route in routes:
        yield "route", f"{route.destination} via {route.next_hop} on {route.device}"


def _rules(saved: str) -> Iterator[str]:
    """Of what `iptables-save` writes, or `iptables-restore` reads: the same words, as the latter is written as the former."""
    table = ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith("-A "):
            yield f"{table}: {line.removeprefix('-A ')}"

"""Which connections a change of a router cuts: those that need a translation that is removed, and no others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgspec

from kilonova.core.addresses import parse_interface
from kilonova.network.agent.l3.namespace import rules
from kilonova.network.agent.model import RouterModel
from kilonova.network.agent.system.commands import run

FIELD = re.compile(r"\b(src|dst|sport|dport)=(\S+)")


class Flow(msgspec.Struct, frozen=True):
    """What `conntrack` selects connections by. `ports`: of these, only those to outer ports from the first to the last, which
    are led to `target`."""

    words: tuple[str, ...]
    ports: tuple[int, int] | None = None
    target: str = ""


def flows(router: RouterModel | None) -> dict[Flow, None]:
    """The translations of a router, and the networks that it forwards for."""
    if router is None or not router.admin_state_up:
        return {}
    found: dict[Flow, None] = {}
    for interface in router.interfaces:
        for address in interface.addresses:
            cidr = str(parse_interface(address).network)
            found.update({Flow(("-s", cidr)): None, Flow(("-d", cidr)): None})
    floating, _problems = rules.readable(router)
    for one in floating:
        found.update(dict.fromkeys(_floating(one)))
    gateway = router.gateway
    if gateway is not None and gateway.enable_snat:
        v4 = [parse_interface(address) for address in gateway.addresses]
        found.update({Flow(("--src-nat", str(a.ip))): None for a in v4[:1] if a.version == 4})
    return found


def _floating(one: rules.Floating) -> Iterator[Flow]:
    if one.fixed:
        yield Flow(("-d", one.address, "--reply-src", one.fixed))
        yield Flow(("-s", one.fixed, "--reply-dst", one.address))
    for f in one.forwardings:
        yield Flow(("-p", f.protocol, "-d", one.address, "--reply-src", f.inside), (f.first, f.last), f.target)


def ended(old: RouterModel | None, new: RouterModel | None) -> list[Flow]:
    kept = flows(new)
    return [flow for flow in flows(old) if flow not in kept]


async def cut(namespace: tuple[str, ...], found: Iterable[Flow], timeout: float) -> None:
    """Delete the connections; `namespace` is what runs a command inside."""

    async def conntrack(verb: str, *words: str) -> str:
        version = "ipv6" if any(":" in word for word in words) else "ipv4"
        return await run(*namespace, "conntrack", verb, "-f", version, *words, timeout=timeout, ok=(0, 1))

    for flow in found:
        if flow.ports is None:
            await conntrack("-D", *flow.words)  # 1: there were none
            continue
        for line in (await conntrack("-L", *flow.words)).splitlines():
            tuple_ = dict(reversed(FIELD.findall(line)))  # the first of each name: the way it began
            if tuple_ and flow.ports[0] <= int(tuple_["dport"]) <= flow.ports[1]:
                exact = (
                    "-s",
                    tuple_["src"],
                    "-d",
                    tuple_["dst"],
                    "--sport",
                    tuple_["sport"],
                    "--dport",
                    tuple_["dport"],
                )
                await conntrack("-D", *flow.words[:2], *exact)

"""What the network agent asks of a host's data plane. `bridge` is composed of
parts (`parts.py`), by default Linux bridges, iptables, dnsmasq and VXLAN; `noop` makes nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Mapping

import msgspec

from kilonova.network.agent.model import HostModel


class Leftover(msgspec.Struct, frozen=True, kw_only=True):
    """A thing of ours found on the host: kind is bridge, vxlan, namespace, dnsmasq, router, advertiser, tap, chain, lease; inside
    of namespaces also rule, address, route, counter; of tunnels peer. `owner` is the id (or the name's id prefix) of the network,
    router or port it belongs to. `stale`: that one is wanted, but not this of it."""

    kind: str
    name: str
    owner: str
    stale: bool = False


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the wanted state that the host does not show: `kind` is network, port, security group, router or host. `lasting`
    ones stay until the wanted state changes, the others are tried again."""

    kind: str
    id: str
    reason: str
    lasting: bool = False

    def __str__(self) -> str:
        return f"{self.kind} {self.id}: {self.reason}"


class Metered(msgspec.Struct, frozen=True, kw_only=True):
    """What a router passed on of a metering label, from `since` until `until` (seconds since 1970). Told again it has the same
    `id`."""

    id: str
    label_id: str
    router_id: str
    packets: int
    bytes: int
    since: int
    until: int


class MetadataCaller(msgspec.Struct, frozen=True, kw_only=True):
    """The guest that a request for metadata comes from. `grant` lets this host ask for one that is on another; "": it is here."""

    device_id: str
    project_id: str
    grant: str = ""


FindCaller = Callable[[str, str], Awaitable[MetadataCaller | None]]
"""(network id, address) → the guest that has the address there; raises KilonovaError while that cannot be known."""


class DataPlaneError(Exception):
    """The host could not be made so; the text names the command, the object and the reason."""


class DataPlane(ABC):
    """`tunnel_ip` is where other hosts send guests' frames to; "" where there are no tunnels. `bridge_mappings` are the physical
    networks that this host is on, each with the bridge of the host that leads there."""

    name: str
    tunnel_ip: str = ""
    bridge_mappings: Mapping[str, str] = {}
    trunks: bool = False  # whether it makes subports of trunks, known once it is open
    sections: tuple[str, ...] = ("networks", "security_groups")  # fields of HostModel that `apply` needs

    @abstractmethod
    async def open(self) -> None:
        """Check tools and rights; raises DataPlaneError with advice (what to install, that root is needed)."""

    @abstractmethod
    async def apply(self, state: HostModel) -> tuple[Fault, ...]:
        """Make the host look like `state`: bridges, namespaces with dnsmasq and the metadata listener, filter chains
        of every local port *before* its tap exists, static leases. Idempotent, also after a restart of the agent or a
        reboot of the host; filters change atomically (one restore), fail closed; what is no longer named is removed.
        Cheap when little changed.

        A port, group or network that cannot be shown does not keep the others from being shown: it lets no traffic
        through, and is returned as a Fault. Raises DataPlaneError when nothing could be written at all."""

    @abstractmethod
    async def unplug(self, port_id: str) -> None:
        """Remove a left-over tap of this port; nothing happens when there is none."""

    @abstractmethod
    def subscribe(self, on_tap: Callable[[str, bool], None]) -> None:
        """`on_tap(tap_name, up)` is called on the event loop when a tap of ours appears on its bridge and is up, or goes
        away (from netlink events, not polls). Taps already there when `open` ran are reported too."""

    def find_callers(self, find: FindCaller) -> None:  # noqa: B027 - without metadata there is nothing to find
        """Called before `open`: how to find guests on other hosts whose requests for metadata come to a router of this one."""

    async def metered(self, delivered: Collection[str] = ()) -> list[Metered]:
        """What was counted for metering labels since the last call; those of it that `delivered` does not name (by id) are told
        again. Without routers nothing is counted."""
        return []

    @abstractmethod
    async def leftovers(self) -> list[Leftover]:
        """All of ours on this host, read from the host, for `kilonova verify`."""

    async def stale(self, wanted: HostModel) -> list[Leftover]:
        """What is there inside of what `wanted` names, and not in it: filters, rules, addresses, routes, counters."""
        return []

    @abstractmethod
    async def close(self, *, remove: bool = False) -> None:
        """Stop listening; the data plane stays in place unless `remove`, which removes all of ours."""

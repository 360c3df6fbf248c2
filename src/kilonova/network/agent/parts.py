"""The parts that a data plane is composed of, each behind an interface. How to add one: docs/contributing/checklists.md.

What is written here holds for every method: it is idempotent, may be called anew after the process was killed at any line, and
raises DataPlaneError (or whatever a library raises) when it did not succeed; the composition makes a Fault of it and calls
again. Blocking work runs in threads. Network and port ids are uuids, checked before. Calls for one network are never
concurrent; those for several are."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from typing import ClassVar

from kilonova.network.agent.dataplane import Fault, FindCaller, Leftover, Metered
from kilonova.network.agent.model import HostModel, NetworkModel, RouterModel


class Part(ABC):
    sections: ClassVar[tuple[str, ...]] = ("networks",)
    """Those fields of HostModel that it is applied from; the agent asks the network service for these alone."""

    @abstractmethod
    async def open(self) -> set[str]:
        """Check tools and rights before anything is changed, then sweep what was left half made. The ids of the networks of which
        this part has something on the host. Raises DataPlaneError with advice (what to install, that root is needed)."""

    @abstractmethod
    async def leftovers(self, networks: Collection[str]) -> list[Leftover]:
        """All of this part on the host, read from the host; `networks` are the ids that the data plane knows of."""

    async def stale(self, wanted: HostModel) -> list[Leftover]:
        """As DataPlane.stale."""
        return []

    @abstractmethod
    async def close(self, *, remove: bool = False) -> None:
        """Stop listening; what was made stays in place. With `remove`, which follows the removal of all networks, what is
        left goes too."""


class L2(Part):
    """Joins the devices of a network on this host: guests' taps, a wire to the namespace of its services, and where the network
    has a physical network, a wire to the bridge that `bridge_mappings` names for it."""

    bridge_mappings: Mapping[str, str] = {}
    trunks: bool = False  # whether it makes subports, known once it is open

    @abstractmethod
    async def ensure(self, network: NetworkModel) -> None:
        """The network's segment with its MTU (bytes), to which a hypervisor may add taps; where subnets have a DHCP address, the
        namespace `model.dhcp_namespace` wired to it, with these addresses and the metadata address."""

    async def carry(self, state: HostModel) -> list[Fault]:
        """Subports of trunks get their wires, when the networks of `state` have their segments; those that it names no more lose
        them. A part that makes none has not the section `trunks`."""
        return []

    @abstractmethod
    async def join(self, network: NetworkModel, device: str) -> None:
        """Make a device of another part a member of the network's segment: up, with its MTU."""

    @abstractmethod
    async def remove(self, network_id: str) -> None:
        """Segment, wire and namespace go; what belongs to others stays. Nothing happens when they are not there."""

    @abstractmethod
    async def unplug(self, port_id: str) -> None:
        """As DataPlane.unplug."""

    @abstractmethod
    def subscribe(self, on_tap: Callable[[str, bool], None]) -> None:
        """As DataPlane.subscribe."""


class Firewall(Part):
    """Decides what a local port may send and receive, and how much of it; cuts connections that are no longer allowed."""

    sections = ("networks", "security_groups", "qos_policies")

    @abstractmethod
    async def apply(self, state: HostModel) -> list[Fault]:
        """The filters of all local ports, each family changed atomically; called before networks are made, so that a port is
        closed before its tap is there. What cannot be expressed lets nothing through and is a Fault of its port, group or
        network; but a limit or mark of a QoS policy that cannot be set is a Fault of its port and stops no traffic. Policies that
        the network service did not send, being too old, stay as they were. Raises DataPlaneError when nothing could be written
        at all: then nothing else is applied either."""


class Service(Part):
    """What a network has besides its segment."""

    @abstractmethod
    def serves(self, network: NetworkModel) -> bool:
        """Whether the network has something of this part; where not, `remove` is called for it, before the segment changes."""

    @abstractmethod
    async def ensure(self, network: NetworkModel) -> None:
        """Make it as `network` says, after the segment and its namespace were made; cheap when nothing changed."""

    @abstractmethod
    async def remove(self, network_id: str) -> None:
        """Remove it; nothing happens when it does not exist. The segment still exists."""


class Overlay(Service):
    """Joins a network's segments on several hosts. It is made with the L2 part, whose `join` takes its devices.

    `tunnel_ip` is the IPv4 address where other hosts send guests' frames to; "" where this host has no tunnels. Frames of DHCP
    and metadata never cross: that is filtered by the firewall."""

    tunnel_ip: str = ""


class Dhcp(Service):
    """Hands out the addresses of `NetworkModel.ports`, and nothing to other MACs."""


class Metadata(Service):
    """Listens at 169.254.169.254, port 80, in the network's namespace, and passes guests' requests on."""

    @abstractmethod
    def know(self, state: HostModel) -> None:
        """Set which guests may ask from now on: called before the networks change, so that no request from an address is taken
        for one of its last holder."""

    @abstractmethod
    def find_callers(self, find: FindCaller) -> None:
        """As DataPlane.find_callers."""

    @abstractmethod
    async def ensure_router(self, router: RouterModel) -> None:
        """Listen in a router's namespace too, at `names.ROUTER_METADATA_PORT`, where the L3 part redirects what guests send to
        the metadata address; the guest that asks is found by the interface's network and the source address. One that
        is on another host is found by `find_callers`."""

    @abstractmethod
    async def remove_router(self, router_id: str) -> None:
        """Nothing happens when it does not listen there."""


class L3(Part):
    """Routers and floating IPs. It is made with the L2 part, whose `join` takes its devices, and with the metadata part, which
    also listens in routers."""

    sections = ("networks", "routers")

    @abstractmethod
    async def apply(self, state: HostModel) -> list[Fault]:
        """Make the routers of `state`, and take those away that it does not name. Called when the networks are in place: those
        whose segment could not be made are left out of `state`. It has each of `sections`: this is not called while the network
        service is too old to send one of them. A router that cannot be made forwards nothing, and is a Fault of kind "router";
        the others are made. `close(remove=True)` takes all of it away."""

    async def metered(self, delivered: Collection[str] = ()) -> list[Metered]:
        """As DataPlane.metered."""
        return []


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parts:
    """One of each kind; None: the data plane has none of it."""

    l2: L2
    firewall: Firewall
    overlay: Overlay
    dhcp: Dhcp
    metadata: Metadata | None = None
    l3: L3 | None = None

    def services(self) -> list[Service]:
        """In the order in which they are made for a network."""
        return [part for part in (self.overlay, self.dhcp, self.metadata) if part is not None]

    def every(self) -> list[Part]:
        """In the order in which they are opened: the part that closes ports first, the one that reports taps last."""
        return [part for part in (self.firewall, *self.services(), self.l3, self.l2) if part is not None]

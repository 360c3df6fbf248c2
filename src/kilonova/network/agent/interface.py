"""What the network agent and the network service ask of each other over the bus."""

from __future__ import annotations

from typing import Any

import msgspec

from kilonova.core.bus.base import Undelivered
from kilonova.core.bus.interface import RECEIVER, Interface, call, cast, from_host, hint
from kilonova.core.context import RequestContext
from kilonova.network.agent.dataplane import Fault, Leftover, MetadataCaller, Metered
from kilonova.network.agent.feed import Held, HostChanges
from kilonova.network.agent.model import HostModel

AGENT_TYPE = "Kilonova network agent"
L3_AGENT = "L3 agent"  # what the agent of a host that makes routers is also shown as, for clients that look for one
FIRST_SECTIONS = ("networks", "security_groups")  # what agents of the first release ask for, without saying so
TUNNEL_IP = "tunneling_ip"  # where an agent's configurations say how the other hosts reach it
BRIDGE_MAPPINGS = "bridge_mappings"  # … which physical networks it is on: {"public": "br-ex"}
MAKES_TRUNKS = "trunks"  # … whether it makes trunks: true or false
MAKES_ROUTERS = "routers"  # … whether it makes routers: true or false


class AgentState(msgspec.Struct, kw_only=True):
    """A heartbeat. `started_at` is ISO text; `configurations` is shown to admins as it is."""

    host: str
    agent_type: str
    binary: str
    started_at: str
    availability_zone: str = "nova"
    configurations: dict[str, Any] = {}


class NetworkPluginAPI(Interface):
    """Served by the network service, which alone knows the database."""

    topic = "network"

    @from_host("host")
    @call(timeout=30)
    async def host_model(self, ctx: RequestContext, host: str, sections: tuple[str, ...] = FIRST_SECTIONS) -> HostModel:
        """What the host must show, in these sections (fields) of HostModel; those that the service does not know are left out.
        Agents that know `host_changes` ask for that instead."""
        raise NotImplementedError

    @from_host("host")
    @call(timeout=30)
    async def host_changes(self, ctx: RequestContext, host: str, sections: tuple[str, ...], held: Held) -> HostChanges:
        """What has changed of the host's state for an agent that holds this; the whole where the changes are not known."""
        raise NotImplementedError

    @from_host("host")
    @call(timeout=30)
    async def port_up(self, ctx: RequestContext, host: str, port_ids: list[str]) -> None:
        """The ports' taps are up on the host: they become ACTIVE and compute gets an event. Idempotent."""
        raise NotImplementedError

    @from_host("host")
    @call(timeout=30)
    async def port_down(self, ctx: RequestContext, host: str, port_ids: list[str]) -> None:
        """The ports' taps are gone: they become DOWN. Ports that are bound elsewhere by now stay as they are."""
        raise NotImplementedError

    @from_host("host")
    @call(timeout=30)
    async def metered(self, ctx: RequestContext, host: str, metered: list[Metered]) -> None:
        """Publish what the host's routers counted for metering labels. What is told again has the same id."""
        raise NotImplementedError

    @from_host("host")
    @call(timeout=10)
    async def metadata_caller(
        self, ctx: RequestContext, host: str, network_id: str, ip_address: str
    ) -> MetadataCaller | None:
        """The guest, on whatever host, that has an address on a network of one of this host's routers; None: there is none."""
        raise NotImplementedError

    @call(timeout=30)
    async def undelivered(self, ctx: RequestContext) -> list[Undelivered]:
        """For `kilonova verify`: the messages that the network service's outbox still keeps."""
        raise NotImplementedError

    @from_host("state.host")
    @cast
    async def report_state(self, ctx: RequestContext, state: AgentState) -> None:
        """A sign of life."""
        raise NotImplementedError


class NetworkAgentAPI(Interface):
    """Served by every host's network agent: call it with `host=`."""

    topic = "network_agent"

    @hint
    async def changed(self, ctx: RequestContext, port_ids: list[str]) -> None:
        """Something this host shows has changed: these ports of its own, or (none named) something it filters by, which may
        wait a moment. Many of them become one synchronization; an agent that starts asks for everything anyway."""
        raise NotImplementedError

    @from_host(RECEIVER)
    @call(timeout=120)
    async def plug(self, ctx: RequestContext, port_ids: list[str]) -> None:
        """Returns when bridges, filters and leases of these ports are in place, so that the guest may start. Ports whose tap
        is up already are reported up once more. Raises PortNotOnHost, PlugFailed; ServiceUnavailable or BusError while the
        network service or its database is unreachable."""
        raise NotImplementedError

    @from_host(RECEIVER)
    @call(timeout=120)
    async def unplug(self, ctx: RequestContext, port_ids: list[str]) -> None:
        """Remove left-over taps of these ports; nothing happens where there are none."""
        raise NotImplementedError

    @call(timeout=60)
    async def leftovers(self, ctx: RequestContext) -> list[Leftover]:
        """For `kilonova verify`: all of ours on the host, as found there; `stale` is what the network service
        does not want any more."""
        raise NotImplementedError

    @call(timeout=30)
    async def faults(self, ctx: RequestContext) -> list[Fault]:
        """For `kilonova verify`: what the host could not show at its last synchronization, and why."""
        raise NotImplementedError


class ServerEvent(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One event as compute's `os-server-external-events` takes it; `tag` is the port's id."""

    name: str
    server_uuid: str
    tag: str = ""
    status: str = ""


class ComputeNotifierAPI(Interface):
    """The network service to itself: events for compute, kept in the outbox until compute took them."""

    topic = "network_events"

    @cast
    async def notify(self, ctx: RequestContext, events: list[ServerEvent]) -> None:
        raise NotImplementedError

"""What the conductor does for the API and for the agents, which have no access to the database."""

from __future__ import annotations

from kilonova.compute import models
from kilonova.core.bus import ANY_HOST, Interface, call, cast, from_host
from kilonova.core.bus.base import Undelivered
from kilonova.core.context import RequestContext


class ConductorAPI(Interface):
    """What is marked `from_host` is for the agents; a host of its own broker user may send nothing else, and only of itself."""

    topic = "conductor"

    @cast
    async def build_servers(self, ctx: RequestContext, server_ids: list[str], request_id: str) -> None:
        """Schedule and dispatch servers recorded with vm_state building. Repeating it is harmless: servers that are past
        scheduling are left alone."""

    @cast
    async def delete_unhosted(self, ctx: RequestContext, server_id: str, request_id: str) -> None:
        """Finish the deletion of a server that has no host (or whose host never accepted it)."""

    @cast
    async def host_removed(self, ctx: RequestContext, host: str, provider: str) -> None:
        """An operator has deleted a compute host that is down: nothing waits for it any more. Repeating it is harmless."""

    @cast
    async def move_server(self, ctx: RequestContext, server_id: str, migration: str) -> None:
        """Find another host for a server, and hand it over. Repeating it is harmless."""

    @cast
    async def remove_image(self, ctx: RequestContext, image_id: str, finished: bool) -> None:
        """Delete an image that was made of a server; unless `finished`, only while its data are not complete. Repeating it is
        harmless."""

    @cast
    async def rotate_backups(self, ctx: RequestContext, server_id: str, backup_type: str, rotation: int) -> None:
        """Delete a server's backups of this type, which the context's project owns, but the newest `rotation`. Repeating it
        is harmless."""

    @from_host("host")
    @call(timeout=60)
    async def departed_servers(self, ctx: RequestContext, host: str) -> list[models.Departed]:
        """Servers whose move from this host is done, while the host has not said that it is rid of them."""

    @from_host(ANY_HOST)
    @call(timeout=60)
    async def departure_done(self, ctx: RequestContext, migration: str) -> None:
        """The host has removed everything of a server that was moved to another host."""

    @from_host("host")
    @call(timeout=60)
    async def disks_at(self, ctx: RequestContext, host: str, migration: str) -> str:
        """Where the old host of a move to this one serves the server's disks now; "": nowhere."""

    @from_host("host")
    @call(timeout=60)
    async def disks_asked_for(self, ctx: RequestContext, host: str, migration: str, secret: str) -> str | None:
        """The server whose disks this host is to serve to the one that knows the secret of the move; None: to nobody."""

    @from_host("host")
    @call(timeout=60)
    async def guest_on_its_way(
        self, ctx: RequestContext, host: str, migration: str, progress: models.Progress
    ) -> models.Wishes:
        """How far a guest is that this host sends to another; what operators want of it by now."""

    @cast
    async def ports_stay(self, ctx: RequestContext, server_id: str) -> None:
        """A server's guest does not come to another host after all: that host need not show its ports. Repeating it is
        harmless."""

    @from_host("change.expect_host")
    @call(timeout=60)
    async def update_server(self, ctx: RequestContext, server_id: str, change: models.ServerChange) -> bool:
        """Compare-and-swap; False when the server is elsewhere, otherwise busy or deleted: the caller must stop its work."""

    @from_host("outcome.host")
    @call(timeout=60)
    async def build_ended(self, ctx: RequestContext, outcome: models.BuildOutcome) -> bool:
        """An attempt succeeded (→ ACTIVE) or failed (→ next alternate, or ERROR with every host's reason). False: the server
        was deleted or given to another meanwhile, the agent must undo what it made. Repeating it is harmless."""

    @from_host("change.expect_host")
    @call(timeout=60)
    async def action_ended(
        self,
        ctx: RequestContext,
        server_id: str,
        request_id: str,
        action: str,
        change: models.ServerChange,
        fault: models.Fault | None,
        steps: list[models.StepRecord],
    ) -> bool:
        """Start, stop, reboot ended: the new state, or the fault (task_state cleared)."""

    @from_host(ANY_HOST)
    @call(timeout=60)
    async def server_deleted(self, ctx: RequestContext, server_id: str, request_id: str) -> None:
        """The host has removed all traces: release the claim, mark the row deleted. Repeating it is harmless."""

    @from_host(ANY_HOST)
    @call(timeout=60)
    async def deleted_servers(self, ctx: RequestContext, server_ids: list[str]) -> list[str]:
        """Those of the servers of which it is known that they are deleted; not those that were never known."""

    @from_host("report.host")
    @call(timeout=60)
    async def report_host(self, ctx: RequestContext, report: models.HostReport) -> None:
        """Heartbeat; makes the service, node and provider known when new."""

    @from_host("host")
    @call(timeout=60)
    async def servers_on_host(self, ctx: RequestContext, host: str) -> list[models.ServerBuild]:
        """All servers whose row names this host, for an agent that starts and for `verify`. `action` is `create` for those
        still building, else the action that runs on them or an empty text."""

    @cast
    async def network_changed(self, ctx: RequestContext, server_ids: list[str]) -> None:
        """Make what the servers' rows know of their ports what the network service says now. Repeating it is harmless."""

    @from_host("host")
    @call(timeout=60)
    async def network_info(self, ctx: RequestContext, host: str, server_id: str) -> list[models.Vif] | None:
        """The interfaces of a server of this host as the network service knows them now; the row then says the same. None: the
        network service is unreachable, or the server does not exist."""

    @from_host("host")
    @call(timeout=60)
    async def connect_volumes(
        self, ctx: RequestContext, host: str, server_id: str, connector: dict[str, str], device: str | None
    ) -> list[models.ConnectedVolume] | None:
        """Connect the volumes of a server that is on this host, or on its way there, or the one with this row's uuid; other hosts
        lose them. None: some are still being made. Raises VolumeNotThere. Repeating it is harmless."""

    @from_host("host")
    @call(timeout=60)
    async def disconnect_volumes(
        self, ctx: RequestContext, host: str, server_id: str, device: str | None, forget: bool
    ) -> None:
        """The host has let go of a server's volumes, or of one; `forget`: so has the server. Repeating it is harmless."""

    @from_host("host")
    @call(timeout=60)
    async def name_volume(self, ctx: RequestContext, host: str, server_id: str, device: str, name: str) -> None:
        """The name (vdc) that a guest of this host has given a volume; `device` is its row's uuid."""

    @cast
    async def reserve_volumes(self, ctx: RequestContext, server_id: str) -> None:
        """Make the volumes of a server that is on no host its own. Repeating it is harmless."""

    @cast
    async def drop_volume(self, ctx: RequestContext, server_id: str, device: str) -> None:
        """A server that is on no host gives a volume up. Repeating it is harmless."""

    @call(timeout=20)
    async def redeem_console(self, ctx: RequestContext, token: str) -> models.ConsoleTicket | None:
        """For the console proxies: a ticket for the console that a token is for. None for a token that was used, is too old, or
        whose console is gone."""

    @from_host("host")
    @call(timeout=60)
    async def renew_grant(self, ctx: RequestContext, host: str, server_id: str, grant: str) -> str:
        """A grant that this host was given, for another while, so that work which takes hours can go on; "" for one that is not
        its own, or of a server with which this host has nothing to do now."""

    @call(timeout=60)
    async def undelivered(self, ctx: RequestContext) -> list[Undelivered]:
        """For `kilonova verify`: the messages that compute's outbox still keeps."""

    @from_host("host")
    @call(timeout=60)
    async def power_state_seen(self, ctx: RequestContext, host: str, server_id: str, power_state: int) -> None:
        """The hypervisor saw a guest change by itself (shut down inside, crashed): the row follows when nothing runs on it.
        A call, because the state is observed only once: the host repeats what could not be written."""

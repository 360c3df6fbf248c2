"""What a compute host does."""

from __future__ import annotations

from kilonova.compute import models
from kilonova.compute.diagnostics import GuestDiagnostics
from kilonova.core.bus import Interface, call, cast, hint
from kilonova.core.context import RequestContext


class ComputeAPI(Interface):
    topic = "compute"

    @cast
    async def build_and_run_server(self, ctx: RequestContext, build: models.ServerBuild) -> None:
        """Launch a server. A repeated message does nothing."""

    @hint
    async def guests_departed(self, ctx: RequestContext) -> None:
        """Servers were moved from this host to others: remove what is left of them here. A host that is down does not need it: a
        host that starts asks."""

    @cast
    async def run_action(self, ctx: RequestContext, ref: models.ServerRef) -> None:
        """Do `ref.action`, by its descriptor (compute/actions), and report its end. Work on one server is done one after the
        other, but a removal interrupts what runs. A repeated message does no harm."""

    @call(timeout=30)
    async def guest_needs(self, ctx: RequestContext, server_id: str) -> dict[str, str]:
        """What a running guest needs of a host that it is to be sent to; raises NotSupported and InvalidState."""

    @hint
    async def wishes_changed(self, ctx: RequestContext, server_id: str) -> None:
        """Operators want a guest on its way to stay, or to be there at once: the conductor knows what."""

    @call(timeout=30)
    async def console_output(self, ctx: RequestContext, server_id: str, max_bytes: int) -> bytes:
        """The tail of the serial console."""

    @call(timeout=30)
    async def find_console(self, ctx: RequestContext, server_id: str, kind: str) -> models.ConsolePlace:
        """Where a server's console is; raises NotSupported, ConsoleTypeUnavailable and GuestMissing."""

    @call(timeout=10)
    async def open_console(self, ctx: RequestContext, server_id: str, kind: str, life: str) -> models.ConsoleTicket:
        """A ticket for a console that was found in this `life` of its guest; raises as `find_console`, and
        ConsoleTypeUnavailable when that life is over."""

    @call(timeout=30)
    async def diagnostics(self, ctx: RequestContext, server_id: str) -> GuestDiagnostics:
        """What the hypervisor counts of a running guest; raises InvalidState for one that does not run."""

    @call(timeout=60)
    async def set_password(self, ctx: RequestContext, server_id: str, user: str, password: str) -> None:
        """Set a password in a running guest, by its agent; raises NotSupported and PasswordNotSet."""

    @cast
    async def external_events(self, ctx: RequestContext, events: list[models.ExternalEvent]) -> None:
        """Something a launch waits for has happened."""

    @cast
    async def drop_interfaces(self, ctx: RequestContext, server_id: str, macs: dict[str, str]) -> None:
        """Ports of a server are gone, or another's: a running guest loses their interfaces, by port id the MAC address of each.
        Nothing happens where there are none."""

    @call(timeout=60)
    async def inventory(self, ctx: RequestContext) -> dict[str, list[str]]:
        """For `kilonova verify`: uuids of `guests`, of those that are `running`, of `disks` and of the `journal` (unfinished) on
        this host; `storage`: the id of the storage that the disks are on, where it has one."""

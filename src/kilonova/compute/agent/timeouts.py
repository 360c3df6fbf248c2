"""How long a guest may be on its way to another host, and what then happens."""

from __future__ import annotations

import msgspec

from kilonova.compute.agent.runner import Host
from kilonova.compute.models import ServerBuild, Wishes

LEAST_GB = 2
MIB_PER_GIB = 1024


class Patience:
    """Begins when it is made. The time grows with the memory, and the disks where they are copied."""

    def __init__(self, host: Host, build: ServerBuild, *, copied: bool) -> None:
        flavor, self.clock = build.spec.flavor, host.clock
        size = flavor.memory_mb / MIB_PER_GIB + (flavor.root_gb + flavor.ephemeral_gb if copied else 0)
        self.seconds = host.options.live_migration_timeout * max(size, LEAST_GB)
        self.action = host.options.live_migration_timeout_action
        self.began = self.clock.monotonic()

    def or_wished(self, wishes: Wishes) -> Wishes:
        """What is wished, and what time demands."""
        if not self.seconds or self.clock.monotonic() - self.began < self.seconds:
            return wishes
        if self.action == "force_complete":
            return msgspec.structs.replace(wishes, hurried=True)
        return msgspec.structs.replace(wishes, cancelled=True)

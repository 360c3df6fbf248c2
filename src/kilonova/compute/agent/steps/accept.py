"""Step 10: is the build still wanted here, and does it fit what the host really has?"""

from __future__ import annotations

from kilonova.compute.agent.launch import CannotFit, Launch, LaunchStep


class Accept(LaunchStep):
    asks = True

    async def do(self, launch: Launch) -> None:
        host = launch.host
        await _check_disks(launch)
        capacity = await host.driver.capacity()
        flavor = launch.build.spec.flavor
        room = int(capacity.memory_mb * host.options.ram_ratio)
        if flavor.memory_mb > room:
            wanted = f"{flavor.memory_mb} MiB of memory wanted"
            raise CannotFit(f"{wanted}, the host has less", f"{wanted}, the host has {room} MiB in all")
        cores = int(capacity.vcpus * host.options.cpu_ratio)
        if flavor.vcpus > cores:
            wanted = f"{flavor.vcpus} vcpus wanted"
            raise CannotFit(f"{wanted}, the host has fewer", f"{wanted}, the host has {cores} in all")


async def _check_disks(launch: Launch) -> None:
    """Disks on shared storage are there before an evacuation; others are not."""
    evacuation = launch.build.evacuation
    if evacuation is None or launch.resumed:
        return
    if await launch.host.driver.disks.present(launch.uuid) != evacuation.shared:
        there = "is not on this host's storage" if evacuation.shared else "is on this host's storage already"
        raise CannotFit(f"the server's disk {there}")

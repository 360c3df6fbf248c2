"""Step 10: is the build still wanted here, and does it fit what the host really has?"""

from __future__ import annotations

from kilonova.compute.agent.runner import CannotFit, Operation, OperationStep


class Accept(OperationStep):
    asks = True

    async def do(self, operation: Operation) -> None:
        host = operation.host
        wrong = await operation.origin.check_disks(host) if not operation.resumed else None
        if wrong is not None:
            raise CannotFit(wrong)
        capacity = await host.driver.capacity()
        flavor = operation.build.spec.flavor
        room = int(capacity.memory_mb * host.options.ram_ratio)
        if flavor.memory_mb > room:
            wanted = f"{flavor.memory_mb} MiB of memory wanted"
            raise CannotFit(f"{wanted}, the host has less", f"{wanted}, the host has {room} MiB in all")
        cores = int(capacity.vcpus * host.options.cpu_ratio)
        if flavor.vcpus > cores:
            wanted = f"{flavor.vcpus} vcpus wanted"
            raise CannotFit(f"{wanted}, the host has fewer", f"{wanted}, the host has {cores} in all")

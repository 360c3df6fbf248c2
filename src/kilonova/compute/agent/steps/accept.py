"""Step 10: is the build still wanted here, and does it fit what the host really has?"""

from __future__ import annotations

from kilonova.compute.agent.launch import CannotFit, Launch, LaunchStep, Refused
from kilonova.compute.models import ServerChange
from kilonova.compute.states import BUILD_TASKS, Vm


class Accept(LaunchStep):
    name = "accept"

    async def do(self, launch: Launch) -> None:
        host, server = launch.host, launch.build.server
        wanted = ServerChange(
            expect_host=host.name, expect_vm_states=[Vm.BUILDING], expect_task_states=[None, *BUILD_TASKS]
        )
        if not await host.until_heard(lambda: host.conductor.update_server(launch.ctx, server.uuid, wanted)):
            raise Refused(f"server {server.uuid} is not to be built here")
        capacity = await host.driver.capacity()
        flavor = launch.build.spec.flavor
        room = int(capacity.memory_mb * host.options.ram_ratio)
        if flavor.memory_mb > room:
            raise CannotFit(f"{flavor.memory_mb} MiB of memory wanted, the host has {room} MiB in all")
        cores = int(capacity.vcpus * host.options.cpu_ratio)
        if flavor.vcpus > cores:
            raise CannotFit(f"{flavor.vcpus} vcpus wanted, the host has {cores} in all")

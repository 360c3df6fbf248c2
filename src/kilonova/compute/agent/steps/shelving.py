"""A shelved server leaves its host."""

from __future__ import annotations

from kilonova.compute.agent.ports import free_ports
from kilonova.compute.agent.runner import Operation, OperationStep
from kilonova.compute.agent.volumes import disconnect


class Offload(OperationStep):
    """Definition and disks go; ports and volumes stay the server's, on no host."""

    async def do(self, operation: Operation) -> None:
        host = operation.host
        host.events.forget(operation.uuid)
        await host.driver.undefine(operation.uuid)
        await disconnect(operation)
        await host.ask_service(lambda: free_ports(host, operation.build), server=operation.uuid)
        await host.driver.disks.remove(operation.uuid)

"""Switching a guest off, and asking it to reboot."""

from __future__ import annotations

from kilonova.compute.agent.runner import Operation, OperationStep
from kilonova.compute.virt.driver import PowerState


class Destroy(OperationStep):
    """The guest is off at once; its definition and disks stay."""

    async def do(self, operation: Operation) -> None:
        await operation.host.driver.destroy(operation.uuid)


class PowerOff(OperationStep):
    """The guest is asked to shut down; one that does not obey in time is switched off."""

    async def do(self, operation: Operation) -> None:
        driver = operation.host.driver
        if await driver.power_state(operation.uuid) is not PowerState.RUNNING or not await driver.shutdown(
            operation.uuid, timeout=operation.host.options.shutdown_timeout
        ):
            await driver.destroy(operation.uuid)


class SoftReboot(OperationStep):
    """A guest that obeys in time needs none of the steps that follow."""

    async def do(self, operation: Operation) -> None:
        driver = operation.host.driver
        operation.complete = await driver.power_state(operation.uuid) is PowerState.RUNNING and await driver.reboot(
            operation.uuid, timeout=operation.host.options.shutdown_timeout
        )

"""A guest switched off, rebooted, paused or suspended."""

from __future__ import annotations

from kilonova.compute.agent.reasons import Explained
from kilonova.compute.agent.runner import Operation, OperationStep
from kilonova.compute.states import Vm
from kilonova.compute.virt.capabilities import Suspends, TriggersCrashDumps
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


class StayOff(OperationStep):
    """A server that was off needs none of the steps that follow."""

    async def do(self, operation: Operation) -> None:
        operation.complete = operation.build.server.vm_state == Vm.STOPPED


class SoftReboot(OperationStep):
    """A guest that obeys in time needs none of the steps that follow."""

    async def do(self, operation: Operation) -> None:
        driver = operation.host.driver
        operation.complete = await driver.power_state(operation.uuid) is PowerState.RUNNING and await driver.reboot(
            operation.uuid, timeout=operation.host.options.shutdown_timeout
        )


class Pause(OperationStep):
    async def do(self, operation: Operation) -> None:
        await operation.host.driver.pause(operation.uuid)


class Unpause(OperationStep):
    async def do(self, operation: Operation) -> None:
        await operation.host.driver.resume(operation.uuid)


class Suspend(OperationStep):
    """The guest is off, its memory on the host's disk."""

    async def do(self, operation: Operation) -> None:
        await _suspends(operation).suspend(operation.uuid)


class Restore(OperationStep):
    """The guest is there as it was suspended: paused where a network must report first. Undone, it is suspended again, so that
    its memory is not lost."""

    async def do(self, operation: Operation) -> None:
        await _suspends(operation).restore(operation.uuid, paused=bool(operation.vifs))

    async def undo(self, operation: Operation) -> None:
        if await operation.host.driver.power_state(operation.uuid) in (PowerState.RUNNING, PowerState.PAUSED):
            await _suspends(operation).suspend(operation.uuid)


class CrashDump(OperationStep):
    async def do(self, operation: Operation) -> None:
        driver = operation.host.driver
        if not isinstance(driver, TriggersCrashDumps):
            raise Explained("Triggering crash dump is not supported")
        await driver.trigger_crash_dump(operation.uuid)


def _suspends(operation: Operation) -> Suspends:
    driver = operation.host.driver
    if not isinstance(driver, Suspends):
        raise Explained("the hypervisor can't suspend guests")
    return driver

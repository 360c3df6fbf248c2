"""Switching a guest off, and asking it to reboot."""

from __future__ import annotations

from kilonova.compute.agent.launch import Launch, LaunchStep
from kilonova.compute.virt.driver import PowerState


class Destroy(LaunchStep):
    """The guest is off at once; its definition and disks stay."""

    async def do(self, launch: Launch) -> None:
        await launch.host.driver.destroy(launch.uuid)


class PowerOff(LaunchStep):
    """The guest is asked to shut down; one that does not obey in time is switched off."""

    async def do(self, launch: Launch) -> None:
        driver = launch.host.driver
        if await driver.power_state(launch.uuid) is not PowerState.RUNNING or not await driver.shutdown(
            launch.uuid, timeout=launch.host.options.shutdown_timeout
        ):
            await driver.destroy(launch.uuid)


class SoftReboot(LaunchStep):
    """A guest that obeys in time needs none of the steps that follow."""

    async def do(self, launch: Launch) -> None:
        driver = launch.host.driver
        launch.complete = await driver.power_state(launch.uuid) is PowerState.RUNNING and await driver.reboot(
            launch.uuid, timeout=launch.host.options.shutdown_timeout
        )

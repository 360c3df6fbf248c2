"""A guest that goes to another host while it runs.

The new host makes ready, the old one sends the guest, which is paused there until the old host has none of it: then the old
host lets it run, straight to the new one (`Relay.run`), so that little time is lost."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import Any

import msgspec

from kilonova.compute.agent.plugging import must_plug
from kilonova.compute.agent.ports import expect_guest
from kilonova.compute.agent.reasons import Explained
from kilonova.compute.agent.relay import RelayError
from kilonova.compute.agent.removal import forget_guest
from kilonova.compute.agent.runner import BACKOFF, Host, NetworkNotReady, Operation, OperationStep
from kilonova.compute.agent.steps.moving import away, move_of
from kilonova.compute.agent.steps.networking import PLUGGED, await_plugged, owner_of, plug
from kilonova.compute.agent.timeouts import Patience
from kilonova.compute.agent.transfers import FORM, LOG
from kilonova.compute.models import Move, Place, Progress, ServerBuild, Wishes
from kilonova.compute.states import Vm
from kilonova.compute.virt.capabilities import LiveMigrates, Sending
from kilonova.compute.virt.driver import PowerState
from kilonova.core import errors, log
from kilonova.core.block.errors import DiskError
from kilonova.core.retry import retry

LOOK_EVERY = 2.0  # seconds between two reports of how far a guest is
GONE = PowerState.NOSTATE
logger = log.get("agent")


def live_driver(host: Host) -> LiveMigrates:
    if not isinstance(host.driver, LiveMigrates):
        raise Explained("the hypervisor does not send guests to other hosts")
    return host.driver


def stays_paused(build: ServerBuild) -> bool:
    """Whether the user has paused it."""
    return build.server.vm_state == Vm.PAUSED


class Coming(OperationStep):
    """This host may have what the guest needs, and shows its ports beside the old host."""

    async def do(self, operation: Operation) -> None:
        host = operation.host
        await live_driver(host).check_needs(move_of(operation).needs)
        must_plug(host.driver, operation.vifs)
        await host.ask_service(lambda: expect_guest(host, operation.build, host.name), server=operation.uuid)

    async def undo(self, operation: Operation) -> None:
        host = operation.host
        await host.ask_service(lambda: expect_guest(host, operation.build, ""), server=operation.uuid)


class TakeForm(OperationStep):
    """Disks as large as those of the old host, and its other files; of what both see nothing is made."""

    async def do(self, operation: Operation) -> None:
        host, move = operation.host, move_of(operation)
        await retry(
            lambda: self._take(operation, move), BACKOFF, again=away, within=host.options.service_patience,
            clock=host.clock, log=logger, work="make disks", server=operation.uuid, host=host.name,
        )  # fmt: skip

    @staticmethod
    async def _take(operation: Operation, move: Move) -> None:
        host = operation.host
        url = await host.ask_conductor(lambda: host.conductor.disks_at(operation.ctx, host.name, move.migration))
        if not url:
            raise Explained("the server's old host serves no disks")
        # where both see all of the server's files nothing is asked for; where disks are in Ceph, others are the host's own
        stream = host.transfers.fetch(url, move.migration, move.secret, kind=FORM)
        await host.driver.disks.unpack(operation.uuid, stream)

    async def undo(self, operation: Operation) -> None:
        if not move_of(operation).shared:
            await operation.host.driver.disks.remove(operation.uuid)


class ReceiveGuest(OperationStep):
    async def do(self, operation: Operation) -> None:
        host, move = operation.host, move_of(operation)
        driver = live_driver(host)
        ways, differs = await driver.receive(operation.uuid, move.migration)
        run = partial(let_run, host, operation.build)
        where = await host.relay.expect(move.migration, move.secret, ways, run)
        operation.place = Place(relay=where, differs=differs)

    async def undo(self, operation: Operation) -> None:
        await forget_guest(operation.host, operation.uuid, move_of(operation).migration)


async def let_run(host: Host, build: ServerBuild) -> None:
    """The guest that has come goes on; repeating it is harmless."""
    uuid = build.server.uuid
    if not stays_paused(build) and await host.driver.power_state(uuid) is PowerState.PAUSED:
        await live_driver(host).land(uuid)


class SendGuest(OperationStep):
    """A guest of which nothing is here was sent before. One that an earlier life of this host was sending is not sent again: the
    new host would have to begin anew."""

    async def do(self, operation: Operation) -> None:
        host, move, driver = operation.host, move_of(operation), live_driver(operation.host)
        if operation.resumed:
            await driver.give_up(operation.uuid)
        if await host.driver.power_state(operation.uuid) is not GONE:
            if operation.resumed:
                await self._as_before(operation)
                raise Explained("the compute agent was restarted while it sent the guest")
            async with host.sending:
                await self._send(operation, move, driver)
            await host.driver.undefine(operation.uuid)
        place = move.place
        try:
            if place is not None:
                await host.relay.run(place.relay, move.migration, move.secret)
        except (OSError, RelayError, TimeoutError) as error:  # the next leg does it
            logger.warning("guest not let run at once", server=operation.uuid, host=host.name, reason=str(error))

    async def _send(self, operation: Operation, move: Move, driver: LiveMigrates) -> None:
        host, place = operation.host, move.place
        if place is None:
            raise Explained("the new host has not said where it awaits the guest")
        ways = await driver.ways(move.migration)
        sending = Sending(migration=move.migration, ways=ways, differs=place.differs, copied=not move.shared)
        async with host.relay.ways(place.relay, move.migration, move.secret, ways):
            under_way = asyncio.ensure_future(driver.send(operation.uuid, sending))
            try:
                await self._watch(operation, move, driver, under_way)
                await under_way
            except BaseException:
                under_way.cancel()
                await asyncio.gather(under_way, return_exceptions=True)
                await self._as_before(operation)
                raise
            finally:
                host.wishes.forget(operation.uuid)
                await driver.received(operation.uuid, move.migration)

    @staticmethod
    async def _as_before(operation: Operation) -> None:
        """A guest that was paused to be faster runs on here."""
        with contextlib.suppress(Exception):  # what follows says what it is
            await let_run(operation.host, operation.build)

    async def _watch(
        self, operation: Operation, move: Move, driver: LiveMigrates, under_way: asyncio.Future[None]
    ) -> None:
        """Report how far it is, and do what operators wish, until it has ended."""
        host, uuid = operation.host, operation.uuid
        wished, hurried = host.wishes.of(uuid), False
        patience = Patience(host, operation.build, copied=not move.shared)
        while not under_way.done():
            wished.clear()
            wishes = patience.or_wished(await self._told(operation, move, await driver.progress(uuid)))
            if wishes.cancelled or not wishes.wanted:
                await driver.give_up(uuid)
                return
            if wishes.hurried and not hurried:
                logger.info("guest paused to be sent at once", server=uuid, host=host.name)
                await driver.hurry(uuid)
                hurried = True
            waiting = asyncio.ensure_future(wished.wait())
            both: set[asyncio.Future[Any]] = {under_way, waiting}
            try:
                await asyncio.wait(both, timeout=LOOK_EVERY, return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiting.cancel()

    @staticmethod
    async def _told(operation: Operation, move: Move, progress: Progress | None) -> Wishes:
        """What is wished; nothing while no conductor answers."""
        host = operation.host
        try:
            return await host.conductor.guest_on_its_way(
                operation.ctx, host.name, move.migration, progress or Progress()
            )
        except errors.KilonovaError as error:
            logger.info("progress not reported", server=operation.uuid, host=host.name, reason=error.message)
            return Wishes()


class LetRun(OperationStep):
    """It runs, or is paused as its user wants it."""

    async def do(self, operation: Operation) -> None:
        host, migration = operation.host, move_of(operation).migration
        await let_run(host, operation.build)
        host.relay.forget(migration)
        await live_driver(host).received(operation.uuid, migration)
        operation.power_state = await host.driver.power_state(operation.uuid)
        if operation.power_state not in (PowerState.RUNNING, PowerState.PAUSED):
            raise Explained(f"the guest is {operation.power_state.name} on its new host")


class TakePorts(OperationStep):
    """The ports are this host's alone. One that does not report in time is no reason to take the guest for lost."""

    async def do(self, operation: Operation) -> None:
        ids = [vif.port_id for vif in operation.vifs]
        if not ids:
            return
        operation.host.events.expect(operation.uuid, PLUGGED, ids)
        await operation.host.ask_service(lambda: self._bind(operation, ids), server=operation.uuid)
        await operation.host.ask_service(lambda: plug(operation, ids), server=operation.uuid)
        try:
            missing = await await_plugged(operation, ids)
        except NetworkNotReady as error:
            logger.warning("ports not ready", server=operation.uuid, host=operation.host.name, reason=str(error))
            missing = ids
        operation.vifs = [msgspec.structs.replace(vif, active=vif.port_id not in missing) for vif in operation.vifs]

    @staticmethod
    async def _bind(operation: Operation, ids: list[str]) -> None:
        name, owner = operation.host.name, owner_of(operation.build)
        for port in await operation.network.ports(id=ids):
            if port.device_id == operation.uuid and port.host_id != name:
                await operation.network.bind_port(port.id, name, device_id=operation.uuid, device_owner=owner)


class TakeLog(OperationStep):
    """What the console showed on the old host comes before what it shows here. Where that host is away it is lost."""

    async def do(self, operation: Operation) -> None:
        host, move = operation.host, move_of(operation)
        if move.shared:
            return
        try:
            url = await host.ask_conductor(lambda: host.conductor.disks_at(operation.ctx, host.name, move.migration))
            if url:
                stream = host.transfers.fetch(url, move.migration, move.secret, kind=LOG)
                await host.driver.disks.take_log(operation.uuid, stream)
        except DiskError as error:
            logger.warning("console log left behind", server=operation.uuid, host=host.name, reason=str(error))

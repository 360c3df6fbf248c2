"""A project's own network, with subnets from the default pools and a router to the default external network.

All of it is made in one transaction, as it is removed: what fails or is cut off leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from kilonova.core import errors as core_errors
from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Transaction, retried
from kilonova.network.deps import Deps
from kilonova.network.projects import enter, make_room
from kilonova.network.resources.auto_allocated_topology.errors import AutoAllocationFailure
from kilonova.network.resources.base.facts import Seeing, facts
from kilonova.network.resources.networks.logic import NetworkLogic
from kilonova.network.resources.networks.schemas import NetworkCreate
from kilonova.network.resources.routers.logic import RouterLogic
from kilonova.network.resources.routers.schemas import GatewayIn, InterfaceIn, RouterCreate
from kilonova.network.resources.subnetpools.errors import SubnetAllocationError, SubnetPoolNotFound
from kilonova.network.resources.subnets.logic import SubnetLogic
from kilonova.network.resources.subnets.schemas import SubnetCreate
from kilonova.network.store import networks as network_store
from kilonova.network.store import routers as router_store
from kilonova.network.store import subnetpools as pool_store
from kilonova.network.store import topologies as store
from kilonova.network.store.networks import NETWORKS, NetworkRow
from kilonova.network.store.routers import ROUTERS
from kilonova.network.store.subnetpools import SubnetPoolRow
from kilonova.network.store.subnets import SUBNETS, SubnetRow


class TopologyLogic:
    def __init__(self, deps: Deps) -> None:
        self.deps = deps
        self.networks, self.subnets, self.routers = NetworkLogic(deps), SubnetLogic(deps), RouterLogic(deps)

    async def check(self, seeing: Seeing) -> None:
        """Whether there is what one is made from. Raises AutoAllocationFailure."""
        async with self.deps.database.reading() as connection:
            await self._external(connection)
            if not await self._pools(connection, seeing):
                raise AutoAllocationFailure(reason="No default subnetpools defined")

    @retried
    async def get(self, ctx: RequestContext, project_id: str, seeing: Seeing) -> str:
        """The id of the project's network, made where there is none."""
        async with self.deps.database.reading() as connection:
            found = await store.get(connection, project_id)
        if found is not None:
            return found.network_id
        async with self.deps.database.transaction() as tx:
            await enter(self.deps, tx, project_id)
            found = await store.get(tx.connection, project_id)  # as it is now that it is our turn
            return found.network_id if found is not None else await self._make(tx, ctx, project_id, seeing)

    async def _make(self, tx: Transaction, ctx: RequestContext, project_id: str, seeing: Seeing) -> str:
        external = await self._external(tx.connection)
        with _as_failure("Unable to provide project private network"):
            network = await self._network(tx, ctx, project_id)
            subnets = await self._subnets(tx, ctx, network, seeing)
        with _as_failure("Unable to provide external connectivity"):
            router_id = await self._router(tx, ctx, project_id, external.id, subnets, seeing)
        await store.add(tx.connection, project_id, network.id, router_id)
        return network.id

    async def _network(self, tx: Transaction, ctx: RequestContext, project_id: str) -> NetworkRow:
        new = self.networks.new(ctx, NetworkCreate(name="auto_allocated_network", project_id=project_id))
        await make_room(self.deps, tx, [project_id], {NETWORKS: 1})
        await self.networks.add(tx, [new])
        return (await NETWORKS.by_ids(tx.connection, [new["id"]]))[new["id"]]

    async def _subnets(
        self, tx: Transaction, ctx: RequestContext, network: NetworkRow, seeing: Seeing
    ) -> Sequence[SubnetRow]:
        bodies = [
            SubnetCreate(
                name=f"auto_allocated_subnet_v{pool.ip_version}", network_id=network.id, ip_version=pool.ip_version,  # type: ignore[arg-type]
                subnetpool_id=pool.id, project_id=network.project_id,
            )
            for pool in await self._pools(tx.connection, seeing)
        ]  # fmt: skip
        if not bodies:
            raise AutoAllocationFailure(reason="Unable to provide project private network")
        await make_room(self.deps, tx, [network.project_id] * len(bodies), {SUBNETS: 1})
        return await self.subnets.add(tx, ctx, bodies, {network.id: network}, seeing)

    async def _router(
        self, tx: Transaction, ctx: RequestContext, project_id: str, external_id: str, subnets: Sequence[SubnetRow],
        seeing: Seeing,
    ) -> str:  # fmt: skip
        gateway = GatewayIn(network_id=external_id)
        new = RouterCreate(name="auto_allocated_router", project_id=project_id, external_gateway_info=gateway)
        (router,) = await self.routers.add(tx, ctx, [new], seeing)
        for subnet in subnets:
            await self.routers.join(tx, ctx, router, InterfaceIn(subnet_id=subnet.id), seeing)
        return router.id

    async def _external(self, connection: Connection) -> NetworkRow:
        found = await network_store.default_external(connection)
        if found is None:
            raise AutoAllocationFailure(reason="No default router:external network")
        return found

    async def _pools(self, connection: Connection, seeing: Seeing) -> Sequence[SubnetPoolRow]:
        """The default pools that the caller may see."""
        found = [await pool_store.default(connection, version) for version in (4, 6)]
        return [pool for pool in found if pool is not None and _seen(pool, seeing)]

    @retried
    async def delete(self, ctx: RequestContext, project_id: str, seeing: Seeing) -> None:
        """What is attached to the network or router keeps all of it."""
        async with self.deps.database.transaction() as tx:
            await enter(self.deps, tx, project_id)
            found = await store.get(tx.connection, project_id)
            if found is None:
                return
            if found.router_id is not None:
                await self._remove_router(tx, ctx, found.router_id, found.network_id, seeing)
            network = await NETWORKS.get(tx.connection, found.network_id, lock=True)
            if network is not None:
                await store.remove(tx.connection, project_id)
                await self.networks.removing(tx, ctx, network)
                await NETWORKS.remove(tx.connection, [network.id])

    async def _remove_router(
        self, tx: Transaction, ctx: RequestContext, router_id: str, network_id: str, seeing: Seeing
    ) -> None:
        router = await ROUTERS.get(tx.connection, router_id, lock=True)
        if router is None:
            return
        for port in (await router_store.ports_of(tx.connection, [router_id])).get(router_id, []):
            if port.network_id == network_id:
                await self.routers.leave(tx, ctx, router, InterfaceIn(port_id=port.id), seeing)
        await self.routers.remove(tx, ctx, router)


def _seen(pool: SubnetPoolRow, seeing: Seeing) -> bool:
    try:
        seeing.subnetpool(facts(pool) | {"shared": pool.shared_with}, SubnetPoolNotFound(id=pool.id))
    except SubnetPoolNotFound:
        return False
    return True


@contextmanager
def _as_failure(reason: str) -> Iterator[None]:
    try:
        yield
    except (SubnetAllocationError, core_errors.BadRequest, core_errors.NotFound) as error:
        raise AutoAllocationFailure(reason=reason) from error

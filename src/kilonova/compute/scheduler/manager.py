"""The scheduler's work: hosts for the servers of a request, claimed in placement, with the reasons."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import defaultdict
from collections.abc import Sequence

import msgspec

from kilonova.compute.models import RequestSpec, Selection
from kilonova.compute.scheduler.candidates import Hosts
from kilonova.compute.scheduler.drivers import load_driver
from kilonova.compute.scheduler.hosts import HostReader, is_up
from kilonova.compute.scheduler.interface import SchedulerAPI
from kilonova.compute.scheduler.options import SchedulerOptions
from kilonova.compute.scheduler.plan import Plan, Planner
from kilonova.compute.scheduler.request import FilterRequest, GroupView, resources
from kilonova.compute.store import hosts as store
from kilonova.core import errors
from kilonova.core.batching import gather_all
from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Database
from kilonova.core.faults import Faults
from kilonova.placement.client import HeldAlready, PlacementClient

LOST = "another scheduler claimed the resources first"


class Owner(msgspec.Struct, frozen=True):
    project_id: str
    user_id: str


class SchedulerManager(SchedulerAPI):
    """Many of them work side by side: a claim fits and is taken, or the next best host is asked."""

    def __init__(
        self,
        database: Database,
        placement: PlacementClient,
        options: SchedulerOptions,
        clock: Clock,
        faults: Faults | None = None,
    ) -> None:
        self.database, self.placement, self.options, self.clock = database, placement, options, clock
        self.faults = faults or Faults()
        self.hosts = HostReader(database, placement, options, clock)
        self.driver = load_driver(options, clock.dice())
        self._claims = asyncio.Semaphore(options.claims_at_once)

    async def select_destinations(
        self, ctx: RequestContext, server_ids: list[str], spec: RequestSpec, project_id: str, user_id: str
    ) -> list[Selection]:
        began = self.clock.monotonic()
        done: dict[str, Selection] = {}
        lost: defaultdict[str, dict[str, str]] = defaultdict(dict)
        pending, first, owner = list(dict.fromkeys(server_ids)), True, Owner(project_id, user_id)
        while pending:
            hosts = await (self.hosts.shared() if first else self.hosts.fresh())
            request = await self._request(spec, server_ids, list(done.values()))
            plans = Planner(self.driver, hosts, request).plan(pending, lost)
            hopeless = [plan for plan in plans if plan.host is None]
            planned = [plan for plan in plans if plan.host is not None]
            for plan, selection in await self._claim_all(planned, hosts, spec, owner, began):
                if selection is not None:
                    done[plan.server_uuid] = selection
                elif plan.host is not None:
                    lost[plan.server_uuid][plan.host.host] = LOST
            # in every round: what fills the hosts may be this server's claim, made by another process meanwhile
            agreed = await self._recall(hopeless, hosts, spec) if spec.keep_claim_on is None else []
            done |= {plan.server_uuid: self._selection(plan, began) for plan in (agreed if first else hopeless)}
            pending, first = [uuid for uuid in pending if uuid not in done], False
        return [done[uuid] for uuid in server_ids]

    async def _recall(self, hopeless: Sequence[Plan], hosts: Hosts, spec: RequestSpec) -> list[Plan]:
        """Before saying no: a claim of the server itself, left by an attempt that was cut off, must not fill the host. Where
        it may stay that is the host, else it is given back, and the next look is at fresh numbers. The plans with a host."""

        async def one(plan: Plan) -> bool:
            async with self._claims:
                held = next(iter((await self.placement.allocations(plan.server_uuid)).allocations), None)
                if held is None:
                    return False
                if _is_first(spec) and self._agree(plan, hosts, held):
                    return True
                await self.placement.release(plan.server_uuid)
                return False

        agreed = await asyncio.gather(*(one(plan) for plan in hopeless))
        return [plan for plan, kept in zip(hopeless, agreed, strict=True) if kept]

    async def _request(self, spec: RequestSpec, server_ids: list[str], done: list[Selection]) -> FilterRequest:
        request = FilterRequest.of(spec)
        named = [*request.hint("same_host"), *request.hint("different_host")]
        groups = request.hint("group")
        if not named and not groups:
            return request
        async with self.database.reading() as connection:
            if named:
                request.server_hosts = await store.server_hosts(connection, named)
            if groups:
                request.group = await read_group(connection, groups[0], server_ids)
        if request.group is not None:
            for selection in done:
                if selection.host is not None:
                    held = request.group.hosts
                    held[selection.host] = held.get(selection.host, 0) + 1
        return request

    async def _claim_all(
        self, plans: Sequence[Plan], hosts: Hosts, spec: RequestSpec, owner: Owner, began: float
    ) -> list[tuple[Plan, Selection | None]]:
        """All at once where no other claim interferes, else one by one."""
        wanted = {plan.server_uuid: plan.host.node_uuid for plan in plans if plan.host is not None}
        if len(wanted) > 1 and _is_first(spec) and resources(spec):
            async with self._claims:
                await self.faults.point("claim", "before")
                claim_began = self.clock.row_time()
                taken = await self.placement.claim_many(
                    wanted, resources(spec), project_id=owner.project_id, user_id=owner.user_id
                )
                await self.faults.point("claim", "after")
            if taken:
                return [(plan, self._claimed(plan, began, claim_began)) for plan in plans]
        # a late claim must not overtake the next attempt's
        return await gather_all(self._claim(plan, hosts, spec, owner, began) for plan in plans)

    async def _claim(
        self, plan: Plan, hosts: Hosts, spec: RequestSpec, owner: Owner, began: float
    ) -> tuple[Plan, Selection | None]:
        if plan.host is None:
            return plan, None
        async with self._claims:
            await self.faults.point("claim", "before")
            claim_began = self.clock.row_time()
            try:
                taken = await self._take(plan.server_uuid, plan.host.node_uuid, spec, owner, first=_is_first(spec))
            except HeldAlready as held:
                taken = self._agree(plan, hosts, held.params["provider"]) or await self._take(
                    plan.server_uuid, plan.host.node_uuid, spec, owner
                )
            await self.faults.point("claim", "after")
        return plan, self._claimed(plan, began, claim_began) if taken else None

    def _claimed(self, plan: Plan, began: float, claim_began: dt.datetime) -> Selection:
        selection = self._selection(plan, began)
        selection.claim_began, selection.claim_ended = claim_began, self.clock.row_time()
        return selection

    @staticmethod
    def _agree(plan: Plan, hosts: Hosts, held: str) -> bool:
        """The same server may be scheduled twice at once, or again after a crash: the claim that is there counts for both,
        so that neither takes from the other what it is about to use."""
        host = next((host for host in hosts.values() if host.node_uuid == held), None)
        if host is None or not host.up or not host.enabled:
            return False
        plan.host, plan.decision.chosen = host, host.host
        return True

    async def _take(
        self, server_id: str, node_uuid: str, spec: RequestSpec, owner: Owner, *, first: bool = False
    ) -> bool:
        wanted = resources(spec)
        if not wanted:
            return True  # a flavor of nothing claims nothing
        try:
            return await self.placement.claim(
                server_id, node_uuid, wanted, project_id=owner.project_id, user_id=owner.user_id,
                also=await self._kept(spec), first=first,
            )  # fmt: skip
        except errors.NotFound:
            return False  # the host's provider is not known yet

    async def _kept(self, spec: RequestSpec) -> list[str]:
        """The provider where a claim stays beside the new one."""
        if spec.keep_claim_on is None:
            return []
        async with self.database.reading() as connection:
            node = await store.node(connection, spec.keep_claim_on)
        return [node.uuid] if node is not None else []

    def _selection(self, plan: Plan, began: float) -> Selection:
        plan.decision.seconds = round(self.clock.monotonic() - began, 6)
        plan.decision.at = self.clock.row_time()
        host = plan.host
        return Selection(
            server_uuid=plan.server_uuid,
            host=host.host if host is not None else None,
            node=host.node if host is not None else None,
            availability_zone=host.availability_zone if host is not None else None,
            alternates=plan.alternates,
            decision=plan.decision,
        )

    async def claim(
        self, ctx: RequestContext, server_id: str, host: str, spec: RequestSpec, project_id: str, user_id: str
    ) -> bool:
        async with self.database.reading() as connection:
            node = await store.node(connection, host)
        since = self.clock.row_time() - dt.timedelta(seconds=self.options.service_down_time)
        if node is None or node.disabled or not is_up(node, since):
            return False
        return await self._take(server_id, node.uuid, spec, Owner(project_id, user_id))


def _is_first(spec: RequestSpec) -> bool:
    """Nothing was tried before, whose claim would have to move, and no group may have changed its mind."""
    return not spec.failed_hosts and spec.keep_claim_on is None and "group" not in spec.scheduler_hints


async def read_group(
    connection: Connection, uuid: str, without: Sequence[str], *, lock: bool = False
) -> GroupView | None:
    """A server group with its members' hosts, not counting the servers `without`; None when it is gone."""
    row = await store.group(connection, uuid, lock=lock)
    if row is None:
        return None
    rules = {name: int(value) for name, value in (row.rules or {}).items() if str(value).isdecimal()}
    return GroupView(
        uuid=uuid, policy=row.policy, rules=rules, hosts=await store.group_hosts(connection, uuid, without)
    )


__all__ = ["Hosts", "SchedulerManager", "read_group"]

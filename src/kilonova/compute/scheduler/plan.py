"""One pass over the hosts for all servers of a request: filter, order, subtract, next server. Nothing is awaited here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice

import msgspec

from kilonova.compute.models import Decision, FilterReason, HostReason, HostState
from kilonova.compute.scheduler.candidates import Hosts
from kilonova.compute.scheduler.drivers import Driver
from kilonova.compute.scheduler.request import FilterRequest
from kilonova.compute.scheduler.weighing import Ranked

KEPT_HOSTS = 100
CLAIM = "claim"


class Plan(msgspec.Struct):
    """The host for one server (None: no host), the next best ones, and the reasons."""

    server_uuid: str
    host: HostState | None
    alternates: list[str]
    decision: Decision


class Planner:
    """`hosts` is changed: what a server takes is subtracted at once, so that other callers see it."""

    def __init__(self, driver: Driver, hosts: Hosts, request: FilterRequest) -> None:
        self.driver, self.hosts, self.request = driver, hosts, request
        self.candidates = hosts.candidates(request, driver.filters_for(request), driver.weighers)
        self.placed: list[HostState] = []

    def plan(self, server_ids: Sequence[str], lost: Mapping[str, Mapping[str, str]]) -> list[Plan]:
        """`lost`: server uuid → host where its claim failed → why."""
        return [self._one(uuid, lost.get(uuid, {})) for uuid in server_ids]

    def _one(self, uuid: str, lost: Mapping[str, str]) -> Plan:
        ranked = self.driver.order(self.candidates, lost, self.placed)
        chosen = ranked[0].host if ranked else None
        alternates = [entry.host.host for entry in ranked[1 : self.driver.options.max_attempts]]
        if self.request.spec.force_host:
            alternates = []
        decision = self._decision(ranked, lost, chosen, alternates)
        if chosen is not None:
            self._take(chosen)
        return Plan(uuid, chosen, alternates, decision)

    def _take(self, host: HostState) -> None:
        """Subtract what the server takes and look again at what may have changed by it."""
        request, stats = self.request, host.stats
        busier = msgspec.structs.replace(
            host,
            vcpus_free=host.vcpus_free - request.vcpus,
            vcpus_used=host.vcpus_used + request.vcpus,
            memory_mb_free=host.memory_mb_free - request.memory_mb,
            memory_mb_used=host.memory_mb_used + request.memory_mb,
            disk_gb_free=host.disk_gb_free - request.disk_gb,
            disk_gb_used=host.disk_gb_used + request.disk_gb,
            stats=msgspec.structs.replace(stats, running_vms=stats.running_vms + 1, io_ops=stats.io_ops + 1),
        )
        self.hosts.put(busier)
        self.placed.append(busier)
        if request.group is None:
            self.candidates.follow()
        else:
            request.group.hosts[host.host] = request.group.hosts.get(host.host, 0) + 1
            self.candidates.look_at_all()

    def _decision(
        self, ranked: Sequence[Ranked], lost: Mapping[str, str], chosen: HostState | None, alternates: list[str]
    ) -> Decision:
        gone = {name: why for name, why in lost.items() if self.candidates.passes(name)}
        reasons = [
            HostReason(host=r.host.host, weight=round(r.weight, 6), weights=r.weights) for r in ranked[:KEPT_HOSTS]
        ]
        for name, why in gone.items():
            reasons.append(HostReason(host=name, refused_by=CLAIM, saw=why))
        for name, judge in islice(self.candidates.refused.items(), max(KEPT_HOSTS - len(reasons), 0)):
            saw = judge.passes(self.hosts[name], self.request)
            reasons.append(HostReason(host=name, refused_by=judge.name, saw=saw or ""))
        return Decision(
            scheduler=self.driver.name,
            chosen=chosen.host if chosen is not None else None,
            alternates=alternates,
            filters=self._counts(len(gone)),
            hosts=reasons[:KEPT_HOSTS],
            candidates=len(self.hosts),
        )

    def _counts(self, lost: int) -> list[FilterReason]:
        removed = Counter(judge.name for judge in self.candidates.refused.values())
        left, counts = len(self.hosts), []
        for name in (judge.name for judge in self.candidates.filters):
            counts.append(FilterReason(filter=name, before=left, after=left - removed[name]))
            left -= removed[name]
        if lost:
            counts.append(FilterReason(filter=CLAIM, before=left, after=left - lost))
        return counts


def why_none(decision: Decision) -> str:
    """What a user reads when no host was found."""
    if decision.candidates == 0:
        return "No valid host was found. No compute host is known."
    removed = [f"{f.filter} removed {f.before - f.after}" for f in decision.filters if f.before > f.after]
    hosts = "1 host" if decision.candidates == 1 else f"{decision.candidates} hosts"
    return f"No valid host was found. {hosts}: {', '.join(removed) or 'all passed'}."

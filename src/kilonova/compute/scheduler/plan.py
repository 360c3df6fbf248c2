"""One pass over the hosts for all servers of a request: filter, order, take, next server. Nothing is awaited here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from operator import attrgetter

import msgspec

from kilonova.compute.models import Decision, FilterReason, HostReason, HostState
from kilonova.compute.scheduler.drivers import Driver
from kilonova.compute.scheduler.filters.base import DOWN, Filter
from kilonova.compute.scheduler.request import FilterRequest
from kilonova.compute.scheduler.weighing import Ranked

KEPT_HOSTS = 100
CLAIM = "claim"
FORCED = "ForcedHost"
NAME = attrgetter("host")


class Plan(msgspec.Struct):
    """The host for one server (None: no host), the next best ones, and the reasons."""

    server_uuid: str
    host: HostState | None
    alternates: list[str]
    decision: Decision


class Planner:
    """`hosts` is changed: what a server takes is subtracted at once, so that those who share it see it."""

    def __init__(self, driver: Driver, hosts: dict[str, HostState], request: FilterRequest) -> None:
        self.driver, self.hosts, self.request = driver, hosts, request
        self.refused: dict[str, tuple[str, Filter | str]] = {}  # by which filter; who says why, or the words
        self.passing: dict[str, HostState] = {}
        self.placed: list[HostState] = []
        self.filters = [f for f in driver.filters if f.applies(request)]
        if request.spec.force_host or request.spec.force_node:
            self.filters = []
            self._force(request.spec.force_host, request.spec.force_node)
        else:
            self._check(hosts.values())

    def plan(self, server_ids: Sequence[str], lost: Mapping[str, Mapping[str, str]]) -> list[Plan]:
        """`lost` tells, for a server, the hosts where its claim failed, and why."""
        return [self._one(uuid, lost.get(uuid, {})) for uuid in server_ids]

    def _check(self, hosts: Iterable[HostState]) -> None:
        """One filter after the other, each over those that passed the ones before."""
        left, again = list(hosts), bool(self.refused)
        for judge in self.filters:
            passed = judge.among(left, self.request)
            if len(passed) < len(left):
                self._refuse(judge, left, passed)
                left = passed
        if again:  # who was refused may pass now
            for host in left:
                self.refused.pop(host.host, None)
        self.passing.update(zip(map(NAME, left), left, strict=True))

    def _refuse(self, judge: Filter, asked: Sequence[HostState], passed: Sequence[HostState]) -> None:
        """`passed` is `asked` without some. Why each was refused is asked only for those that are told of."""
        entry, rest = (judge.name, judge), iter(passed)
        good = next(rest, None)
        for host in asked:
            if host is good:
                good = next(rest, None)
            else:
                self.refused[host.host] = entry
                self.passing.pop(host.host, None)

    def _force(self, host_name: str | None, node: str | None) -> None:
        """A forced host meets no filter; it has to be known and up."""
        for name, host in self.hosts.items():
            if host_name not in (None, name) or node not in (None, host.node):
                self.refused[name] = (FORCED, f"{host_name or node} was asked for")
            elif not host.up:
                self.refused[name] = (FORCED, DOWN)
            else:
                self.passing[name] = host

    def _one(self, uuid: str, lost: Mapping[str, str]) -> Plan:
        passing = self.passing
        open_hosts = [host for name, host in passing.items() if name not in lost] if lost else list(passing.values())
        ranked = self.driver.order(open_hosts, self.request, self.placed) if open_hosts else []
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
        self.hosts[host.host] = busier
        self.placed.append(busier)
        group = request.group
        if group is not None:
            group.hosts[host.host] = group.hosts.get(host.host, 0) + 1
        if not self.filters:
            self.passing[host.host] = busier
        elif group is not None:
            self._check(self.hosts.values())
        else:
            self._check([busier])

    def _decision(
        self, ranked: Sequence[Ranked], lost: Mapping[str, str], chosen: HostState | None, alternates: list[str]
    ) -> Decision:
        gone = {name: why for name, why in lost.items() if name in self.passing}
        reasons = [
            HostReason(host=r.host.host, weight=round(r.weight, 6), weights=r.weights) for r in ranked[:KEPT_HOSTS]
        ]
        for name, why in gone.items():
            reasons.append(HostReason(host=name, refused_by=CLAIM, saw=why))
        for name, (by, judge) in islice(self.refused.items(), max(KEPT_HOSTS - len(reasons), 0)):
            saw = judge if isinstance(judge, str) else judge.passes(self.hosts[name], self.request)
            reasons.append(HostReason(host=name, refused_by=by, saw=saw or ""))
        return Decision(
            scheduler=self.driver.name,
            chosen=chosen.host if chosen is not None else None,
            alternates=alternates,
            filters=self._counts(len(gone)),
            hosts=reasons[:KEPT_HOSTS],
            candidates=len(self.hosts),
        )

    def _counts(self, lost: int) -> list[FilterReason]:
        removed = Counter(by for by, _ in self.refused.values())
        names = [f.name for f in self.filters] or [FORCED]
        left, counts = len(self.hosts), []
        for name in names:
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

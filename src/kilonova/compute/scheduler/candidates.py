"""What is known of the hosts, and the hosts as a kind of request sees them: looked at once, then only where they change."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import compress

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.filters import Filter
from kilonova.compute.scheduler.request import FilterRequest
from kilonova.compute.scheduler.weighers import Weigher
from kilonova.compute.scheduler.weighing import Ranked, Weights

KINDS = 8


class Hosts(dict[str, HostState]):
    """By name, in the order in which they became known; changed by `put` alone. Keeps how the last kinds of requests see them:
    a launch of a flavor and image that were just launched costs what changed since."""

    def __init__(self, states: Iterable[HostState] = ()) -> None:
        super().__init__((state.host, state) for state in states)
        self.changes: list[str] = []  # names, oldest first
        self._kinds: dict[bytes, Candidates] = {}

    def put(self, state: HostState) -> None:
        if self.get(state.host) != state:
            self[state.host] = state
            self.changes.append(state.host)

    def candidates(self, request: FilterRequest, filters: Sequence[Filter], weighers: Sequence[Weigher]) -> Candidates:
        """For this request. Where other servers matter, which may move meanwhile, all are looked at anew."""
        kind = request.kind()
        if kind is None:
            return Candidates(self, request, filters, weighers)
        found = self._kinds.pop(kind, None) or Candidates(self, request, filters, weighers)
        self._kinds[kind] = found  # the last one used comes last
        if len(self._kinds) > KINDS:
            del self._kinds[next(iter(self._kinds))]
        found.follow()
        return found


class Candidates:
    """The hosts as one kind of request sees them: which pass the filters, which filter refused the others, and their weights."""

    def __init__(
        self, hosts: Hosts, request: FilterRequest, filters: Sequence[Filter], weighers: Sequence[Weigher]
    ) -> None:
        self.request, self.filters = request, filters
        self.refused: dict[str, Filter] = {}  # by the first filter that did
        self._hosts, self._followed = hosts, 0
        self._states: list[HostState] = []
        self._places: dict[str, int] = {}
        self._open = bytearray()  # by place: 1 where the host passes
        self._weights = Weights(weighers, request)
        self.look_at_all()

    def passes(self, name: str) -> bool:
        return name in self._places and bool(self._open[self._places[name]])

    def passing(self, without: Collection[str] = ()) -> list[HostState]:
        return [host for host in compress(self._states, self._open) if host.host not in without]

    def best(self, keep: int | None, without: Collection[str] = ()) -> list[Ranked]:
        """Of those that pass, by their weights, at most `keep`."""
        places = {self._places[name] for name in without if name in self._places}
        return self._weights.best(self._states, self._open, keep, places)

    def follow(self) -> None:
        """Look at the hosts that have changed since the last time."""
        changed = dict.fromkeys(self._hosts.changes[self._followed :])
        self._followed = len(self._hosts.changes)
        for name in changed:
            self._look_at(self._hosts[name])

    def _look_at(self, host: HostState) -> None:
        place = self._places.setdefault(host.host, len(self._states))
        if place == len(self._states):
            self._states.append(host)
            self._open.append(0)
        before, self._states[place] = self._open[place], host
        judge = next((judge for judge in self.filters if judge.passes(host, self.request) is not None), None)
        self._open[place] = judge is None
        if judge is None:
            self.refused.pop(host.host, None)
        else:
            self.refused[host.host] = judge
        self._weights.put(place, host, was_open=before, is_open=self._open[place])

    def look_at_all(self) -> None:
        """One filter after the other, each over those that passed the ones before."""
        self._followed = len(self._hosts.changes)
        self._states = left = list(self._hosts.values())
        self._places = dict(zip(self._hosts, range(len(left)), strict=True))
        self._open = bytearray(b"\1") * len(left)
        self.refused = {}
        for judge in self.filters:
            passed = judge.among(left, self.request)
            if len(passed) < len(left):
                self._refuse(judge, left, passed)
                left = passed
        self._weights.fill(self._states, self._open)

    def _refuse(self, judge: Filter, asked: Sequence[HostState], passed: Sequence[HostState]) -> None:
        """`passed` is `asked` without some."""
        rest = iter(passed)
        good = next(rest, None)
        for host in asked:
            if host is good:
                good = next(rest, None)
            else:
                self.refused[host.host] = judge
                self._open[self._places[host.host]] = 0

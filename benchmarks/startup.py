"""`kilonova up`: from the command to the first answered request, the memory of all services idle, and how many distributions
an installation has.

Memory is PSS: pages of libraries that other processes of the machine have loaded too count in part, so run it alone."""

from __future__ import annotations

import time
from importlib.metadata import requires

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks.clouds import workplace
from benchmarks.results import Row
from kilonova.testing.memory import pss
from tests.process.cloud.harness import CloudProcess

IDLE = 5.0  # seconds after which it counts as idle


def run(rounds: int) -> list[Row]:
    first, again, memory = [], [], []
    for _ in range(rounds):
        with workplace() as folder:
            for samples in (first, again):
                cloud = CloudProcess(folder / "state", extra=["--fake-hosts", "1"])
                began = time.perf_counter()
                cloud.start()
                cloud.api()  # logs in
                samples.append(time.perf_counter() - began)
                if samples is again and cloud.process is not None:
                    time.sleep(IDLE)
                    memory.append(pss(cloud.process.pid))
                cloud.stop()
    return [
        Row(what="first start of all: until a token is issued", unit="s", samples=first),
        Row(what="start: until a token is issued", unit="s", samples=again, asked=3.0),
        Row(what="all services idle, one process (PSS)", unit="MB", samples=memory, asked=150.0),
        Row(what="distributions that it needs", unit="", samples=[float(len(needed("kilonova")))], asked=70.0),
    ]


def needed(name: str) -> set[str]:
    """The distributions that an installed one needs on this machine, and those that they need; without optional ones."""
    found: set[str] = set()
    asked: set[tuple[str, frozenset[str]]] = set()
    waiting = [(name, frozenset[str]())]
    while waiting:
        one = waiting.pop()
        if one in asked:
            continue
        asked.add(one)
        for wanted in map(Requirement, requires(one[0]) or []):
            if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in one[1] | {""}):
                found.add(canonicalize_name(wanted.name))
                waiting.append((wanted.name, frozenset(wanted.extras)))
    return found

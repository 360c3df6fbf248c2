"""`kilonova up`: from the command to the first answered request, and the memory of all services idle."""

from __future__ import annotations

import time

from benchmarks.clouds import workplace
from benchmarks.results import Row
from kilonova.testing.memory import pss
from tests.cloud.harness import CloudProcess

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
    ]

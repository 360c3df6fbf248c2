"""Launches by the neutral load client: one after the other, ten at a time, one request for fifty."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager

from benchmarks.clouds import Cloud, distributed, one_process
from benchmarks.results import Row

SERVERS, AT_ONCE = 50, 10


def run(rounds: int) -> list[Row]:
    return list(_rows(one_process(), rounds, "one process", 60, 1.0, 10, 40))


def run_distributed(rounds: int) -> list[Row]:
    return list(_rows(distributed(), rounds, "distributed", 40, None, None, None))


def _rows(
    cloud: AbstractContextManager[Cloud], rounds: int, where: str, boots: float, multi: float | None, post: float | None,
    active: float | None,
) -> Iterator[Row]:  # fmt: skip
    with cloud as running:
        options = ("-n", str(SERVERS), "-c", str(AT_ONCE), "--network", "none", "--seq-poll", "0.005", "--poll", "0.05")
        running.client("--phases", "boot", "--repeat", "1", *options)  # the first of everything is not counted
        before = running.cpu_seconds()
        boot = running.client("--phases", "boot", "--repeat", str(rounds), *options)["boot"]
        cpu = (running.cpu_seconds() - before) / (rounds * SERVERS) * 1000
        many = running.client("--phases", "multi", "--repeat", str(rounds), *options)["multi"]
        alone = [running.client("--phases", "seq", "--seq-n", "10", *options)["seq"] for _ in range(rounds)]
    lost = sum(found["failures"] for found in (*boot, *many, *alone))
    if lost:
        raise RuntimeError(f"{lost} servers did not become ACTIVE")
    yield Row(
        what=f"{where}: launches to ACTIVE, N={SERVERS} C={AT_ONCE}", unit="/s", asked=boots, more_is_better=True,
        samples=[found["launches_per_s"] for found in boot],
    )  # fmt: skip
    yield Row(what=f"{where}: CPU of one launch and delete", unit="ms", samples=[cpu])
    yield Row(
        what=f"{where}: one request for {SERVERS}, until all ACTIVE", unit="s", asked=multi,
        samples=[found["all_active_s"] for found in many],
    )  # fmt: skip
    yield Row(
        what=f"{where}: one launch, POST", unit="ms", asked=post,
        samples=[found["post_accept"]["p50_ms"] for found in alone],
    )  # fmt: skip
    yield Row(
        what=f"{where}: one launch, ACTIVE", unit="ms", asked=active,
        samples=[found["time_to_active"]["p50_ms"] for found in alone],
    )  # fmt: skip

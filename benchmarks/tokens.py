"""Tokens: issued by identity over HTTP, checked by a service that has seen them before."""

from __future__ import annotations

import time

from benchmarks.clouds import one_process
from benchmarks.results import Row

ISSUED, CHECKED = 30, 200


def run(rounds: int) -> list[Row]:
    issue, check, bare = [], [], []
    with one_process(hosts=1) as cloud:
        api = cloud.api
        for _ in range(rounds):
            issue.append(_each(ISSUED, api.login))
            check.append(_each(CHECKED, lambda: api.ok("GET", "compute", "/flavors/1")))
            bare.append(_each(CHECKED, lambda: api.http.get(f"{cloud.auth_url}/")))
    return [
        Row(what="token by password (argon2id)", unit="ms", samples=issue),
        Row(what="GET of one flavor with a checked token", unit="ms", samples=check),
        Row(what="GET of a version document, no token", unit="ms", samples=bare),
    ]


def _each(times: int, act: object) -> float:
    began = time.perf_counter()
    for _ in range(times):
        act()  # type: ignore[operator]
    return (time.perf_counter() - began) / times * 1000

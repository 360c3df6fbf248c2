"""Lists and shows with few and many servers: a page costs what it holds, not what there is."""

from __future__ import annotations

import statistics
import time
from typing import Any

from benchmarks.clouds import Cloud, one_process
from benchmarks.results import Row

SIZES = (1, 200, 1000, 10000)
PER_REQUEST = 200
TIMES = 15


def run(rounds: int, sizes: tuple[int, ...] = SIZES) -> list[Row]:
    rows, held = [], 0
    with one_process(hosts=200) as cloud:
        flavor = cloud.api.ok(
            "POST", "compute", "/flavors", {"flavor": {"name": "small", "vcpus": 1, "ram": 1, "disk": 0}}
        )
        for size in sizes:
            _fill(cloud, flavor["flavor"]["id"], size - held)
            held = size
            one = cloud.api.ok("GET", "compute", "/servers?limit=1")["servers"][0]["id"]
            for what, path, asked in (
                ("GET /servers/detail, first 200", "/servers/detail?limit=200", 20.0 if size == 200 else None),
                ("GET /servers, first 200", "/servers?limit=200", None),
                ("GET /servers/ID", f"/servers/{one}", None),
            ):
                samples = [_median(cloud, path) for _ in range(rounds)]
                rows.append(Row(what=f"{what}, of {size}", unit="ms", samples=samples, asked=asked))
    return rows


def _fill(cloud: Cloud, flavor: str, count: int) -> None:
    while count > 0:
        part = min(count, PER_REQUEST)
        body: dict[str, Any] = {"name": "many", "imageRef": cloud.image, "flavorRef": flavor, "networks": "none"}
        body |= {"min_count": part, "max_count": part}
        cloud.api.ok("POST", "compute", "/servers", {"server": body})
        while cloud.api.ok("GET", "compute", "/servers?status=BUILD&limit=1")["servers"]:
            time.sleep(0.1)
        count -= part


def _median(cloud: Cloud, path: str) -> float:
    times = []
    for _ in range(TIMES):
        began = time.perf_counter()
        cloud.api.ok("GET", "compute", path)
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)

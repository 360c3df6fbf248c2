"""Lists and shows with few and many servers: a page costs what it holds, not what there is."""

from __future__ import annotations

from benchmarks.clouds import one_process
from benchmarks.results import Row

SIZES = (1, 200, 1000, 10000)


def run(rounds: int, sizes: tuple[int, ...] = SIZES) -> list[Row]:
    rows, held = [], 0
    with one_process(hosts=200) as cloud:
        for size in sizes:
            cloud.fill(size - held)
            held = size
            one = cloud.api.ok("GET", "compute", "/servers?limit=1")["servers"][0]["id"]
            for what, path, asked in (
                ("GET /servers/detail, first 200", "/servers/detail?limit=200", 20.0 if size == 200 else None),
                ("GET /servers, first 200", "/servers?limit=200", None),
                ("GET /servers/ID", f"/servers/{one}", None),
            ):
                samples = [cloud.reads("compute", path) for _ in range(rounds)]
                rows.append(Row(what=f"{what}, of {size}", unit="ms", samples=samples, asked=asked))
    return rows

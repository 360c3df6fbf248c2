"""How costs grow with numbers: hosts, servers, ports, rules, images. One process on SQLite, fake driver.

`python -m benchmarks growth` takes a quarter of an hour with 10,000 servers; `KILONOVA_GROWTH=0.1` makes it a tenth of all.
The rows' samples are the costs at their `sizes`; `python -m benchmarks.graphs` draws them. What one server or host takes of
memory is the slope between the first and the last size.
"""

from __future__ import annotations

import os
from typing import Any

from benchmarks.clouds import PER_REQUEST, Cloud, one_process
from benchmarks.results import TIMES, Row, median_ms
from kilonova.testing.memory import pss

SCALE = float(os.environ.get("KILONOVA_GROWTH", "1"))
HOSTS = [round(count * SCALE) or 1 for count in (100, 300, 1000)]
SERVERS = [round(count * SCALE) for count in (1000, 2000, 4000, 7000, 10000)]
PORTS = [round(count * SCALE) for count in (100, 500, 1000, 2000)]
RULES = [round(count * SCALE) for count in (50, 100, 200, 400)]
IMAGES = [round(count * SCALE) for count in (50, 200, 1000)]
PAIRS = 5
LAUNCHES = 200  # many, as the client looks only every 50 ms whether all are ACTIVE
NETWORK_QUOTA = {"quota": dict.fromkeys(("port", "security_group", "security_group_rule"), -1)}


def run(_rounds: int) -> list[Row]:
    rows = [*_hosts(), *_servers()]
    with one_process(hosts=1, KILONOVA_AGENT_HOST="h") as cloud:
        cloud.api.ok("PUT", "network", f"/quotas/{cloud.api.project_id}", NETWORK_QUOTA)
        return [*rows, *_ports(cloud), *_rules(cloud), *_images(cloud)]


def _row(what: str, unit: str, by: str, sizes: list[int], samples: list[float]) -> Row:
    return Row(what=what, unit=unit, samples=samples, by=by, sizes=[float(size) for size in sizes])


def _kept(percents: list[float], by: str, asked: float | None = None) -> Row:
    what = f"launches/s with most {by}, of those with fewest"
    return Row(what=what, unit="%", samples=percents, asked=asked, more_is_better=True)


def _slope(memory: list[float], sizes: list[int], of: str) -> Row:
    kilobytes = (memory[-1] - memory[0]) * 1000 / max(sizes[-1] - sizes[0], 1)
    return Row(what=f"memory of one {of}", unit="KB", samples=[kilobytes])


def _hosts() -> list[Row]:
    launch, memory = [], []
    for count in HOSTS:
        with one_process(hosts=count) as cloud:
            memory.append(pss(cloud.pids[0]))
            launch.append(_launches_per_second(cloud))
    return [
        _row("launches", "/s", "hosts", HOSTS, launch),
        _row("memory", "MB", "hosts", HOSTS, memory),
        _kept([launch[-1] / launch[0] * 100], "hosts"),
        _slope(memory, HOSTS, "host"),
    ]


def _launches_per_second(cloud: Cloud) -> float:
    options = ("-n", str(LAUNCHES), "-c", "10", "--network", "none", "--poll", "0.05", "--repeat", "3")
    return float(cloud.client("--phases", "boot", *options)["boot_median_launches_per_s"])


def _servers() -> list[Row]:
    names = (
        "launches",
        "memory",
        "first page of 100",
        "last page of 100",
        "one server",
        "decision (explain)",
        "steps (trace)",
    )
    found: dict[str, list[float]] = {name: [] for name in names}
    held, last = 0, ""
    with one_process(hosts=HOSTS[-1]) as cloud:
        api = cloud.api
        for size in SERVERS:
            last = cloud.fill(size - held) or last
            held = size
            oldest = api.ok("GET", "compute", "/servers?limit=1&sort_key=created_at&sort_dir=asc")["servers"][0]["id"]
            deep = _deep_marker(api, size)
            for name, cost in {
                "launches": _launches_per_second(cloud),
                "memory": pss(cloud.pids[0]),
                "first page of 100": cloud.reads("compute", "/servers/detail?limit=100"),
                "last page of 100": cloud.reads("compute", f"/servers/detail?limit=100&marker={deep}"),
                "one server": cloud.reads("compute", f"/servers/{oldest}"),
                "decision (explain)": cloud.reads("compute", f"/servers/{last}/os-kilonova-decisions"),
                "steps (trace)": cloud.reads("compute", f"/servers/{last}/os-instance-actions"),
            }.items():
                found[name].append(cost)
        kept = _beside_few(cloud)
    units = {"launches": "/s", "memory": "MB"}
    rows = [_row(name, units.get(name, "ms"), "servers", SERVERS, costs) for name, costs in found.items()]
    return [*rows, kept, _slope(found["memory"], SERVERS, "server")]


def _beside_few(many: Cloud) -> Row:
    """In turn with a cloud of as many hosts and the fewest servers, as a machine's speed changes within the minutes of a run."""
    with one_process(hosts=HOSTS[-1]) as few:
        few.fill(SERVERS[0])
        _launches_per_second(few)  # the first of everything is not counted
        pairs = [(_launches_per_second(many), _launches_per_second(few)) for _ in range(PAIRS)]
    return _kept([full / empty * 100 for full, empty in pairs], "servers", asked=80.0)


def _deep_marker(api: Any, size: int) -> str:
    """The server after which the last hundred come."""
    ids: list[str] = []
    while len(ids) < max(size - 100, 1):
        path = f"/servers?limit=1000&marker={ids[-1]}" if ids else "/servers?limit=1000"
        ids += [server["id"] for server in api.ok("GET", "compute", path)["servers"]]
    return ids[max(size - 101, 0)]


def _ports(cloud: Cloud) -> list[Row]:
    api, create, listed, held = cloud.api, [], [], 0
    network = api.network("many", cidr="10.64.0.0/16")
    (host,) = {agent["host"] for agent in api.ok("GET", "network", "/agents")["agents"]}
    port = {"network_id": network, "binding:host_id": host, "device_id": "bench"}
    for size in PORTS:
        for start in range(held, size, PER_REQUEST):
            api.ok("POST", "network", "/ports", {"ports": [port] * min(PER_REQUEST, size - start)})
        held = size
        create.append(median_ms(lambda: api.ok("POST", "network", "/ports", {"port": port})))
        listed.append(cloud.reads("network", "/ports?limit=100"))
    return [
        _row("one more port", "ms", "ports", PORTS, create),
        _row("page of 100 ports", "ms", "ports", PORTS, listed),
    ]


def _rules(cloud: Cloud) -> list[Row]:
    api, create, held = cloud.api, [], 0
    group = api.ok("POST", "network", "/security-groups", {"security_group": {"name": "many"}})["security_group"]["id"]
    numbers = iter(range(1, 60000))

    def add() -> None:
        number = next(numbers)
        rule = {"security_group_id": group, "direction": "ingress", "protocol": "tcp"}
        rule |= {"port_range_min": number, "port_range_max": number}
        api.ok("POST", "network", "/security-group-rules", {"security_group_rule": rule})

    for size in RULES:
        for _ in range(held, size):
            add()
        create.append(median_ms(add))
        held = size + TIMES
    return [_row("one more rule", "ms", "rules of a group", RULES, create)]


def _images(cloud: Cloud) -> list[Row]:
    api, listed, held = cloud.api, [], 0
    for size in IMAGES:
        for number in range(held, size):
            api.ok("POST", "image", "/images", {"name": f"i{number}", "disk_format": "raw", "container_format": "bare"})
        held = size
        listed.append(cloud.reads("image", "/images?limit=25"))
    return [_row("page of 25 images", "ms", "images", IMAGES, listed)]

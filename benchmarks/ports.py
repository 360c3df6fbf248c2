"""The network service: ports one by one and many in a request, bound to a host; rules of security groups."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.clouds import one_process
from benchmarks.results import Row

PORTS, RULES, HOST = 40, 40, "h-1"
UNLIMITED = {"quota": dict.fromkeys(("port", "security_group_rule"), -1)}


def run(rounds: int) -> list[Row]:
    single, bulk, rules = [], [], []
    with one_process(hosts=1, KILONOVA_AGENT_HOST="h") as cloud:
        api = cloud.api
        api.ok("PUT", "network", f"/quotas/{api.project_id}", UNLIMITED)
        network = api.network("bench", cidr="10.60.0.0/16")
        (host,) = {agent["host"] for agent in api.ok("GET", "network", "/agents")["agents"]}
        port: dict[str, Any] = {"network_id": network, "binding:host_id": host, "device_id": "bench"}
        for _ in range(rounds):
            began = time.perf_counter()
            made = [api.ok("POST", "network", "/ports", {"port": port})["port"]["id"] for _ in range(PORTS)]
            single.append((time.perf_counter() - began) / PORTS * 1000)
            began = time.perf_counter()
            many = api.ok("POST", "network", "/ports", {"ports": [port] * PORTS})["ports"]
            bulk.append((time.perf_counter() - began) / PORTS * 1000)
            for one in (*made, *(entry["id"] for entry in many)):
                api.ok("DELETE", "network", f"/ports/{one}")
            rules.append(_rules(api))
    return [
        Row(what="port created and bound", unit="ms", samples=single),
        Row(what=f"port created and bound, {PORTS} in a request", unit="ms each", samples=bulk),
        Row(what="security group rule", unit="ms", samples=rules),
    ]


def _rules(api: Any) -> float:
    group = api.ok("POST", "network", "/security-groups", {"security_group": {"name": "bench"}})
    group_id = group["security_group"]["id"]
    began = time.perf_counter()
    for number in range(RULES):
        rule = {
            "security_group_id": group_id, "direction": "ingress", "protocol": "tcp", "port_range_min": 1000 + number,
            "port_range_max": 1000 + number,
        }  # fmt: skip
        api.ok("POST", "network", "/security-group-rules", {"security_group_rule": rule})
    took = (time.perf_counter() - began) / RULES * 1000
    api.ok("DELETE", "network", f"/security-groups/{group_id}")
    return took

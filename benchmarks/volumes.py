"""Volumes of the back end `local`: made, given to a guest that runs, and taken from it, as a client of the APIs sees it.

Needs root, libvirt and the guest's image, as `guests` does. A cloud of its own has one guest that is booted and idle. In turn a
volume is made, attached until the guest has it and it is `in-use`, detached until it is `available`, and deleted."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.guests import POLL, launches, virsh
from benchmarks.results import Row
from tests.process.cloud.harness import Api

PER_ROUND = 3
BODY = {"volume": {"size": 1, "name": "bench"}}
LIMIT = 60.0  # seconds that anything may take


def run(rounds: int) -> list[Row]:
    created, attached, detached, deleted = list[float](), list[float](), list[float](), list[float]()
    with launches() as (made, _):
        server, _, _ = made.one()
        made.wait_booted(server)
        api, path = made.api, f"/servers/{server}/os-volume_attachments"
        for _ in range(rounds * PER_ROUND):
            begun = time.perf_counter()
            volume = api.ok("POST", "volume", "/volumes", BODY)["volume"]["id"]
            created.append(_until(api, volume, "available", begun))
            body = {"volumeAttachment": {"volumeId": volume}}
            begun = time.perf_counter()
            api.ok("POST", "compute", path, body)
            while volume not in virsh("dumpxml", server):
                time.sleep(POLL)
            attached.append(_until(api, volume, "in-use", begun))
            begun = time.perf_counter()
            api.ok("DELETE", "compute", f"{path}/{volume}")
            detached.append(_until(api, volume, "available", begun))
            begun = time.perf_counter()
            api.ok("DELETE", "volume", f"/volumes/{volume}")
            deleted.append(_until(api, volume, None, begun))
        made.delete(server)
    return [
        Row(what="volume of 1 GiB: POST to available", unit="ms", samples=created),
        Row(what="attach to a guest that runs: POST to in-use, the guest having it", unit="ms", samples=attached),
        Row(what="detach: DELETE to available, the guest having let go", unit="ms", samples=detached),
        Row(what="delete: DELETE to gone", unit="ms", samples=deleted),
    ]


def _until(api: Api, volume: str, status: str | None, begun: float) -> float:
    """Milliseconds from `begun` until the volume has this status, None: is gone."""
    while (found := _status(api, volume)) != status:
        if found in ("error", "error_deleting") or time.perf_counter() - begun > LIMIT:
            raise RuntimeError(f"volume {volume} is {found}, not {status}")
        time.sleep(POLL)
    return (time.perf_counter() - begun) * 1000


def _status(api: Api, volume: str) -> str | None:
    listed: list[dict[str, Any]] = api.ok("GET", "volume", "/volumes/detail")["volumes"]
    return next((one["status"] for one in listed if one["id"] == volume), None)

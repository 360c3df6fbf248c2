"""The cloud is killed at some moment of many writes, and started again: what was answered is there, what was removed is gone,
what was going on has ended, and nothing is left over."""

from __future__ import annotations

import itertools
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.eventually import eventually
from tests.process.cloud.harness import Api, CloudProcess

KILLS = 20 if os.environ.get("ATTACK") == "all" else 3
WRITERS = 4
WITHIN = 1.5  # seconds after the first write in which the process is killed
GROUP = {"security_group": {"name": "written"}}


class Written:
    """What the answers promise: URLs of what is there and of what is gone; `unsure` were asked for without an answer."""

    def __init__(self) -> None:
        self.there: set[tuple[str, str]] = set()
        self.gone: set[tuple[str, str]] = set()
        self.unsure: set[tuple[str, str]] = set()
        self.faults: list[str] = []

    def make(self, api: Api, service: str, path: str, body: object) -> tuple[str, str]:
        answer = api.ok("POST", service, path, body)
        inner = answer if "id" in answer else next(iter(answer.values()))
        found = (service, f"{path}/{inner['id']}")
        self.there.add(found)
        return found

    def remove(self, api: Api, thing: tuple[str, str]) -> None:
        self.there.discard(thing)
        self.unsure.add(thing)
        api.ok("DELETE", *thing)
        self.unsure.discard(thing)
        self.gone.add(thing)


def writer(api: Api, written: Written, image: str, network: str, number: int) -> Callable[[], None]:
    """Makes and removes things, until nothing answers any more."""

    def server() -> None:
        wanted = {"name": "w", "imageRef": image, "flavorRef": "1", "networks": [{"uuid": network}]}
        made = written.make(api, "compute", "/servers", {"server": wanted})
        if number % 2:
            written.remove(api, made)

    def port() -> None:
        made = written.make(api, "network", "/ports", {"port": {"network_id": network}})
        written.make(api, "network", "/security-groups", GROUP)
        written.remove(api, made)

    def picture() -> None:
        made = written.make(api, "image", "/images", {"name": "w", "disk_format": "raw", "container_format": "bare"})
        octets = {"Content-Type": "application/octet-stream"}
        api("PUT", "image", f"{made[1]}/file", content=b"\0" * 100_000, headers=octets)
        written.remove(api, made)

    def write() -> None:
        try:
            for act in itertools.cycle((server, port, picture)):
                act()
        except httpx.TransportError:
            return  # the process is gone
        except AssertionError as error:
            written.faults.append(str(error))

    return write


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudProcess]:
    running = CloudProcess(tmp_path_factory.mktemp("killed") / "state", extra=["--fake-hosts", "2"]).start()
    yield running
    running.stop()


def unlimited(cloud: CloudProcess, project: str) -> None:
    admin = cloud.api()
    quotas = {"quota_set": dict.fromkeys(("instances", "cores", "ram"), -1)}
    admin.ok("PUT", "compute", f"/os-quota-sets/{project}", quotas)
    kinds = {"quota": dict.fromkeys(("port", "security_group", "security_group_rule"), -1)}
    admin.ok("PUT", "network", f"/quotas/{project}", kinds)


def settled(api: Api) -> None:
    def servers() -> Any:
        return api.ok("GET", "compute", "/servers/detail")["servers"]

    def busy(found: Any) -> bool:
        return any(s["status"] == "BUILD" or s["OS-EXT-STS:task_state"] for s in found)

    ended: Any = eventually(servers, "servers stay busy", pause=0.1, satisfies=lambda found: not busy(found))
    assert [s for s in ended if s["status"] == "ERROR" and not s["fault"]["message"]] == []


def test_kills_in_the_middle_of_writes(cloud: CloudProcess) -> None:
    dice = random.Random(int(os.environ.get("ATTACK_SEED", "7")))
    api = cloud.api("demo")
    unlimited(cloud, api.project_id)
    image, network = api.image("plain"), api.network("killed", "10.80.0.0/16")
    for _ in range(KILLS):
        written, url = Written(), cloud.url
        writers = [
            threading.Thread(target=writer(Api(url, "demo"), written, image, network, number))
            for number in range(WRITERS)
        ]
        for thread in writers:
            thread.start()
        time.sleep(dice.uniform(0.05, WITHIN))
        cloud.kill()
        for thread in writers:
            thread.join(60)
        cloud.start()
        api = cloud.api("demo")
        settled(api)
        assert written.faults == []
        sure = written.there - written.unsure
        assert [thing for thing in sure if api("GET", *thing).status_code != 200] == []
        assert [thing for thing in written.gone if api("GET", *thing).status_code != 404] == []
        assert cloud.verify() == []
    for server in api.ok("GET", "compute", "/servers")["servers"]:
        api.ok("DELETE", "compute", f"/servers/{server['id']}")
        api.wait_gone(server["id"])
    assert cloud.verify() == []
    log = Path(cloud.log).read_text(errors="replace")
    assert "request failed" not in log
    assert "never awaited" not in log

"""Many launches at once: while an engine dies, and for less room than they ask for."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from tests.process.cluster.scene import Scene, retried

AT_ONCE = 32  # requests under way
PATIENCE = 300.0  # seconds for all of them, however slow the machine
HOST_VCPUS, RATIO = 60, 4.0
SETTINGS = {"driver": {"fake": {"vcpus": HOST_VCPUS}}, "agent": {"cpu_ratio": RATIO}}
"""Of a cluster for `race`."""


@contextmanager
def asking(scene: Scene, count: int, **fields: object) -> Iterator[list[Future[str | None]]]:
    """`count` requests for a server each, on their way; all are answered when the block is left."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield [pool.submit(scene.launch, f"storm-{number}", **fields) for number in range(count)]


def killed_in_the_middle(scene: Scene, engine: str, count: int, *, answers_before: int) -> str:
    """An engine is killed when so many requests are answered, and started again a second later. No server is lost or doubled,
    each ends."""
    scene.unlimited()
    with asking(scene, count) as answers:
        answered(answers, answers_before)
        scene.cluster.kill(engine)
        time.sleep(1)
        scene.cluster.start_process(engine)
        back = time.monotonic()
    servers = scene.ended(PATIENCE)
    took = time.monotonic() - back
    accepted = [id for answer in answers if (id := answer.result()) is not None]
    names = Counter(server["name"] for server in servers)
    assert not set(accepted) - {server["id"] for server in servers}, "a server is lost"
    assert max(names.values()) == 1, "a request was carried out twice"
    assert len(servers) <= count
    scene.check(servers)
    states = Counter(server["status"] for server in servers)
    reasons = {server["fault"]["message"] for server in servers if server["status"] == "ERROR"}
    scene.delete_all()
    scene.clean()
    return (
        f"{engine} killed during {count} launches: {len(accepted)} accepted, {len(servers)} recorded, "
        f"{states['ACTIVE']} ACTIVE, {states['ERROR']} ERROR, {took:.1f} s after it was back. {' '.join(sorted(reasons))}"
    )


def answered(answers: list[Future[str | None]], number: int) -> None:
    """Wait until so many requests are answered."""
    enough, left = threading.Event(), [number]

    def note(_: Future[str | None]) -> None:
        left[0] -= 1
        if left[0] <= 0:
            enough.set()

    for answer in answers:
        answer.add_done_callback(note)
    assert enough.wait(60), "the requests are not answered"


def race(scene: Scene, requests: int, *, vcpus: int = 1) -> str:
    """More parallel requests than there is room for: as many servers as fit are ACTIVE, the others say that there is no host,
    and no host has given more than it has."""
    scene.unlimited()
    hosts = len(scene.cluster.names("compute"))
    fit = hosts * int(HOST_VCPUS * RATIO / vcpus)
    assert fit < requests, "there must be less room than requests"
    flavor = scene.big_flavor(vcpus)
    began = time.monotonic()
    with asking(scene, requests, flavorRef=flavor) as answers:
        pass
    servers = scene.ended(PATIENCE)
    took = time.monotonic() - began
    assert all(answer.result() for answer in answers), "a request was refused"
    states = Counter(server["status"] for server in servers)
    assert states == {"ACTIVE": fit, "ERROR": requests - fit}, states
    for server in servers:
        if server["status"] == "ERROR":
            assert server["fault"]["message"].startswith("No valid host"), server["fault"]
    for name, (used, capacity) in usages(scene).items():
        assert used == capacity, f"{name}: {used} of {capacity} VCPU are taken"
    scene.check(servers)
    scene.delete_all()
    scene.clean()
    schedulers, conductors = len(scene.cluster.names("scheduler")), len(scene.cluster.names("conductor"))
    return (
        f"{requests} parallel requests for room for {fit} ({schedulers} schedulers, {conductors} conductors): "
        f"{states['ACTIVE']} ACTIVE, {states['ERROR']} ERROR «No valid host», every host full to its last VCPU and none "
        f"above it, {took:.0f} s."
    )


def usages(scene: Scene) -> dict[str, tuple[int, int]]:
    """Host → (VCPU taken, VCPU it may give), from placement."""
    found = {}
    for provider in retried(lambda: scene.admin.ok("GET", "placement", "/resource_providers"))["resource_providers"]:
        path = f"/resource_providers/{provider['uuid']}"
        used = scene.admin.ok("GET", "placement", f"{path}/usages")["usages"]["VCPU"]
        vcpu = scene.admin.ok("GET", "placement", f"{path}/inventories")["inventories"]["VCPU"]
        found[provider["name"]] = (used, int((vcpu["total"] - vcpu["reserved"]) * vcpu["allocation_ratio"]))
    return found

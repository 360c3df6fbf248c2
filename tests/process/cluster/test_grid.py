"""A sample of the kill grid, a significant cell for each process that may die; many launches at once, fewer than in `make grid`;
`kilonova verify` where all are processes of their own. One file, as its cluster is for all of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.eventually import eventually
from tests.process.cluster.grid import VICTIMS, Cell, cells, run
from tests.process.cluster.scene import Scene
from tests.process.cluster.storms import SETTINGS, killed_in_the_middle, race

pytestmark = pytest.mark.cluster
SAMPLE = [
    Cell("record", "after", "api"),  # nothing is committed yet
    Cell("hand_over", "before", "api"),  # committed, not sent
    Cell("schedule", "after", "conductor"),  # claims are written, nothing says so
    Cell("dispatch", "after", "conductor"),  # the hosts' messages are written, not sent
    Cell("claim", "after", "scheduler"),
    Cell("claim", "before", "placement"),
    Cell("networking", "after", "compute"),
    Cell("active", "before", "compute"),  # the guest runs, the conductor does not know yet
    Cell("await_network", "before", "network agent"),
    Cell("networking", "before", "network api"),
    Cell("validate", "before", "image"),
    Cell("networking", "before", "identity"),
    Cell("running", "before", "cache"),
    Cell("define", "before", "database"),
    Cell("start", "before", "broker"),
]


@pytest.fixture(scope="module")
def scene(engine_folder: Path) -> Iterator[Scene]:
    with Scene(engine_folder / "cluster", {"conductor": 2, "scheduler": 2}, settings=SETTINGS) as scene:
        yield scene


@pytest.mark.parametrize("cell", SAMPLE, ids=lambda cell: f"{cell.victim} killed {cell.when} {cell.step}")
def test_nothing_is_lost_and_nothing_doubled(scene: Scene, cell: Cell) -> None:
    outcome = run(scene, cell)
    assert outcome.problem == ""
    assert outcome.active + len(outcome.errors) + outcome.refused >= 3


def test_the_sample_is_of_the_grid_and_kills_everyone() -> None:
    assert set(SAMPLE) <= set(cells())
    assert {cell.victim for cell in SAMPLE} == set(VICTIMS)


def test_the_broker_dies_during_many_launches(scene: Scene) -> None:
    killed_in_the_middle(scene, "broker", 50, answers_before=12)


def test_two_schedulers_and_less_room_than_requests(scene: Scene) -> None:
    race(scene, 60, vcpus=10)


def test_verify_names_a_message_without_a_receiver(scene: Scene) -> None:
    """A host is down when its server is deleted; when it is back it has the message, and all is explained again."""
    server = scene.launch("kept-waiting")
    scene.ended()
    host = scene.admin.server(str(server))["OS-EXT-SRV-ATTR:host"]
    scene.clean()
    scene.cluster.kill(f"compute@{host}")
    scene.api.ok("DELETE", "compute", f"/servers/{server}")
    try:
        found = eventually(lambda: told_of(scene, f"compute.{host}"), "verify does not name the message")
        assert found["why"] == "no receiver has taken them"
    finally:
        scene.cluster.start_process(f"compute@{host}")
    eventually(lambda: not scene.servers(), "the server is still there")
    scene.clean()
    done = scene.cluster.command("verify")
    assert "everything is explained" in done.stdout


def told_of(scene: Scene, place: str) -> dict[str, str] | None:
    """What `verify` says of a queue."""
    findings = scene.admin.ok("GET", "ops", "/verify")["unexplained"]
    return next((finding for finding in findings if finding["where"] == "broker" and place in finding["what"]), None)

"""The kill grid: every step of a launch × every process that may die while it is under way.

    python -m tests.process.cluster.grid      # all of it and the storms; the results go into docs/explanation/reliability.md
    python -m tests.process.cluster.grid --step networking --victim broker

A cell: servers are asked for; one of them stands at the step; the victim is killed (SIGKILL); the step goes on; a second
later the victim is started again. From the moment it is ready every server must end within 30 s, explained and without
leftovers; then all are deleted, and nothing is left.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from kilonova.compute.steps import BY_NAME, STEPS
from tests.eventually import PATIENCE
from tests.process.cluster.scene import OWNERS, Scene
from tests.process.cluster.storms import SETTINGS, killed_in_the_middle, race

VICTIMS = {
    "api": "compute-api", "conductor": "conductor", "scheduler": "scheduler", "compute": "compute",
    "network agent": "network-agent", "network api": "network-api", "image": "image", "identity": "identity",
    "placement": "placement", "broker": "broker", "database": "database", "cache": "cache",
}  # fmt: skip
"""What may die, as the table names it → the component or engine."""
SERVERS = 3  # asked for in each cell
AWAY = 1.0  # seconds between the victim's death and its next start
REPORT = Path(__file__).parents[3] / "docs" / "explanation" / "reliability.md"
STORMS = (
    lambda scene: killed_in_the_middle(scene, "broker", 200, answers_before=50),
    lambda scene: killed_in_the_middle(scene, "database", 50, answers_before=40),
    lambda scene: race(scene, 500),
)


class Cell(msgspec.Struct, frozen=True):
    step: str
    when: str
    victim: str


class Outcome(msgspec.Struct):
    """`seconds` from the victim's start to the last server's end; `problem` when something was not as it must be."""

    cell: Cell
    seconds: float = 0.0
    active: int = 0
    errors: list[str] = []
    refused: int = 0
    problem: str = ""

    @property
    def text(self) -> str:
        """What stands in the table."""
        if self.problem:
            return "**lost**"
        ended = [f"{len(self.errors)} ERROR"] * bool(self.errors) + [f"{self.refused} refused"] * bool(self.refused)
        return f"{self.seconds:.1f}" + (f" ({', '.join(ended)})" if ended else "")


def cells(steps: Iterable[str] | None = None, victims: Iterable[str] | None = None) -> Iterator[Cell]:
    """Before each step; after it too where the victim does the step."""
    for victim in victims or VICTIMS:
        for step in steps or BY_NAME:
            yield Cell(step, "before", victim)
            if OWNERS[BY_NAME[step].component] == VICTIMS[victim]:
                yield Cell(step, "after", victim)


def run(scene: Scene, cell: Cell) -> Outcome:
    """Do what the cell says; a problem is part of the outcome and is not raised."""
    outcome = Outcome(cell)
    try:
        _run(scene, cell, outcome)
    except Exception as error:
        outcome.problem = f"{type(error).__name__}: {error}"
        if not isinstance(error, AssertionError):
            traceback.print_exc()
    return outcome


def _run(scene: Scene, cell: Cell, outcome: Outcome) -> None:
    scene.close_gate(cell.step, cell.when)
    answers: list[str | None] = []
    names = [f"{cell.step}-{number}" for number in range(SERVERS)]
    asking = [threading.Thread(target=lambda name=name: answers.append(scene.launch(name))) for name in names]
    for thread in asking:
        thread.start()
    try:
        victim = victim_of(scene, cell, scene.reached(cell.step, cell.when))
        scene.cluster.kill(victim)
    finally:
        scene.open_gate(cell.step, cell.when)
    time.sleep(AWAY)
    again = time.monotonic()
    scene.cluster.start_process(victim)
    for thread in asking:
        thread.join(PATIENCE * 2)
    servers = scene.ended(PATIENCE)
    outcome.seconds = time.monotonic() - again
    outcome.active = sum(server["status"] == "ACTIVE" for server in servers)
    outcome.errors = [server["fault"]["message"] for server in servers if server["status"] == "ERROR"]
    outcome.refused = answers.count(None)
    assert len(answers) == SERVERS, "a request was not answered"
    assert {answer for answer in answers if answer} <= {server["id"] for server in servers}, "a server is lost"
    assert len(servers) <= SERVERS, f"{len(servers)} servers of {SERVERS} requests"
    scene.check(servers)
    scene.delete_all()
    scene.clean()
    assert not scene.ports(), "ports are left"


def victim_of(scene: Scene, cell: Cell, standing: str) -> str:
    """The process to kill: the one that waits at the step where it is of the victim's kind, else one on the same host, else the
    first."""
    component = VICTIMS[cell.victim]
    names = scene.cluster.names(component) or [component]
    host = standing.partition("@")[2]
    return next((name for name in names if name == standing or (host and name.endswith("@" + host))), names[0])


def run_all(folder: Path, wanted: list[Cell]) -> Iterator[Outcome]:
    """One cluster for all cells; after a lost cell another one, as its state is unknown."""
    left = list(wanted)
    while left:
        with Scene(folder / f"cluster-{len(wanted) - len(left)}") as scene:
            while left:
                cell = left.pop(0)
                outcome = run(scene, cell)
                place = f"{cell.victim} killed {cell.when} {cell.step}"
                print(
                    f"{len(wanted) - len(left):3}/{len(wanted)} {place:45} {outcome.text} {outcome.problem}", flush=True
                )
                for reason in outcome.errors:
                    print(f"        ERROR: {reason}", flush=True)
                yield outcome
                if outcome.problem:
                    break


# ---- the report


def table(outcomes: Iterable[Outcome]) -> str:
    """Markdown: a row a step, a column a victim; the worst of a cell's moments."""
    worst: dict[tuple[str, str], Outcome] = {}
    for outcome in outcomes:
        key = (outcome.cell.step, outcome.cell.victim)
        held = worst.get(key)
        if held is None or (bool(outcome.problem), outcome.seconds) > (bool(held.problem), held.seconds):
            worst[key] = outcome
    victims = [victim for victim in VICTIMS if any(key[1] == victim for key in worst)]
    lines = ["| step | " + " | ".join(victims) + " |", "|---" * (len(victims) + 1) + "|"]
    for step in STEPS:
        row = [worst[step.name, victim].text if (step.name, victim) in worst else "" for victim in victims]
        if any(row):
            lines.append(f"| {step.name} | " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"


def summary(outcomes: list[Outcome], took: float) -> str:
    lost, errors = sum(bool(o.problem) for o in outcomes), sum(len(o.errors) for o in outcomes)
    slowest = max((o.seconds for o in outcomes if not o.problem), default=0.0)
    servers = sum(o.active + len(o.errors) for o in outcomes)
    return (
        f"{len(outcomes)} cells with {SERVERS} requests each in {took / 60:.0f} min: {servers} servers recorded, "
        f"{servers - errors} ACTIVE, {errors} ERROR with a reason, "
        f"{sum(o.refused for o in outcomes)} requests cut off or refused, {lost} cells lost; the slowest took "
        f"{slowest:.1f} s.\n"
    )


def write_report(mark: str, text: str) -> None:
    """Put the text between the marks in the report."""
    begin, end = f"<!-- {mark} -->\n", f"<!-- /{mark} -->\n"
    head, rest = REPORT.read_text().split(begin)
    REPORT.write_text(head + begin + text + end + rest.split(end)[1])


def grid(folder: Path, wanted: list[Cell], *, whole: bool) -> bool:
    """Nothing lost?"""
    began = time.monotonic()
    outcomes = list(run_all(folder, wanted))
    said = summary(outcomes, time.monotonic() - began) + "\n" + table(outcomes)
    print(said)
    if whole:
        write_report("grid", said)
    return not any(outcome.problem for outcome in outcomes)


def storms(folder: Path) -> None:
    """Raises AssertionError for what is lost, doubled or over-committed."""
    lines = []
    with Scene(folder / "storms", {"conductor": 2, "scheduler": 2}, settings=SETTINGS) as scene:
        for storm in STORMS:
            lines.append(f"- {storm(scene)}\n")
            print(lines[-1], end="", flush=True)
    write_report("storms", "".join(lines))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--step", action="append", choices=list(BY_NAME))
    parser.add_argument("--victim", action="append", choices=list(VICTIMS))
    parser.add_argument("--storms", action="store_true", help="only the storms")
    parser.add_argument("--keep", type=Path, help="folder for configuration, logs and data (default: a temporary one)")
    given = parser.parse_args()
    whole = given.step is None and given.victim is None
    with tempfile.TemporaryDirectory(prefix="kilonova-grid-", dir="/var/tmp") as scratch:
        folder = given.keep or Path(scratch)
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)  # servers run as their own users
        if whole:
            storms(folder)
        clean = given.storms or grid(folder, list(cells(given.step, given.victim)), whole=whole)
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())

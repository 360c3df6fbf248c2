"""Every route of every service, asked by every kind of caller: what is answered stands in `callers.txt`, and a request that is
refused changes nothing.

A new route makes these tests fail until its line is in the table: `ATTACK=write pytest tests/process/attack/test_callers.py`
writes it anew. Read what changed before you commit it: a number is a right of some callers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.process.attack.bodies import body_of, headers_of
from tests.process.attack.world import CALLERS, PRIVATE, Place, World

TABLE = Path(__file__).with_name("callers.txt")
SHORT = [caller if "-" not in caller else caller[0] + "-" + caller.split("-")[1][0] for caller in CALLERS]
"""Heads of columns: `d-r` is domain-reader."""
WITHOUT = ("nobody", "garbage", "expired")
"""Callers that have no token which counts."""
STRANGERS = ("unscoped", "foreign")
FOR_ALL = {
    "compute GET /v2.1/os-quota-sets/{project_id}/defaults", "network GET /v2.0/quotas/{project_id}/default",
}  # fmt: skip
"""What names a project and shows nothing of it."""


class Answers:
    """`codes[place's name][caller]`; `changed` are refused requests after which a row was another one."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.places = {place.name: place for place in world.places}
        self.codes: dict[str, dict[str, int]] = {}
        self.changed: list[str] = []
        for name, place in self.places.items():
            self.codes[name] = {caller: self._ask(place, caller) for caller in CALLERS}

    def _ask(self, place: Place, caller: str) -> int:
        world = self.world
        path, body, headers = world.path(place), body_of(world, place), headers_of(place)
        before = world.rows()
        status = world.ask(caller, place.route.method, path, body, **headers).status
        if status < 300 and place.writes:
            world.forget(place)
            world.quiet()
        elif changed := world.changed(before):
            self.changed.append(f"{caller}: {place.name}: {status}: {changed}")
        return status


@pytest.fixture(scope="module")
def answers(world: World) -> Answers:
    return Answers(world)


def lines(answers: Answers) -> list[str]:
    """A head, and a line for each place."""
    width = max(map(len, answers.codes))
    head = f"{'':{width}}  {' '.join(f'{caller[:3]}' for caller in SHORT)}"
    rows = [
        f"{name:{width}}  {' '.join(f'{code:3}' for code in codes.values())}" for name, codes in answers.codes.items()
    ]
    return [head, *sorted(rows)]


def test_no_fault(answers: Answers) -> None:
    broken = [
        (name, caller, code)
        for name, codes in answers.codes.items()
        for caller, code in codes.items()
        if code >= 500 and code != 501
    ]
    assert broken == []


def test_without_a_token_nothing_is_shown(answers: Answers) -> None:
    too_open = [
        (name, caller, codes[caller])
        for name, codes in answers.codes.items()
        for caller in WITHOUT
        if not answers.places[name].route.public and codes[caller] != 401
    ]
    assert too_open == []


def test_other_projects_callers_see_nothing_of_a_project(answers: Answers) -> None:
    too_open = [
        (name, caller, codes[caller])
        for name, codes in answers.codes.items()
        for caller in STRANGERS
        if codes[caller] < 400 and name not in FOR_ALL and private(answers.places[name])
    ]
    assert too_open == []


def private(place: Place) -> bool:
    return any((place.service, what) in PRIVATE for _, what in place.parameters)


def test_what_is_refused_changes_nothing(answers: Answers) -> None:
    assert answers.changed == []


def test_every_right_is_meant(answers: Answers) -> None:
    found = lines(answers)
    if os.environ.get("ATTACK") == "write":
        TABLE.write_text("\n".join(line.rstrip() for line in found) + "\n")
    meant = {line.split("  ")[0]: line.split() for line in TABLE.read_text().splitlines()}
    odd = [line for line in found if line.split() != meant.get(line.split("  ")[0])]
    gone = set(meant) - {line.split("  ")[0] for line in found}
    assert odd == [], "\n".join([found[0], *odd])
    assert gone == set()

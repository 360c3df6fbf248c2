"""Tests lie in folders by what they need: see CONTRIBUTING.md."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
QUICK = {"unit", "service", "component"}


def test_every_test_is_in_a_folder_that_says_what_it_needs() -> None:
    assert {path.relative_to(TESTS).parts[0] for path in TESTS.rglob("test_*.py")} == QUICK | {"process", "host"}


def test_quick_folders_have_nothing_that_wants_the_machine_for_itself() -> None:
    quick = [path for folder in QUICK for path in (TESTS / folder).rglob("test_*.py")]
    assert [path.name for path in quick if re.search(r"mark\.(guest|lab|cluster)\b", path.read_text())] == []

"""The page about conformance says what the result files have, no more and no less."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tools.conformance import SUITES
from tools.conformance_results import FOLDER, Result, SuiteResults, conformance

ONE = "8d9f1d1c-7a53-4a0e-9d0c-0a6b6a2c7a11"
OUTPUT = f"""
PASS    2s  token-issue
FAIL    1s  router-create                      NotFoundException: 404: Client Error for url: http://[::1]:1/routers/{ONE}, gone
FAIL    0s  router-list                        blocked by router-create
passed 1, failed 2, of 3; 4 s
"""


@pytest.fixture
def results() -> SuiteResults:
    tests = SUITES["openstack-client"].read(OUTPUT, Path())
    tests["volumes"] = Result("skipped", "no | volumes")
    return SuiteResults(title="Suite: one", version="suite 1.0", day="2026-11-30", cloud="kilonova up", tests=tests)


def test_results_survive_their_file(results: SuiteResults, tmp_path: Path) -> None:
    results.write(tmp_path / "new" / "one.json")
    assert msgspec.json.decode((tmp_path / "new" / "one.json").read_bytes(), type=SuiteResults) == results


def test_the_page_counts_and_gives_reasons(results: SuiteResults, tmp_path: Path) -> None:
    results.write(tmp_path / "one.json")
    _, summary, *parts = conformance(tmp_path)
    assert summary.splitlines()[-1] == "| [Suite: one](#suite-one) | 4 | 1 | 2 | 1 | suite 1.0 | 2026-11-30 |"
    assert parts[0] == "## Suite: one"
    rows = "\n".join(parts).splitlines()
    assert "| 1 | `404: gone` | `router-create` |" in rows
    assert "| 1 | `needs a command that failed` | `router-list` |" in rows
    assert "| 1 | `no \\| volumes` | `volumes` |" in rows
    assert not [row for row in rows if "token-issue" in row]


@pytest.mark.parametrize("name", SUITES)
def test_every_suite_has_a_result(name: str) -> None:
    results = msgspec.json.decode((FOLDER / f"{name}.json").read_bytes(), type=SuiteResults)
    assert results.title == SUITES[name].title
    assert results.counts()["passed"] > 0
    assert [test for test, result in results.tests.items() if result.result != "passed" and not result.why] == []

"""Shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator

import hypothesis
import pytest
import structlog

from kilonova.core import gc_tuning
from kilonova.core.db import rows
from kilonova.core.web import declarations

# how long an example takes is the machine's business
hypothesis.settings.register_profile("calm", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("calm")
pytest_plugins = ["tests.conftest_guest", "tests.engines", "tests.databases"]
NEVER_SKIPPED = ("guest", "lab")
declarations.checked = rows.checked = True
# the default one draws locals, which takes seconds on a busy machine, longer than some tests wait
plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
structlog.configure(processors=[*structlog.get_config()["processors"][:-1], plain])


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a real engine: `make test-quick` leaves it out."""
    for item in items:
        if "engine_folder" in getattr(item, "fixturenames", ()) or item.get_closest_marker("ceph"):
            item.add_marker("engine")


@pytest.fixture(autouse=True)
def declared_alone() -> Iterator[None]:
    """A route that reads or answers what it does not declare, and a row that is not what its class says, fail the test, also
    where the error is taken for an outage."""
    yield
    wrong = declarations.found + rows.found
    declarations.found.clear()
    rows.found.clear()
    assert wrong == []


def pytest_collection_finish() -> None:
    """As in our processes: collections of what is loaded would take a fifth of the time."""
    gc_tuning.settle()


@pytest.fixture(autouse=True)
def all_levels() -> Iterator[None]:
    """Log events of every level, whatever an earlier test's cloud has configured in this process."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(0))
    yield
    structlog.configure(**before)


@pytest.fixture(autouse=True)
def same_umask() -> Iterator[None]:
    """A command that is run in this process sets its own umask, under which engines of later tests could not read their files."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped real-guest or lab test is a failure: it would hide that nothing real was tried. A failure comes with what
    the processes of the test's cloud say (fixtures that have `said`)."""
    report = yield
    if report.failed:
        clouds = [fixture for fixture in getattr(item, "funcargs", {}).values() if hasattr(fixture, "said")]
        if clouds:
            report.longrepr = "\n\n".join([report.longreprtext, *(cloud.logs() for cloud in clouds)])
    if report.skipped and os.environ.get("CI") and any(item.get_closest_marker(name) for name in NEVER_SKIPPED):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which CI does not allow: {report.longrepr}"
    return report

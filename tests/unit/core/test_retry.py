"""Retries: pauses, limits, and what the log says, on a clock that the test drives."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from kilonova.core import errors, log
from kilonova.core.clock import Clock
from kilonova.core.retry import Attempts, Backoff, always, retry, unanswered, unreachable

LOG = log.get("test")
EXACT = Backoff(0.5, 4.0, jitter=0)


class TestClock(Clock):
    __test__ = False

    def __init__(self, share: float = 1.0) -> None:
        self.time, self.slept, self.share = 1000.0, list[float](), share

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    def spread(self, longest: float) -> float:
        return longest * self.share


class Flaky:
    """Raises `error` the first `failures` times it is called."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.left, self.error, self.calls = failures, error, 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.left:
            raise self.error
        return "done"


AWAY = errors.BusError("nothing listens")


async def test_pauses_double_up_to_the_longest_and_the_log_counts():
    clock, work = TestClock(), Flaky(6, AWAY)
    with capture_logs() as logs:
        assert await retry(work, EXACT, clock=clock, log=LOG, work="fetch", server="s1") == "done"
    assert clock.slept == [0.5, 1, 2, 4, 4, 4]
    assert [entry["event"] for entry in logs] == ["retrying"] * 6 + ["recovered"]
    assert [entry["attempt"] for entry in logs[:-1]] == [1, 2, 3, 4, 5, 6]
    assert [entry["retry_in"] for entry in logs[:-1]] == clock.slept
    assert logs[-1]["attempts"] == 7
    assert {(entry["work"], entry["server"]) for entry in logs} == {("fetch", "s1")}
    assert logs[0]["error"] == AWAY.message


async def test_what_succeeds_at_once_logs_nothing():
    with capture_logs() as logs:
        assert await retry(Flaky(0, AWAY), EXACT, clock=TestClock(), log=LOG) == "done"
    assert logs == []


async def test_the_limit_ends_it_with_the_last_error():
    clock, work = TestClock(), Flaky(9, AWAY)
    with capture_logs() as logs, pytest.raises(errors.BusError) as raised:
        await retry(work, EXACT, limit=3, clock=clock, log=LOG, server="s1")
    assert raised.value is AWAY
    assert (work.calls, clock.slept) == (3, [0.5, 1])
    assert [entry["event"] for entry in logs] == ["retrying", "retrying", "gave up"]
    assert (logs[-1]["attempts"], logs[-1]["server"]) == (3, "s1")


async def test_no_attempt_begins_after_the_deadline():
    clock, work = TestClock(), Flaky(9, AWAY)
    with pytest.raises(errors.BusError):
        await retry(work, EXACT, within=3.5, clock=clock, log=LOG)
    assert clock.slept == [0.5, 1, 2]  # at 3.5 s, and the next one would be at 7.5 s


async def test_the_time_counts_from_the_first_failure():
    """What breaks off after hours is tried again as long as what fails at once."""
    clock, calls = TestClock(), []

    async def work():
        calls.append(clock.monotonic())
        await clock.sleep(100)
        raise AWAY

    with pytest.raises(errors.BusError):
        await retry(work, EXACT, within=150, clock=clock, log=LOG)
    assert len(calls) == 3  # failures at 100, 200.5 and 301.5 s


async def test_an_error_that_a_retry_cannot_mend_is_raised_at_once_without_a_log_line():
    clock, work = TestClock(), Flaky(9, errors.NotFound("no such thing"))
    with capture_logs() as logs, pytest.raises(errors.NotFound):
        await retry(work, EXACT, clock=clock, log=LOG)
    assert (work.calls, clock.slept, logs) == (1, [], [])


@pytest.mark.parametrize(
    ("error", "away", "failed"),
    [
        (AWAY, True, True),
        (errors.ServiceUnavailable("away"), True, True),
        (errors.KilonovaError("broken"), False, True),
        (errors.NotFound("no such thing"), False, False),
        (ValueError(), False, False),
    ],
)
def test_which_errors_are_temporary(error: Exception, away: bool, failed: bool):
    assert (unreachable(error), unanswered(error), always(error)) == (away, failed, True)


def test_jitter_shortens_each_pause_by_its_share_at_most():
    backoff = Backoff(1.0, 8.0, jitter=0.25)
    assert [backoff.pause(n, TestClock(share=1)) for n in (1, 2, 3, 4, 99)] == [0.75, 1.5, 3, 6, 6]
    assert backoff.pause(1, TestClock(share=0)) == 1.0
    assert all(0.75 <= backoff.pause(1) <= 1.0 for _ in range(100))


def test_log_lines_are_rare_where_that_is_wanted_and_a_success_begins_anew():
    clock = TestClock()
    attempts = Attempts(Backoff(1.0, 1.0, jitter=0), clock=clock, log=LOG, log_every=10)
    with capture_logs() as logs:
        for _ in range(25):
            clock.time += attempts.failed(AWAY)
        attempts.succeeded(dropped=3)
        attempts.succeeded()
        assert attempts.failed(AWAY) == 1
    assert [entry["event"] for entry in logs] == ["retrying"] * 3 + ["recovered", "retrying"]
    assert [entry["attempt"] for entry in logs[:3]] == [1, 11, 21]
    assert (logs[3]["attempts"], logs[3]["dropped"]) == (26, 3)
    assert logs[4]["attempt"] == 1


def test_an_unexpected_error_carries_its_traceback():
    error = RuntimeError()
    with capture_logs() as logs:
        Attempts(EXACT, log=LOG, traceback=True).failed(error)
    assert (logs[0]["error"], logs[0]["exc_info"]) == ("RuntimeError", error)

"""Background work: once per key, watched by all, failures that stand for a while."""

from __future__ import annotations

import logging
import threading

import pytest

from core.activity.source import Progress
from core.errors import DatabaseError
from pages.parts.jobs import Jobs

SECONDS = 10.0


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Work:
    """Work that counts its runs and waits to be let go."""

    def __init__(self, results: list[str | Exception]) -> None:
        self.results = results
        self.runs = 0
        self.may_end = threading.Event()
        self.has_begun = threading.Event()
        self.steps: list[tuple[str, int, int]] = []

    def __call__(self, report: Progress) -> str:
        self.runs += 1
        for step in self.steps:
            report(*step)
        self.has_begun.set()
        assert self.may_end.wait(SECONDS)
        result = self.results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def jobs(clock: Clock) -> Jobs[str]:
    return Jobs[str](workers=2, keep=2, retry_after=15.0, clock=clock)


def let_end(jobs: Jobs[str], work: Work, key: str = "a") -> None:
    work.may_end.set()
    assert jobs.wait(key, timeout=SECONDS)


def test_view_runs_once_for_twenty_who_ask_at_once(jobs: Jobs[str]) -> None:
    work = Work(["found"])
    asking = [threading.Thread(target=jobs.view, args=("a", work)) for _ in range(20)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    let_end(jobs, work)
    assert work.runs == 1
    assert jobs.view("a", work).result == "found"
    assert work.runs == 1


def test_view_says_how_far_running_work_has_come(jobs: Jobs[str], clock: Clock) -> None:
    work = Work(["found"])
    work.steps = [("reading pushes", 3, 4)]
    jobs.view("a", work)
    assert work.has_begun.wait(SECONDS)
    clock.now += 6
    standing = jobs.look("a").standing
    assert standing is not None
    assert (standing.step, standing.done, standing.total) == ("reading pushes", 3, 4)
    assert standing.share == 0.75
    assert standing.seconds == 6
    assert standing.seconds_left == pytest.approx(2)
    let_end(jobs, work)
    assert jobs.look("a").standing is None


def test_view_does_not_guess_what_is_left_before_anything_is_done(jobs: Jobs[str]) -> None:
    work = Work(["found"])
    work.steps = [("reading pushes", 0, 0)]
    jobs.view("a", work)
    assert work.has_begun.wait(SECONDS)
    standing = jobs.look("a").standing
    assert standing is not None
    assert (standing.share, standing.seconds_left) == (0.0, None)
    let_end(jobs, work)


def test_view_keeps_a_failure_for_a_while_and_then_tries_again(
    jobs: Jobs[str], clock: Clock
) -> None:
    work = Work([DatabaseError("The database is away."), "found"])
    jobs.view("a", work)
    let_end(jobs, work)
    clock.now += 14
    failure = jobs.view("a", work).failure
    assert failure is not None
    assert failure.sentence == "The database is away."
    assert (failure.seconds_ago, failure.seconds_to_wait) == (14, 1)
    assert jobs.again("a", work).failure is not None
    assert work.runs == 1
    clock.now += 1
    assert jobs.view("a", work).failure is None
    assert jobs.wait("a", timeout=SECONDS)
    assert jobs.view("a", work).result == "found"
    assert work.runs == 2


def test_view_shows_the_old_while_the_new_is_made(jobs: Jobs[str], clock: Clock) -> None:
    work = Work(["old", "new"])
    first = jobs.view("a", work)
    let_end(jobs, work)
    work.may_end.clear()
    work.has_begun.clear()
    clock.now += 61
    view = jobs.view("a", work, max_age=60)
    assert (view.result, view.seconds_old) == ("old", 61)
    assert view.standing is not None
    assert work.has_begun.wait(SECONDS)
    let_end(jobs, work)
    fresh = jobs.view("a", work, max_age=60)
    assert fresh.result == "new"
    assert fresh.number > view.number > first.number


def test_view_shows_the_old_where_the_new_fails(jobs: Jobs[str], clock: Clock) -> None:
    work = Work(["old", DatabaseError("The database is away.")])
    jobs.view("a", work)
    let_end(jobs, work)
    clock.now += 61
    jobs.view("a", work, max_age=60)
    assert jobs.wait("a", timeout=SECONDS)
    view = jobs.view("a", work, max_age=60)
    assert view.result == "old"
    assert view.failure is not None
    assert work.runs == 2


def test_view_hides_an_unforeseen_error_and_logs_it(
    jobs: Jobs[str], caplog: pytest.LogCaptureFixture
) -> None:
    work = Work([ValueError("canary-secret")])
    with caplog.at_level(logging.ERROR):
        jobs.view("a", work)
        let_end(jobs, work)
    failure = jobs.look("a").failure
    assert failure is not None
    assert "canary" not in failure.sentence
    incident = failure.sentence.split("incident ")[1].split(",")[0]
    assert incident in caplog.text


def test_view_runs_as_many_at_a_time_as_there_are_places(jobs: Jobs[str]) -> None:
    works = {key: Work([key]) for key in "abc"}
    for key, work in works.items():
        jobs.view(key, work)
    for key in "ab":
        assert works[key].has_begun.wait(SECONDS)
    waiting = jobs.look("c").standing
    assert waiting is not None
    assert waiting.step == "Waiting for other work to finish"
    assert works["c"].runs == 0
    for key, work in works.items():
        let_end(jobs, work, key)


def test_view_forgets_what_was_asked_for_longest_ago(jobs: Jobs[str]) -> None:
    for key in "abc":
        work = Work([key])
        jobs.view(key, work)
        let_end(jobs, work, key)
    assert jobs.look("a").result is None
    assert [jobs.look(key).result for key in "bc"] == ["b", "c"]


def test_look_starts_nothing(jobs: Jobs[str]) -> None:
    view = jobs.look("a")
    assert (view.result, view.standing, view.failure) == (None, None, None)


def test_again_makes_a_young_result_anew(jobs: Jobs[str]) -> None:
    work = Work(["old", "new"])
    jobs.view("a", work)
    let_end(jobs, work)
    jobs.again("a", work)
    assert jobs.wait("a", timeout=SECONDS)
    assert jobs.look("a").result == "new"

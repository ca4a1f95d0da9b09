"""Runs on a schedule: real runs of a small world, time that passes only by waiting."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from core import watching
from core.errors import DatabaseError, PushliftError
from core.health.records import read_records
from core.runs import runs_folder
from core.settings import Settings, read_settings
from core.watching import DONE, NOTHING, PARTIAL, Job, Stop, Stopped, line_of, run, watch
from tests.health.receiver import receiving
from tests.health.records import headline, record
from tests.worlds import AS_OF, random_world

HOUR = 3600.0


class Hours(Stop):
    """A clock that only waiting moves, and everything waited for."""

    def __init__(self, run_hours: float = 0.0) -> None:
        super().__init__()
        self.seconds = 0.0
        self.waits: list[float] = []
        self.run_seconds = run_hours * HOUR
        self.began: list[float] = []

    def clock(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return AS_OF + timedelta(seconds=self.seconds)

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.seconds += max(seconds, 0.0)
        return self.is_asked


@pytest.fixture(scope="module")
def settings_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_world(2, n_users=50, n_campaigns=4).write(tmp_path_factory.mktemp("watched"))


@pytest.fixture
def settings(settings_file: Path, tmp_path: Path) -> Settings:
    known = read_settings(settings_file)
    return known.model_copy(update={"cache": known.cache.model_copy(update={"dir": tmp_path})})


def watched(job: Job, hours: Hours, **options: object) -> tuple[int, list[str]]:
    said: list[str] = []
    given = {"every_hours": 6.0, "times": 3, **options}
    status = watch(job, say=said.append, stop=hours, now=hours.now, clock=hours.clock, **given)
    return status, said


def job_of(settings: Settings, **changed: object) -> Job:
    return Job(settings=settings, what="watch", **{"as_of": AS_OF, **changed})


def test_run_writes_files_and_leaves_a_record(settings: Settings, tmp_path: Path) -> None:
    ran = run(job_of(settings, out=tmp_path / "out"), now=lambda: AS_OF)
    assert (tmp_path / "out" / "lifts.csv").exists()
    assert read_records(runs_folder(settings))[0] == [ran.left.record]
    names = [step.name for step in ran.left.record.steps]
    assert {"Counting windows", "Pooling layers", "Writing files"} <= set(names)
    assert len(names) > 4
    assert sum(step.seconds for step in ran.left.record.steps) <= ran.left.record.seconds + 0.01
    assert (ran.native, ran.why_not_native) == (None, "")


def test_run_assesses_quality_and_keeps_the_scores(settings: Settings) -> None:
    left = run(job_of(settings), now=lambda: AS_OF).left
    assert left.record.quality is not None
    assert 0 < left.record.quality <= 1
    assert "all" in {one.of for one in left.record.scores}


def test_run_of_an_export_says_why_it_is_not_cross_checked(settings: Settings) -> None:
    ran = run(job_of(settings, is_cross_checked=True), now=lambda: AS_OF)
    assert ran.native is None
    assert "read from an export" in ran.why_not_native


def test_run_that_fails_leaves_a_record_and_raises(settings: Settings, tmp_path: Path) -> None:
    gone = settings.model_copy(
        update={"events": settings.events.model_copy(update={"path": f"{tmp_path}/no/*.parquet"})}
    )
    with pytest.raises(PushliftError, match=r"events\.path"):
        run(job_of(gone), now=lambda: AS_OF)
    [kept] = read_records(runs_folder(settings))[0]
    assert (kept.status, kept.what, kept.headlines) == ("failed", "watch", ())
    assert "events.path" in str(kept.error)
    assert [one.kind for one in kept.alerts] == ["failed"]


def test_run_whose_files_cannot_be_written_failed(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file in the way")
    with pytest.raises(PushliftError, match="could not be written"):
        run(job_of(settings, out=tmp_path / "out" / "below"), now=lambda: AS_OF)
    [kept] = read_records(runs_folder(settings))[0]
    assert kept.status == "failed"


def test_run_that_crashes_leaves_a_record_without_its_words(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise KeyError("row of ann@example.com")

    monkeypatch.setattr(watching, "load", crash)
    with pytest.raises(KeyError):
        run(job_of(settings), now=lambda: AS_OF)
    [kept] = read_records(runs_folder(settings))[0]
    assert "KeyError" in str(kept.error)
    assert "ann" not in str(kept)


def test_watch_runs_at_once_and_at_every_multiple(settings: Settings) -> None:
    hours = Hours()
    status, said = watched(job_of(settings), hours)
    assert status == DONE
    assert hours.waits == [6 * HOUR, 6 * HOUR]
    assert len(said) == 3
    assert [line[:16] for line in said] == [
        "2026-10-01 00:00", "2026-10-01 06:00", "2026-10-01 12:00",
    ]  # fmt: skip
    assert all("campaigns, trades" in line for line in said)
    records, _ = read_records(runs_folder(settings))
    assert [one.what for one in records] == ["watch"] * 3


def fake_runs(monkeypatch: pytest.MonkeyPatch, hours: Hours, *outcomes: object) -> None:
    """Have each run take its hours and come to what is given: a status, or an error."""
    left = list(outcomes)

    def fake(job: Job, **_: object) -> object:
        hours.began.append(hours.seconds / HOUR)
        hours.seconds += hours.run_seconds
        outcome = left.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        kept = record(len(left), status=outcome)
        return type("Ran", (), {"left": type("Left", (), {"record": kept})})

    monkeypatch.setattr(watching, "run", fake)


@pytest.mark.parametrize(
    ("run_hours", "began"),
    [(0.0, [0, 6, 12]), (5.9, [0, 6, 12]), (6.0, [0, 12, 24]), (7.0, [0, 12, 24]),
     (14.0, [0, 18, 36])],
)  # fmt: skip
def test_watch_lets_multiples_that_it_misses_go_by(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, run_hours: float, began: list[float]
) -> None:
    hours = Hours(run_hours)
    fake_runs(monkeypatch, hours, "done", "done", "done")
    watched(job_of(settings), hours)
    assert hours.began == began


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        (("done", "done", "done"), DONE),
        (("done", "partial", "done"), PARTIAL),
        ((DatabaseError("Away."), "done", "done"), PARTIAL),
        ((DatabaseError("Away."), KeyError("x"), DatabaseError("Away.")), NOTHING),
    ],
)
def test_watch_goes_on_after_failures_and_ends_with_what_came_of_all(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, outcomes: tuple[object, ...], status: int
) -> None:
    hours = Hours()
    fake_runs(monkeypatch, hours, *outcomes)
    assert watched(job_of(settings), hours)[0] == status
    assert len(hours.began) == 3


def test_watch_says_a_crash_by_its_incident_alone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hours = Hours()
    fake_runs(monkeypatch, hours, KeyError("ann@example.com"))
    with caplog.at_level(logging.ERROR):
        _, [line] = watched(job_of(settings), hours, times=1)
    assert "ann" not in line
    incident = line.partition("incident ")[2][:8]
    assert any(incident in one.getMessage() for one in caplog.records)


def test_watch_with_a_source_that_comes_back_recovers_and_tells(
    settings: Settings, tmp_path: Path
) -> None:
    away = tmp_path / "away.sqlite"
    database = settings.database.model_copy(
        update={"url": type(settings.database.url)(f"sqlite:///{away}")}
    )
    there = Path(settings.database.url.get_secret_value().removeprefix("sqlite:///"))

    class Returning(Hours):
        def wait(self, seconds: float) -> bool:
            away.write_bytes(there.read_bytes())
            return super().wait(seconds)

    with receiving() as receiver:
        alerts = settings.alerts.model_copy(
            update={"webhook": type(settings.database.url)(receiver.url), "mapped_share": 0.0,
                    "quality": 0.0, "data_age_hours": 10_000}
        )  # fmt: skip
        broken = settings.model_copy(update={"database": database, "alerts": alerts})
        status, said = watched(job_of(broken), Returning(), times=2)
    assert status == PARTIAL
    assert "failed: " in said[0]
    assert "done: " in said[1]
    records, _ = read_records(runs_folder(settings))
    assert [one.status for one in records] == ["failed", "done"]
    [(_, _, content)] = receiver.got
    assert "failed" in json.loads(content)["text"]


def test_watch_asked_to_stop_in_a_run_ends_at_its_next_step(
    settings: Settings, tmp_path: Path
) -> None:
    hours = Hours()
    steps: list[str] = []

    def asks(step: str, _done: int, _total: int) -> None:
        steps.append(step)
        hours.ask()

    status, [line] = watched(job_of(settings, out=tmp_path / "out"), hours, on_progress=asks)
    assert status == NOTHING
    assert line.endswith("stopped; nothing was written")
    assert len(set(steps)) == 1
    assert not (tmp_path / "out").exists()
    assert read_records(runs_folder(settings))[0] == []


def test_watch_asked_to_stop_while_it_writes_finishes_the_run(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = Hours()
    write_all = watching.write_all

    def asked_meanwhile(*given: object, **named: object) -> None:
        hours.ask()
        write_all(*given, **named)

    monkeypatch.setattr(watching, "write_all", asked_meanwhile)
    status, [line] = watched(job_of(settings, out=tmp_path / "out"), hours)
    assert status == DONE
    assert "done: " in line
    assert (tmp_path / "out" / "analysis.json").exists()
    assert len(read_records(runs_folder(settings))[0]) == 1


def test_watch_asked_to_stop_while_it_waits_makes_no_further_run(settings: Settings) -> None:
    class Impatient(Hours):
        def wait(self, seconds: float) -> bool:
            self.ask()
            return super().wait(seconds)

    hours = Impatient()
    status, said = watched(job_of(settings), hours, times=None)
    assert (status, len(said), len(hours.waits)) == (DONE, 1, 1)


def test_stop_listening_hears_a_signal_and_leaves_handlers_as_they_were() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    stop = Stop()
    with stop.listening():
        assert not stop.wait(0.0)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(5.0)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_stopped_is_not_taken_for_an_error() -> None:
    assert not issubclass(Stopped, Exception)


AT_THAT_TIME = """
import sys
from core import __main__ as program, watching
from tests.worlds import AS_OF
wire = watching.wire
watching.wire = lambda settings, report, clock: wire(settings, report, clock=lambda: AS_OF)
sys.exit(program.main())
"""
"""The command line on the day the small world ends, whatever day it is."""


def command_line(*arguments: object, cache: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", AT_THAT_TIME, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PUSHLIFT_CACHE__DIR": str(cache)},
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_watch_process_told_to_stop_ends_cleanly_with_whole_files(
    settings_file: Path, tmp_path: Path, number: int
) -> None:
    process = command_line(
        "watch", "--settings", settings_file, "--every", "1000", "--out", tmp_path / "out",
        cache=tmp_path / "cache",
    )  # fmt: skip
    try:
        first = process.stdout.readline()
        process.send_signal(number)
        began = time.monotonic()
        rest, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert time.monotonic() - began < 10
    assert process.returncode == DONE, errors
    assert "done: " in first
    assert rest == ""
    assert "Traceback" not in errors
    assert len(pd.read_csv(tmp_path / "out" / "lifts.csv")) > 0
    assert not list(tmp_path.glob(".out*"))
    assert len(read_records(tmp_path / "cache" / "runs")[0]) == 1


def test_watch_process_makes_as_many_runs_as_it_is_told_to(
    settings_file: Path, tmp_path: Path
) -> None:
    process = command_line(
        "watch", "--settings", settings_file, "--every", "0.00001", "--times", "2",
        "--confidence-level", "0.9", cache=tmp_path,
    )  # fmt: skip
    said, errors = process.communicate(timeout=120)
    assert process.returncode == DONE, errors
    assert len(said.splitlines()) == 2
    records, _ = read_records(tmp_path / "runs")
    assert [one.settings.confidence_level for one in records] == [0.9, 0.9]


def test_line_of_a_run_says_what_it_came_to() -> None:
    kept = record(0, headlines=(headline("all", 0.2),))
    assert line_of(kept) == (
        "2026-11-20 06:00 UTC  done: 2 campaigns, confirmed trades +20.0 % [15.0, 25.0]; no "
        "alerts; 40 requests, 20.0 s, 700 MB"
    )
    assert "trades —" in line_of(record(0, headlines=()))
    assert line_of(record(0, status="failed", error="Away.")).endswith("failed: Away.")

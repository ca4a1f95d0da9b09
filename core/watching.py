"""One run, from settings to files, record and alerts; and such runs on a schedule."""

from __future__ import annotations

import logging
import math
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from types import FrameType
from zoneinfo import ZoneInfo

import pandas as pd

from core.activity.source import Progress, silent
from core.assessment import assess
from core.connect import Wiring, wire
from core.cross_check import cross_check
from core.errors import PushliftError
from core.findings import insight
from core.health.recorder import Recorder
from core.health.records import Record, What
from core.loading import Loaded, load
from core.measure.panel import Rules
from core.measure.windows import WindowLengths
from core.outputs import FOLDERS, files
from core.pipeline import Results, estimates_of, measure
from core.publish import formats
from core.publish.files import write_all
from core.publish.words import label
from core.runs import Left, failed_record, leave, record_of, verdicts_of
from core.settings import Settings
from core.span import span_of

DONE, PARTIAL, NOTHING = 0, 1, 2
"""Exit statuses: done, done in part, nothing could be computed."""
_LOG = logging.getLogger(__name__)


class Stopped(BaseException):
    """A run was told to stop before it wrote anything; no error, as KeyboardInterrupt is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be run.

    Attributes:
        settings: What the sources are and how to measure.
        what: Who runs it.
        since: First day of sends; None for 60 days before now.
        until: First day no longer in it; None for now.
        as_of: Now; None for the clock, or the demo's end.
        out: Where files go; None for nowhere.
        is_refreshed: Whether what may have changed is fetched again.
        is_cross_checked: Whether PostHog's own totals are asked for.
    """

    settings: Settings
    what: What
    since: date | None = None
    until: date | None = None
    as_of: datetime | None = None
    out: Path | None = None
    is_refreshed: bool = False
    is_cross_checked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ran:
    """What a run came to.

    Attributes:
        loaded: What was read.
        results: What was computed of it.
        left: Its record, its alerts, and what could not be kept or told.
        native: quality.frames.NATIVE; None where it was not asked for, or could not be had.
        why_not_native: Why it could not be had; empty otherwise.
    """

    loaded: Loaded
    results: Results
    left: Left
    native: pd.DataFrame | None
    why_not_native: str


def run(
    job: Job,
    *,
    on_progress: Progress = silent,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], None] = time.sleep,
) -> Ran:
    """Read, measure, write, and leave a record, whatever comes of it.

    Args:
        job: What is to be run.
        on_progress: Told the step and how far it is.
        now: The instant it is, with a zone.
        sleep: Waits some seconds between two tries of the webhook.

    Raises:
        PushliftError: It could not be done; its record says so too.
    """
    recorder = Recorder(job.what, then=on_progress, now=now)
    settings = job.settings
    try:
        wiring = wire(settings, recorder, clock=now)
        settings = wiring.settings
        return _run(job, wiring, recorder, sleep)
    except Exception as error:
        leave(failed_record(recorder, settings, error), settings, sleep=sleep)
        raise


def rules_of(settings: Settings) -> Rules:
    """Return how to measure by the settings."""
    analysis = settings.analysis
    return Rules(
        lengths=WindowLengths(baseline_days=analysis.baseline_days, post_hours=analysis.post_hours),
        confidence_level=analysis.confidence_level,
        min_recipients=analysis.min_recipients,
        outliers=analysis.outliers,
    )


class Stop:
    """Whether somebody asked to stop, and a way to wait until then."""

    def __init__(self) -> None:
        """Nobody has."""
        self._asked = threading.Event()

    @property
    def is_asked(self) -> bool:
        """Return whether somebody did."""
        return self._asked.is_set()

    def ask(self) -> None:
        """Ask to stop."""
        self._asked.set()

    def wait(self, seconds: float) -> bool:
        """Wait some seconds, or until somebody asks to stop; return whether somebody did."""
        return self._asked.wait(seconds)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM as asking to stop; a second one ends the process at once."""
        before = {
            number: signal.signal(number, self._on_signal)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.ask()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)


def watch(
    job: Job,
    *,
    every_hours: float,
    say: Callable[[str], None],
    times: int | None = None,
    stop: Stop | None = None,
    on_progress: Progress = silent,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Run a job at once and again at every multiple of some hours, one after another.

    A run that fails is recorded and said, and the next one is made all the same. A run that takes
    longer than the hours lets the multiples it misses go by. Asked to stop, a run ends at its next
    step; files are written all or none.

    Args:
        job: What is to be run.
        every_hours: Hours from the beginning of one run to that of the next.
        say: Told one line a run.
        times: How many runs; None for as many as come.
        stop: Who may ask to stop, and waits.
        on_progress: Told the step and how far it is.
        now: The instant it is, with a zone.
        clock: Seconds that only ever grow.

    Returns:
        The exit status: DONE where every run was, NOTHING where none came to an end, else PARTIAL.
    """
    stop = stop or Stop()
    period, began = every_hours * 3600, clock()
    statuses: list[int] = []
    while not stop.is_asked:
        status = _one(job, _stoppable(on_progress, stop), say=say, now=now, stop=stop)
        statuses += [] if status is None else [status]
        if stop.is_asked or len(statuses) == times:
            break
        n_gone = math.floor((clock() - began) / period) + 1
        stop.wait(began + n_gone * period - clock())
    if not statuses or min(statuses) == NOTHING:
        return NOTHING
    return DONE if max(statuses) == DONE else PARTIAL


def line_of(record: Record) -> str:
    """Return a run in one line."""
    began = formats.instant(record.started_at)
    if record.status == "failed":
        return f"{began}  failed: {record.error}"
    head, primary = record.overall, record.settings.primary_metric if record.settings else ""
    effect = formats.MISSING
    if head is not None and head.rel_effect_size is not None:
        ends = (_plain(head.rel_effect_size_ci_low), _plain(head.rel_effect_size_ci_high))
        effect = formats.percent(head.rel_effect_size, ends)
    n_alerts = len(record.alerts)
    alerts = "no alerts" if not n_alerts else f"{n_alerts} alert{'s' if n_alerts > 1 else ''}"
    peak = "" if record.peak_mb is None else f", {record.peak_mb:,.0f} MB"
    return (
        f"{began}  {record.status}: {record.n_campaigns:,} campaigns, {label(primary)} {effect}; "
        f"{alerts}; {record.cost.requests:,} requests, {record.seconds:,.1f} s{peak}"
    )


def _run(job: Job, wiring: Wiring, recorder: Recorder, sleep: Callable[[float], None]) -> Ran:
    settings = wiring.settings
    zone = settings.analysis.timezone
    as_of = job.as_of or wiring.default_as_of
    as_of = as_of if as_of.tzinfo else as_of.replace(tzinfo=ZoneInfo(zone))
    span = span_of(since=job.since, until=job.until, as_of=as_of, timezone=zone)
    rules = rules_of(settings)
    loaded = load(wiring, span, rules.lengths, on_progress=recorder, refresh=job.is_refreshed)
    recorder("Counting windows", 0, 1)
    estimates = estimates_of(loaded, rules.lengths, rules.outliers, on_progress=recorder)
    recorder("Pooling layers", 0, 1)
    results = measure(loaded, rules, estimates=estimates, on_progress=recorder)
    recorder("Pooling layers", 1, 1)
    recorder("Assessing quality", 0, 1)
    quality = assess(loaded, estimates, results)
    recorder("Assessing quality", 1, 1)
    native, why_not = _native(loaded, recorder) if job.is_cross_checked else (None, "")
    if job.out is not None:
        recorder("Looking for patterns", 0, 1)
        found = insight(loaded, estimates, results)
        recorder("Looking for patterns", 1, 1)
        recorder("Writing files", 0, 1)
        made = files(loaded, results, quality=quality, insight=found)
        write_all(job.out, made, folders=FOLDERS)
        recorder("Writing files", 1, 1)
    verdicts = verdicts_of(loaded, results)
    left = leave(
        record_of(recorder, loaded, results, scores=quality.scores, verdicts=verdicts),
        settings,
        campaigns=results.campaigns,
        scores=quality.scores,
        verdicts=verdicts,
        sleep=sleep,
    )
    return Ran(loaded=loaded, results=results, left=left, native=native, why_not_native=why_not)


def _native(loaded: Loaded, recorder: Recorder) -> tuple[pd.DataFrame | None, str]:
    """Return the cross-check, or why it could not be had: the run stands without it."""
    try:
        return cross_check(loaded, on_progress=recorder), ""
    except PushliftError as error:
        _LOG.warning("PostHog's own totals could not be compared with: %s", str(error))
        return None, str(error)


def _one(
    job: Job,
    on_progress: Progress,
    *,
    say: Callable[[str], None],
    now: Callable[[], datetime],
    stop: Stop,
) -> int | None:
    """Run a job, say what came of it, and return its exit status; None where it was stopped."""
    began = formats.instant(now())
    try:
        record = run(job, on_progress=on_progress, now=now, sleep=_sleeping(stop)).left.record
    except Stopped:
        say(f"{began}  stopped; nothing was written")
        return None
    except PushliftError as error:
        say(f"{began}  failed: {error}")
        return NOTHING
    except Exception:  # noqa: BLE001 - the boundary: the next run may do better
        incident = secrets.token_hex(4)
        _LOG.exception("Incident %s", incident)
        say(
            f"{began}  failed: Something went wrong inside Pushlift (incident {incident}); the log "
            "says where"
        )
        return NOTHING
    say(line_of(record))
    return PARTIAL if record.status == "partial" else DONE


def _stoppable(on_progress: Progress, stop: Stop) -> Progress:
    """Return a progress that ends the run once somebody asked for it.

    A step that is done is not undone: once files are written, the run comes to its end.
    """

    def told(step: str, done: int, total: int) -> None:
        if stop.is_asked and done < total:
            raise Stopped
        on_progress(step, done, total)

    return told


def _sleeping(stop: Stop) -> Callable[[float], None]:
    def sleep(seconds: float) -> None:
        stop.wait(seconds)

    return sleep


def _plain(value: float | None) -> float:
    return math.nan if value is None else value

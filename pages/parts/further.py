"""What goes beyond lifts: quality, insight, and the record each reading leaves. Computed once."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import partial

import pandas as pd
import streamlit as st

from core import pipeline
from core.activity.source import Progress
from core.assessment import Quality, assess
from core.errors import DataError
from core.findings import Insight, insight
from core.health.frames import ALERTS
from core.health.records import read_runs
from core.insight.frames import (
    CADENCE,
    CORRELATIONS,
    DECISIONS,
    HISTORY,
    PATTERN_GROUPS,
    PATTERNS,
    RANKINGS,
    TRENDS,
    WHAT_IF,
)
from core.pipeline import Results, panel_of
from core.quality.frames import ADVICE, EVENT_DAYS, PUSH_DAYS, SCORES
from core.runs import Left, leave, record_of, runs_folder, verdicts_of
from core.settings import Settings
from core.span import Span
from pages.parts import data
from pages.parts.data import Screen
from pages.parts.jobs import Jobs, View
from pages.parts.measured import Measured, is_capping

NO_QUALITY = Quality(
    scores=SCORES.empty(),
    advice=ADVICE.empty(),
    event_days=EVENT_DAYS.empty(),
    push_days=PUSH_DAYS.empty(),
)
"""What is there before anything was assessed."""
_TABLES = {
    "decisions": DECISIONS,
    "rankings": RANKINGS,
    "patterns": PATTERNS,
    "pattern_groups": PATTERN_GROUPS,
    "correlations": CORRELATIONS,
    "cadence": CADENCE,
    "what_if": WHAT_IF,
    "history": HISTORY,
    "trends": TRENDS,
}
_RUNS_SECONDS = 5
_LONGEST_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Runs:
    """What earlier runs left behind.

    Attributes:
        table: health.frames.RUNS, the newest first.
        notices: What could not be read of them.
    """

    table: pd.DataFrame
    notices: tuple[str, ...]


def quality_of(screen: Screen) -> Quality:
    """Return how good the data behind the chosen campaigns is."""
    return _quality(screen, key_of(screen))


def insight_view(screen: Screen) -> tuple[Jobs[Insight], Hashable, View[Insight]]:
    """Return how far concluding from the chosen campaigns has come, begun where it had not."""
    jobs, key = _concluding(), key_of(screen)
    before = None if jobs.look(key).result else data.previous(screen)
    return jobs, key, jobs.view(key, partial(_concluded, screen, before))


def insight_of(screen: Screen) -> Insight:
    """Return what can be concluded from the chosen campaigns, once that is known.

    Raises:
        DataError: It could not be.
    """
    jobs, key, view = insight_view(screen)
    if view.result is None:
        jobs.wait(key, timeout=_LONGEST_SECONDS)
        view = jobs.look(key)
    if view.result is None:
        said = view.failure.sentence if view.failure else "Looking for patterns takes too long."
        raise DataError(said)
    return view.result


def no_insight(screen: Screen) -> Insight:
    """Return what is there before anything was concluded."""
    settings = screen.settings
    return Insight(
        **{name: table.empty() for name, table in _TABLES.items()},
        period=_span(screen),
        before=None,
        primary=next(iter(settings.metrics)),
        currency=settings.value.currency,
    )


def alerts_of(screen: Screen) -> pd.DataFrame:
    """Return health.frames.ALERTS of this reading; none before its record was written."""
    if screen.read.is_capped != is_capping(screen.settings.analysis.outliers):
        return ALERTS.empty()  # the same reading under another rule of this visitor's
    key: Hashable = ("left", screen.number, data.fingerprint(screen.settings))
    left = _aftermath().view(key, partial(_left, screen)).result
    return ALERTS.empty() if left is None else left.alerts


def runs_of(settings: Settings) -> Runs:
    """Return what earlier runs left behind."""
    return _runs(str(runs_folder(settings).resolve()), settings)


def results_of(screen: Screen, part: Measured) -> Results:
    """Return some campaigns as measured, with the counts behind them."""
    loaded, rules = screen.loaded, screen.rules
    pushes = loaded.pushes
    own = pushes["campaign_id"].isin(part.campaigns["campaign_id"])
    return Results(
        campaigns=part.campaigns,
        lifts=part.lifts,
        layers=part.layers,
        contrasts=part.contrasts,
        checks=part.checks,
        panel=panel_of(loaded, part.campaigns, pushes[own].reset_index(drop=True), rules.lengths),
        rules=rules,
    )


def _span(screen: Screen) -> Span:
    period = screen.period
    return Span(since=period.since, until=period.until, as_of=screen.loaded.span.as_of)


def key_of(screen: Screen) -> str:
    """Return what tells the chosen campaigns and period from every other choice."""
    period = screen.period
    return f"{screen.chosen.key} {period.since.isoformat()} {period.until.isoformat()}"


@st.cache_resource(max_entries=8, show_spinner="Assessing the data")
def _quality(_screen: Screen, key: str) -> Quality:  # noqa: ARG001
    return assess(_screen.loaded, _screen.read.estimates, results_of(_screen, _screen.chosen))


def _concluded(screen: Screen, before: Measured | None, on_progress: Progress) -> Insight:
    on_progress("Looking for patterns", 0, 1)
    return insight(
        screen.loaded,
        screen.read.estimates,
        results_of(screen, screen.chosen),
        previous=None if before is None else results_of(screen, before),
        period=_span(screen),
    )


@st.cache_resource(show_spinner=False)
def _concluding() -> Jobs[Insight]:
    return Jobs[Insight](workers=1, keep=8)


@st.cache_resource(ttl=_RUNS_SECONDS, show_spinner=False)
def _runs(folder: str, _settings: Settings) -> Runs:  # noqa: ARG001
    table, notices = read_runs(runs_folder(_settings))
    return Runs(table=table, notices=notices)


@st.cache_resource(show_spinner=False)
def _aftermath() -> Jobs[Left]:
    return Jobs[Left](workers=1, keep=4)


def _left(screen: Screen, on_progress: Progress) -> Left:
    """Write the record of a reading, of all that was read and by the settings, and its alerts."""
    loaded, estimates = screen.loaded, screen.read.estimates
    analysis = screen.settings.analysis
    rules = replace(
        screen.rules,
        confidence_level=analysis.confidence_level,
        min_recipients=analysis.min_recipients,
        outliers=analysis.outliers,
    )
    results = pipeline.measure(loaded, rules, estimates=estimates, on_progress=on_progress)
    scores = assess(loaded, estimates, results).scores
    verdicts = verdicts_of(loaded, results)
    return leave(
        record_of(screen.read.recorder, loaded, results, scores=scores, verdicts=verdicts),
        screen.settings,
        campaigns=results.campaigns,
        scores=scores,
        verdicts=verdicts,
    )

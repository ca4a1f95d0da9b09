"""How good the data is: what was read and computed, put together for the scores of quality."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.activity.timelines import MS_PER_HOUR, Int64, Timelines
from core.grounds import (
    Pushes,
    adequacy_of,
    headline_of,
    overlaps,
    placebo_pvalues,
    pushes_of,
    study_under,
)
from core.loading import Loaded, milliseconds
from core.measure.estimates import Estimates
from core.measure.panel import Rules
from core.measure.stability import baseline_stability, weekly_counts
from core.measure.study import Study
from core.measure.windows import NEVER, WindowLengths
from core.partial import holes_of, touched_pushes
from core.pipeline import Results
from core.quality import evidence
from core.quality.advice import advice
from core.quality.days import event_days, near_events, push_days
from core.quality.scores import scores
from core.sources.recipients import positions
from core.span import to_ms

NEAR_MS = 48 * MS_PER_HOUR
"""Around a push, either side, in which an event counts as near it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quality:
    """How good the data behind some campaigns is.

    Attributes:
        scores: quality.frames.SCORES.
        advice: quality.frames.ADVICE.
        event_days: quality.frames.EVENT_DAYS, of all that was read.
        push_days: quality.frames.PUSH_DAYS.
    """

    scores: pd.DataFrame
    advice: pd.DataFrame
    event_days: pd.DataFrame
    push_days: pd.DataFrame


def assess(loaded: Loaded, estimates: Estimates, results: Results) -> Quality:
    """Return how good the data behind the results is.

    Args:
        loaded: What was read.
        estimates: Of all its campaigns, under the windows of the results.
        results: Of all campaigns or some; these are what is scored.

    Raises:
        ValueError: The estimates have other windows.
    """
    settings = loaded.wiring.settings
    study = study_under(estimates, results.rules)
    codes = np.sort(positions(loaded.campaigns["campaign_id"], results.campaigns["campaign_id"]))
    some = pushes_of(study, codes)
    start, end = _read(loaded)
    days = event_days(
        loaded.timelines, zone=settings.analysis.timezone, start=start, end=end,
        holes=holes_of(loaded),
    )  # fmt: skip
    found = scores(
        _evidence(loaded, estimates, results, some, days),
        threshold=settings.alerts.quality,
        mapped_threshold=settings.alerts.mapped_share,
    )
    return Quality(
        scores=found,
        advice=advice(
            found,
            results.campaigns,
            days,
            metrics=settings.metrics,
            zone=settings.analysis.timezone,
        ),
        event_days=days,
        push_days=_push_days(loaded, results.campaigns, some, start=start, end=end),
    )


def _read(loaded: Loaded) -> tuple[int, int]:
    """Return the stretch of time whose activity was asked for, as `load` asks for it."""
    span = loaded.span
    end = min(to_ms(span.until) + loaded.lengths.post_ms, span.as_of_ms)
    return to_ms(span.since) - loaded.lengths.baseline_ms, end


def _evidence(
    loaded: Loaded, estimates: Estimates, results: Results, some: Pushes, days: pd.DataFrame
) -> evidence.Evidence:
    """Return what the scores rest on; campaigns stand in the order of the load."""
    campaigns, rules = results.campaigns, results.rules
    first, last = (milliseconds(campaigns[f"{name}_delivered_at"]) for name in ("first", "last"))
    is_sent = first != NEVER
    return evidence.Evidence(
        campaigns=campaigns,
        event_days=days[days["event"].isin(loaded.wiring.settings.tracked_events)],
        checks=results.checks,
        pushes=_pushes(loaded, some, rules.lengths),
        window_starts=np.where(is_sent, first - rules.lengths.baseline_ms, 0),
        window_ends=np.where(is_sent, last + rules.lengths.post_ms, 0),
        is_ready=_ready(estimates.study, some, rules),
        baselines=_baselines(loaded, estimates, some, rules),
    )


def _pushes(loaded: Loaded, some: Pushes, lengths: WindowLengths) -> evidence.Pushes:
    timelines, as_of = loaded.timelines, loaded.span.as_of_ms
    n_tracked = len(loaded.wiring.settings.tracked_events)
    tracked, odd = _impossible(timelines, as_of, n_tracked)
    n_persons = len(loaded.person_ids)
    owners = timelines.persons
    return evidence.Pushes(
        campaigns=some.groups,
        persons=some.persons,
        is_closed=some.sends.instants + lengths.post_ms <= as_of,
        is_whole=~touched_pushes(loaded, lengths)[some.rows],
        n_events=np.bincount(owners[tracked], minlength=n_persons),
        n_impossible=np.bincount(owners[odd], minlength=n_persons),
    )


def _impossible(
    timelines: Timelines, as_of: int, n_tracked: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which events are the metrics', and which of these nobody can have made then."""
    at, tracked = timelines.instants, timelines.events < n_tracked
    is_again = np.zeros(len(at), dtype=bool)
    is_again[1:] = (np.diff(at) == 0) & (np.diff(timelines.events) == 0)
    firsts = timelines.offsets[:-1]
    is_again[firsts[firsts < len(at)]] = False
    return tracked, tracked & (is_again | (at % MS_PER_HOUR == 0) | (at >= as_of))


def _ready(study: Study, some: Pushes, rules: Rules) -> NDArray[np.bool_]:
    """Return whether the numbers of each campaign and metric allow a test."""
    metrics = range(len(study.panel.metric_names))
    tests = [adequacy_of(study, some, place, rules).test for place in metrics]
    is_ready: NDArray[np.bool_] = np.stack(tests, axis=1) != "none"
    return is_ready


def _baselines(
    loaded: Loaded, estimates: Estimates, some: Pushes, rules: Rules
) -> evidence.Baselines:
    """Return the primary metric's steadiness: a drift of what is rarer says less."""
    study, n = estimates.study, len(some.codes)
    primary = [study.panel.metric_events[0]]
    weekly, whole = weekly_counts(study.panel.index, some.sends, metrics=primary)
    steady = baseline_stability(
        weekly[0], weekly[0], whole=whole, campaigns=some.groups, n_campaigns=n,
        confidence_level=rules.confidence_level,
    )  # fmt: skip
    methods = [headline_of(estimates, code)[0] for code in range(study.panel.n_campaigns)]
    return evidence.Baselines(
        slope_ci_low=steady.slope_ci_low,
        slope_ci_high=steady.slope_ci_high,
        contamination=overlaps(loaded, study, some).contamination,
        placebo_pvalues=placebo_pvalues(estimates, methods)[some.codes],
    )


def _push_days(
    loaded: Loaded, campaigns: pd.DataFrame, some: Pushes, *, start: int, end: int
) -> pd.DataFrame:
    at = some.sends.instants
    near = near_events(loaded.timelines, some.sends.persons, at - NEAR_MS, at + NEAR_MS)
    is_inside = (at - NEAR_MS >= start) & (at + NEAR_MS <= end)
    return push_days(
        campaigns["layer"].to_numpy(dtype=object)[some.groups],
        at,
        near,
        is_told=is_inside & ~_holes_touch(loaded, at),
        zone=loaded.wiring.settings.analysis.timezone,
    )


def _holes_touch(loaded: Loaded, at: Int64) -> NDArray[np.bool_]:
    return holes_of(loaded).touch(at - NEAR_MS, at + NEAR_MS)

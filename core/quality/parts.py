"""The parts of the scores: each a share of things that are as they must be, with its numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import bdtrc

from core.activity.timelines import Int64
from core.measure.ratios import Floats
from core.measure.stability import (
    CONTAMINATION_FAR,
    CONTAMINATION_LIMIT,
    SLOPE_FAR,
    SLOPE_LIMIT,
)
from core.quality.days import NOT_READ
from core.quality.evidence import Evidence, Flags, Groups

DATABASE, ACTIVITY = "database", "activity"
MAPPING, TIMESTAMPS = "mapping", "timestamps"
COMPLETENESS, IDENTIFIERS = "completeness", "identifiers"
COVERAGE, EVENTS, TIMING = "user_coverage", "event_completeness", "temporal_accuracy"
READINESS, CONSISTENCY = "significance_readiness", "consistency"
FALSE_POSITIVES = 0.05
"""What self-checks of an honest test at 5 % find."""
_UNLIKELY = 0.01
_TRIGGERED = "3"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """One part of one side, an entry per group.

    Attributes:
        side: database or activity.
        name: What is scored.
        score: 0 to 1, NaN where it cannot be told.
        n: What was good.
        n_of: Of how many.
        inputs: The numbers behind it, in words.
        status: ok, or why it cannot be told.
    """

    side: str
    name: str
    score: Floats
    n: Int64
    n_of: Int64
    inputs: list[str]
    status: NDArray[np.object_]


def _mapping(evidence: Evidence, groups: Groups) -> Part:
    """Recipients found in PostHog's identities; whoever could not be looked up is not found."""
    table = evidence.campaigns
    n_of = groups.counts(_recipients(table))
    n, direct, email = (groups.counts(table[f"n_{name}"]) for name in ("mapped", "direct", "email"))
    said = [
        f"{a:,} of {b:,} recipients found in PostHog: {c:,} by distinct id, {d:,} by e-mail"
        for a, b, c, d in zip(n, n_of, direct, email, strict=True)
    ]
    return _shared(DATABASE, MAPPING, n, n_of, said)


def _timestamps(evidence: Evidence, groups: Groups) -> Part:
    """Recipients whose instant of delivery is recorded, and after what it has to come after."""
    table = evidence.campaigns
    n_of = groups.counts(_recipients(table))
    names = ("n_sent_at_used", "n_early", "n_before_sign_up")
    lost = [groups.counts(table[name]) for name in names]
    n = n_of - sum(lost)
    said = [
        f"{a:,} of {b:,} recipients with a plausible delivery: {c:,} without delivered_at, "
        f"{d:,} before the sending or the trigger, {e:,} before the sign-up"
        for a, b, c, d, e in zip(n, n_of, *lost, strict=True)
    ]
    return _shared(DATABASE, TIMESTAMPS, n, n_of, said)


def _completeness(evidence: Evidence, groups: Groups) -> Part:
    """Sign-up, layer and message of every recipient's push, and in layer 3 the trigger."""
    table = evidence.campaigns
    recipients = _recipients(table)
    lost = [
        groups.counts(one)
        for one in (table["n_no_sign_up"], table["n_no_trigger"], unclassified(table), mute(table))
    ]
    n_of = groups.counts(3 * recipients + recipients.where(table["layer"] == _TRIGGERED, 0))
    n = n_of - sum(lost)
    said = [
        f"{a:,} of {b:,} details recorded: missing are {c:,} sign-ups, {d:,} triggers, the layer "
        f"of {e:,} pushes, the message of {f:,}"
        for a, b, c, d, e, f in zip(n, n_of, *lost, strict=True)
    ]
    return _shared(DATABASE, COMPLETENESS, n, n_of, said)


def _identifiers(evidence: Evidence, groups: Groups) -> Part:
    """Recipients' identifiers that can be somebody's and are nobody else's."""
    table = evidence.campaigns
    n_of = groups.counts(_recipients(table) - table["n_no_id"])
    odd, shared = (groups.counts(table[name]) for name in ("n_odd_id", "n_shared_id"))
    n = n_of - odd - shared
    said = [
        f"{a:,} of {b:,} identifiers sound: {c:,} can be nobody's, {d:,} belong to several users"
        for a, b, c, d in zip(n, n_of, odd, shared, strict=True)
    ]
    return _shared(DATABASE, IDENTIFIERS, n, n_of, said, missing="no_identifiers")


def _coverage(evidence: Evidence, groups: Groups) -> Part:
    """Measured persons with a tracked event, and those without one who may just be quiet.

    How many are quiet is read off those who did one or two things: n1 (n1 - 1) / (2 (n2 + 1)),
    Chao's lower bound of the unseen; whoever is missing beyond it is taken for a fault.

    References:
        Chao (1984), bias-corrected.
    """
    pushes = evidence.pushes
    done = pushes.n_events
    flags = (done >= 0, done == 0, done == 1, done == 2)
    n_of, unseen, once, twice = groups.of_persons(pushes, *(one.astype(np.int64) for one in flags))
    quiet = np.minimum(np.rint(once * (once - 1) / (2 * (twice + 1))).astype(np.int64), unseen)
    seen = n_of - unseen
    said = [
        f"{a:,} of {b:,} measured persons with a tracked event; of the {c:,} others {d:,} are to "
        "be expected"
        for a, b, c, d in zip(seen, n_of, unseen, quiet, strict=True)
    ]
    return _shared(ACTIVITY, COVERAGE, seen + quiet, n_of, said)


def _events(evidence: Evidence, groups: Groups) -> Part:
    """Tracked events times days of the windows that were read whole and are no gap."""
    table = evidence.event_days
    days = np.sort(table["day"].unique())
    names = table["event"].unique()
    place = np.searchsorted(days, table["day"].to_numpy())
    can_be_told = (table["is_whole"] | table["is_gap"]).to_numpy()

    def per_day(rows: Flags) -> Int64:
        return np.bincount(place[rows], minlength=len(days))

    is_gap, is_unread = table["is_gap"].to_numpy(), (table["why"] == NOT_READ).to_numpy()
    is_asked = groups.any_of(_touched(evidence, days)).astype(np.int64)
    n_of, lost, unread = (
        is_asked @ per_day(rows) for rows in (can_be_told, can_be_told & is_gap, is_unread)
    )
    n = n_of - lost
    said = [
        f"{a:,} of {b:,} event-days whole and without a gap ({len(names):,} events): {c:,} not "
        f"read, {d:,} with far fewer events than expected or none"
        for a, b, c, d in zip(n, n_of, unread, lost - unread, strict=True)
    ]
    return _shared(ACTIVITY, EVENTS, n, n_of, said, missing="too_few_days")


def _touched(evidence: Evidence, days: NDArray[np.generic]) -> Flags:
    """Return which days each campaign's windows lie on, Bool[campaigns, days]."""
    starts: Int64 = pd.DatetimeIndex(days).as_unit("ms").asi8
    ends = np.append(starts[1:], np.iinfo(np.int64).max)
    first, last = evidence.window_starts[:, None], evidence.window_ends[:, None]
    touched: Flags = (starts < last) & (ends > first) & (first < last)
    return touched


def _timing(evidence: Evidence, groups: Groups) -> Part:
    """Windows that have closed and were read whole, times events at an instant that can be.

    An event on the very hour, or twice by one person in one millisecond, or later than now, is
    none that a person made then: one in 3.6 million falls on the hour by chance.
    """
    pushes = evidence.pushes
    n_of, n, is_open, is_cut = (
        groups.counts(np.bincount(pushes.campaigns[rows], minlength=groups.n_campaigns))
        for rows in (
            slice(None), pushes.is_closed & pushes.is_whole, ~pushes.is_closed, ~pushes.is_whole,
        )
    )  # fmt: skip
    n_events, odd = groups.of_persons(pushes, pushes.n_events, pushes.n_impossible)
    said = [
        f"{a:,} of {b:,} windows closed and read whole: {c:,} still open, {d:,} touched by what "
        f"could not be read; {e:,} of {f:,} events at an instant that cannot be"
        for a, b, c, d, e, f in zip(n, n_of, is_open, is_cut, odd, n_events, strict=True)
    ]
    part = _shared(ACTIVITY, TIMING, n, n_of, said)
    score = part.score * (1 - odd / np.maximum(n_events, 1))
    return replace(part, score=score)


def _readiness(evidence: Evidence, groups: Groups) -> Part:
    """Campaigns times metrics with users and events enough for a test to be believed."""
    table = evidence.campaigns
    status = table["status"]
    told = ((table["n_measured"] > 0) & (status != "incomplete")).to_numpy()
    n_metrics = evidence.is_ready.shape[1]
    n = groups.counts(evidence.is_ready.sum(axis=1) * told)
    n_of = groups.counts(told * n_metrics)
    said = [
        f"{a:,} of {b:,} campaigns x metrics with enough users and events for a test"
        for a, b in zip(n, n_of, strict=True)
    ]
    is_lacking = groups.counts(status == "incomplete") > 0
    missing = np.where(is_lacking, "incomplete", "no_recipients").astype(object)
    return _shared(ACTIVITY, READINESS, n, n_of, said, missing=missing)


def _consistency(evidence: Evidence, groups: Groups) -> Part:
    """Baselines that hold still and self-checks that find nothing: the mean of the two.

    A baseline is steady where the interval of its weekly growth reaches within 2 %, and clear of
    other pushes where these take less than 10 % of it; half a point up to 5 % and 30 %. A
    campaign's self-checks pass where chance finds as many effects more than once in a hundred; a
    layer's where the interval of the false-positive share reaches down to 5 %.
    """
    said = evidence.baselines
    drift = np.maximum(np.maximum(said.slope_ci_low, -said.slope_ci_high), 0.0)
    steady = _points(drift, SLOPE_LIMIT, SLOPE_FAR)
    clear = _points(said.contamination, CONTAMINATION_LIMIT, CONTAMINATION_FAR)
    points = np.stack([steady, clear])
    told = groups.counts((~np.isnan(points)).sum(axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        baseline = groups.sums(np.nan_to_num(points).sum(axis=0)) / told
    passed, asked, checked = _self_checks(evidence, groups)
    both = np.stack([np.where(told > 0, baseline, np.nan), checked])
    known = ~np.isnan(both)
    with np.errstate(invalid="ignore", divide="ignore"):
        score = np.where(known, both, 0.0).sum(axis=0) / known.sum(axis=0)
    n_steady, n_clear = (groups.counts(one == 1) for one in (steady, clear))
    words = [
        f"baselines: {a:,} steady and {b:,} clear of other pushes in {c:,} checks; self-checks: "
        f"{d:,} of {e:,} as chance alone would have them"
        for a, b, c, d, e in zip(n_steady, n_clear, told, passed, asked, strict=True)
    ]
    return Part(
        side=ACTIVITY, name=CONSISTENCY, score=score, n=n_steady + n_clear + passed,
        n_of=told + asked, inputs=words, status=status_of(known.any(axis=0), "no_data"),
    )  # fmt: skip


def _points(value: Floats, limit: float, far: float) -> Floats:
    """Return 1 within the limit, half up to far, 0 beyond; NaN where it is not known."""
    points = np.select([value < limit, value < far], [1.0, 0.5], default=0.0)
    return np.where(np.isnan(value), np.nan, points)


def _self_checks(evidence: Evidence, groups: Groups) -> tuple[Int64, Int64, Floats]:
    """Return each group's self-checks passed, asked, and their score, NaN without any."""
    pvalues = evidence.baselines.placebo_pvalues
    asked = (~np.isnan(pvalues)).sum(axis=1)
    found = (pvalues < FALSE_POSITIVES).sum(axis=1)
    likely = bdtrc(found - 1.0, np.maximum(asked, 1), FALSE_POSITIVES) >= _UNLIKELY
    passed = np.where((found == 0) | likely, asked, asked - found)
    checks = evidence.checks
    is_fine = (checks["false_positive_share_ci_low"] <= FALSE_POSITIVES).to_numpy(dtype=bool)
    rows = [np.ones(len(checks), dtype=bool)]
    rows += [(checks["layer"] == layer).to_numpy(dtype=bool) for layer in groups.layers]
    n_of = np.array([*(int(one.sum()) for one in rows), *asked], dtype=np.int64)
    n = np.array([*(int((one & is_fine).sum()) for one in rows), *passed], dtype=np.int64)
    return n, n_of, _ratio(n, n_of)


def unclassified(campaigns: pd.DataFrame) -> pd.Series:
    """Return each campaign's recipients whose pushes belong to no layer."""
    return _recipients(campaigns).where(campaigns["layer"] == "unclassified", 0)


def mute(campaigns: pd.DataFrame) -> pd.Series:
    """Return each campaign's recipients whose pushes have neither title nor body."""
    return _recipients(campaigns).where(campaigns["title"].isna() & campaigns["body"].isna(), 0)


def _recipients(campaigns: pd.DataFrame) -> pd.Series:
    recipients: pd.Series = campaigns["n_delivered"] - campaigns["n_duplicates"]
    return recipients


def _shared(
    side: str,
    name: str,
    n: Int64,
    n_of: Int64,
    inputs: list[str],
    *,
    missing: str | NDArray[np.object_] = "no_recipients",
) -> Part:
    return Part(
        side=side, name=name, score=_ratio(n, n_of), n=n, n_of=n_of, inputs=inputs,
        status=status_of(n_of > 0, missing),
    )  # fmt: skip


def _ratio(n: Int64, n_of: Int64) -> Floats:
    return np.where(n_of > 0, n / np.maximum(n_of, 1), np.nan)


def status_of(is_known: Flags, missing: str | NDArray[np.object_]) -> NDArray[np.object_]:
    """Return ok where something is known, else what is missing."""
    return np.where(is_known, "ok", missing).astype(object)


PARTS: dict[str, tuple[Callable[[Evidence, Groups], Part], ...]] = {
    DATABASE: (_mapping, _timestamps, _completeness, _identifiers),
    ACTIVITY: (_coverage, _events, _timing, _readiness, _consistency),
}
"""What makes the parts of each side."""

"""Whether a baseline is steady and clean enough to stand for "without the push".

Four weeks before each push: does activity drift, does it scatter more than chance, do users keep
their rank, and how much of that time lies in the shadow of other pushes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from core.activity.timelines import MS_PER_HOUR, Int64
from core.measure.paired import Codes, group_moments, sums
from core.measure.ratios import Floats
from core.measure.windows import EventIndex, Sends, WindowLengths, count_blocks

WEEKS = WindowLengths(baseline_days=28, post_hours=7 * 24)
"""The four whole weeks before a push."""

SLOPE_LIMIT, SLOPE_FAR = 0.02, 0.05
CONTAMINATION_LIMIT, CONTAMINATION_FAR = 0.10, 0.30
PLACEBO_LIMIT, PLACEBO_FAR = 0.05, 0.001
"""Conventions, not results: within the limit is green, one miss amber, far or two misses red."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BaselineStability:
    """How steady the four weeks before the pushes were, one entry per campaign.

    Only users known for all four weeks enter, so that newcomers are not read as growth; NaN where
    a number cannot be had.

    Attributes:
        n_users: Users known for all four weeks.
        slope: Growth of events per week, on the log scale (0.02 is about +2 % a week).
        slope_ci_low: Its interval, users being the source of chance.
        slope_ci_high: As above; a shock that hits every user at once is not in it.
        cv: Standard deviation of the weekly totals over their mean.
        dispersion: Variance over mean of one user's weekly counts; 1 for steady chance events.
        reliability: Split-half reliability of users' rates, 0 (noise) to 1.
        short_tenure_share: Share of users known for less than four weeks.
    """

    n_users: Int64
    slope: Floats
    slope_ci_low: Floats
    slope_ci_high: Floats
    cv: Floats
    dispersion: Floats
    reliability: Floats
    short_tenure_share: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StabilityGrades:
    """The three checks and the grade made of them, one entry per campaign.

    Attributes:
        grade: green, amber or red; what is not known is never green.
        is_steady: The weekly slope is below 2 % either way.
        is_clean: Less than 10 % of the baseline lies within 48 h after another push.
        is_placebo_quiet: The placebo test does not reject at 5 %; true where not asked for.
    """

    grade: NDArray[np.str_]
    is_steady: NDArray[np.bool_]
    is_clean: NDArray[np.bool_]
    is_placebo_quiet: NDArray[np.bool_]


def weekly_counts(
    index: EventIndex, sends: Sends, *, metrics: Sequence[Sequence[int]]
) -> tuple[list[NDArray[np.int32]], NDArray[np.bool_]]:
    """Count each metric in each of the four weeks before each push.

    Returns:
        For each metric Int32[pushes, weeks], the nearest week first, and Bool[pushes, weeks],
        whether the week lies wholly after the sign-up.
    """
    # weeks before a push are observed however little of its post window is
    closed = replace(sends, as_of=int(sends.instants.max(initial=0)) + WEEKS.post_ms)
    return count_blocks(index, closed, WEEKS, metrics=metrics)


def baseline_stability(
    weekly: NDArray[np.integer],
    blocks: NDArray[np.integer],
    *,
    whole: NDArray[np.bool_],
    campaigns: Codes,
    n_campaigns: int,
    confidence_level: float = 0.95,
) -> BaselineStability:
    """Return how steady each campaign's baseline is in one metric.

    Args:
        weekly: Int[pushes, weeks], events in the weeks before, the nearest first.
        blocks: Int[pushes, blocks], events in shorter windows before, the nearest first; every
            other one makes a half (an odd last one is left out).
        whole: Bool[pushes, weeks], which weeks lie wholly after the sign-up.
        campaigns: Campaign code of each push.
        n_campaigns: How many campaigns there are.
        confidence_level: Of the slope's interval.

    References:
        Slope: least squares on the logs of the weekly totals, variance clustered by user through
        its influence function. Reliability: Spearman (1910) and Brown (1910), 2r / (1 + r).
    """
    rows = np.flatnonzero(whole.all(axis=1))
    users = np.bincount(campaigns, minlength=n_campaigns)
    groups = campaigns[rows]
    n = np.bincount(groups, minlength=n_campaigns)
    # one row a week, in the order of time: sums over users run along memory
    counts: Floats = np.ascontiguousarray(weekly.T[::-1, rows], dtype=np.float64)
    totals = np.stack([sums(week, groups, n_campaigns) for week in counts], axis=1)
    slope, error = _slopes(counts, totals, groups, n)
    half = stdtrit(np.maximum(n - 1, 1), (1 + confidence_level) / 2) * error
    with np.errstate(divide="ignore", invalid="ignore"):
        return BaselineStability(
            n_users=n.astype(np.int64),
            slope=slope,
            slope_ci_low=slope - half,
            slope_ci_high=slope + half,
            cv=totals.std(axis=1, ddof=1) / totals.mean(axis=1),
            dispersion=sums(counts.var(axis=0, ddof=1), groups, n_campaigns)
            / sums(counts.mean(axis=0), groups, n_campaigns),
            reliability=_split_half(blocks[rows], groups, n_campaigns),
            short_tenure_share=1 - n / users,
        )


def graded_stability(
    slope: Floats, contamination: Floats, *, placebo_pvalue: Floats | None = None
) -> StabilityGrades:
    """Return green, amber or red for each campaign's baseline, by convention.

    Green: every check within its limit. Red: two beyond it, or one far beyond (5 % a week, 30 %
    of the baseline, p <= 0.001). Amber: the rest, and whatever is not known.

    Args:
        slope: Weekly slopes on the log scale.
        contamination: Shares, 0 to 1.
        placebo_pvalue: Of the same comparison at an earlier date; left out, two checks count.
    """
    asked = placebo_pvalue is not None
    placebo = np.ones_like(slope) if placebo_pvalue is None else placebo_pvalue
    size = np.abs(slope)
    missed = np.stack(
        [size >= SLOPE_LIMIT, contamination >= CONTAMINATION_LIMIT, placebo <= PLACEBO_LIMIT]
    )
    far = (size >= SLOPE_FAR) | (contamination >= CONTAMINATION_FAR) | (placebo <= PLACEBO_FAR)
    unknown = np.isnan(np.stack([slope, contamination, placebo]))
    passed = ~missed & ~unknown
    grade = np.select(
        [far | (missed.sum(axis=0) >= 2), ~passed.all(axis=0)], ["red", "amber"], default="green"
    )
    return StabilityGrades(
        grade=grade,
        is_steady=passed[0],
        is_clean=passed[1],
        is_placebo_quiet=passed[2] if asked else np.ones_like(passed[2]),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PushTimes:
    """Every delivered push of everybody, sorted, with the time its window adds to the earlier ones.

    Attributes:
        keys: Int64[pushes], person and instant in one sortable number.
        persons: Int64[pushes].
        instants: Int64[pushes], milliseconds UTC.
        covered: Int64[pushes + 1], milliseconds covered by all pushes before, persons in a row.
        window_ms: How long a push is taken to act.
    """

    keys: Int64
    persons: Int64
    instants: Int64
    covered: Int64
    window_ms: int

    @classmethod
    def of(cls, persons: Int64, instants: Int64, *, window_ms: int = 48 * MS_PER_HOUR) -> PushTimes:
        """Sort pushes; persons are codes from 0, instants after 1970."""
        order = np.lexsort((instants, persons))
        persons, instants = persons[order], instants[order]
        lengths = np.full(len(persons), window_ms, dtype=np.int64)
        same = persons[1:] == persons[:-1]
        lengths[:-1][same] = np.minimum(np.diff(instants), window_ms)[same]
        return cls(
            keys=_keys(persons, instants),
            persons=persons,
            instants=instants,
            covered=np.concatenate([[0], np.cumsum(lengths)]),
            window_ms=window_ms,
        )

    def covered_until(self, persons: Int64, instants: Int64) -> Int64:
        """Return milliseconds in any push's window, persons in a row, up to each instant."""
        place = np.searchsorted(self.keys, _keys(persons, instants))
        since = np.where(self._is_of(place - 1, persons), instants - self._at(place - 1), 0)
        last = np.maximum(place - 1, 0)
        of_last = self.covered[place] - self.covered[last]
        # the last push's share is cut at the instant; other persons' pushes count whole
        return np.where(
            since > 0, self.covered[last] + np.minimum(since, of_last), self.covered[place]
        )

    def neighbours(self, persons: Int64, instants: Int64) -> tuple[Int64, Int64]:
        """Return the time since the person's push before and until the one after each push.

        Each (person, instant) is itself one of the pushes; a second one at the same instant is
        both. Without a neighbour the time is longer than any window.
        """
        place = np.searchsorted(self.keys, _keys(persons, instants))
        never = 2 * self.window_ms
        since = np.where(self._is_of(place - 1, persons), instants - self._at(place - 1), never)
        until = np.where(self._is_of(place + 1, persons), self._at(place + 1) - instants, never)
        return np.where(until == 0, 0, since), until

    def _is_of(self, place: Int64, persons: Int64) -> NDArray[np.bool_]:
        inside = (place >= 0) & (place < len(self.keys))
        return inside & (self.persons[self._held(place)] == persons) if len(self.keys) else inside

    def _at(self, place: Int64) -> Int64:
        return self.instants[self._held(place)] if len(self.keys) else np.zeros_like(place)

    def _held(self, place: Int64) -> Int64:
        return np.clip(place, 0, len(self.keys) - 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Overlap:
    """How a campaign's pushes meet other pushes to the same persons, one entry per campaign.

    Attributes:
        share: Share of recipients with another push in [t - 48 h, t + 48 h).
        hours: Mean hours of the post window [t, t + 48 h) in another push's window.
    """

    share: Floats
    hours: Floats


def contamination_share(
    pushes: PushTimes,
    persons: Int64,
    starts: Int64,
    ends: Int64,
    *,
    campaigns: Codes,
    n_campaigns: int,
) -> Floats:
    """Return the share of each campaign's baseline time within 48 h after another push.

    Time in the windows of several pushes counts once.

    Args:
        pushes: Every delivered push, also of campaigns that are not measured.
        persons: Person code of each measured push, as in `pushes`.
        starts: Where its baseline begins, milliseconds UTC (at sign-up where that is later).
        ends: Where it ends: the delivery.
        campaigns: Campaign code of each measured push.
        n_campaigns: How many campaigns there are.

    Returns:
        Shares, 0 to 1; NaN for a campaign without baseline time.
    """
    inside = pushes.covered_until(persons, ends) - pushes.covered_until(persons, starts)
    with np.errstate(divide="ignore", invalid="ignore"):
        covered = sums(np.maximum(inside, 0), campaigns, n_campaigns)
        return covered / sums(ends - starts, campaigns, n_campaigns)


def push_overlap(
    pushes: PushTimes, persons: Int64, instants: Int64, *, campaigns: Codes, n_campaigns: int
) -> Overlap:
    """Return how many recipients got another push close by, and how much of the window it took.

    Args:
        pushes: Every delivered push, the measured ones included.
        persons: Person code of each measured push, as in `pushes`.
        instants: Its delivery, milliseconds UTC.
        campaigns: Campaign code of each measured push.
        n_campaigns: How many campaigns there are.
    """
    since, until = pushes.neighbours(persons, instants)
    window = pushes.window_ms
    # windows are equally long: the one before covers the beginning, the one after the end
    taken = np.maximum(window - since, 0) + np.maximum(window - until, 0)
    hours = np.minimum(taken, window) / MS_PER_HOUR
    near = (since <= window) | (until < window)
    with np.errstate(divide="ignore", invalid="ignore"):
        n = np.bincount(campaigns, minlength=n_campaigns).astype(float)
        return Overlap(
            share=sums(near, campaigns, n_campaigns) / n,
            hours=sums(hours, campaigns, n_campaigns) / n,
        )


def _slopes(
    counts: Floats, totals: Floats, groups: Codes, n: NDArray[np.integer]
) -> tuple[Floats, Floats]:
    """Return the log-linear slopes of the totals and their errors; NaN beside an empty week."""
    centred = np.arange(totals.shape[1]) - (totals.shape[1] - 1) / 2
    weights = centred / (centred @ centred)
    known: NDArray[np.bool_] = np.all(totals > 0, axis=1)
    safe = np.where(known[:, None], totals, 1.0)
    # d log(total) = d total / total, and the weights sum to 0: the influences need no centring
    psi: Floats = np.sum(counts * (weights / safe).T[:, groups], axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(known & (n > 1), n / (n - 1), np.nan)
    error = np.sqrt(sums(psi**2, groups, len(n)) * factor)
    return np.where(known, np.log(safe) @ weights, np.nan), error


def _split_half(blocks: NDArray[np.integer], groups: Codes, n_campaigns: int) -> Floats:
    place = np.arange(blocks.shape[1])
    is_paired = place < blocks.shape[1] // 2 * 2
    halves = np.stack([is_paired & (place % 2 == 0), is_paired & (place % 2 == 1)], axis=1)
    totals = blocks.astype(np.float64) @ halves.astype(np.float64)
    first, second = np.ascontiguousarray(totals.T)
    moments = group_moments(first, second, groups, n_campaigns)
    with np.errstate(divide="ignore", invalid="ignore"):
        r = moments.cov / np.sqrt(moments.var_base * moments.var_post)
        reliability = 2 * r / (1 + r)
    return np.where(r <= 0, 0.0, reliability)


def _keys(persons: Int64, instants: Int64) -> Int64:
    """Return numbers sorted by person, then instant: 44 bits hold 500 years of milliseconds."""
    return (persons << 44) + np.clip(instants, 0, (1 << 44) - 1)

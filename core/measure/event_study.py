"""Day by day around the push: when recipients and the others part, and whether they did before.

Difference in differences: each day's rate less the same person's mean of the
days -14 to -3, recipients against the others. Not against day -1, where people who set a push
off are at their busiest: the return from that peak would be read as an effect.

What the others would have shown in the recipients' place comes from a regression among them, as
`impute` does it (the reweighting of the others to the recipients' strata where there are only
strata). Its covariates all lie outside of the days tested, so that the test keeps its power: the
activity of the days -28 to -15, other pushes close by, and, where what people did set the push
off, the strata of the last 24 hours. The comparison's own covariates reach over all four weeks;
with them the days -14 to -3 would agree whatever was compared. Scheduled sends are not matched
on the last day: among people of different usual activity a like day -1 is chance, and what
follows is a return to the usual that looks like an effect.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, pinvh
from scipy.special import fdtrc, fdtri, ncfdtr, stdtrit

from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR, Int64
from core.measure.comparison import COMPARISON, HOLDOUT, LEAST_ARM, LEAST_SUPPORT, groups
from core.measure.features import strata
from core.measure.outliers import common_cap
from core.measure.ratios import Floats
from core.measure.state import EDGES_HOURS, Moments
from core.measure.study import Study
from core.measure.windows import NEVER

DAYS = np.arange(-14, 7, dtype=np.int64)
"""Days counted from the push; a day is [day, day + 1) times 24 hours."""
REFERENCE = (DAYS >= -14) & (DAYS <= -3)
EARLIER_DAYS = (28, 14)
"""Where the usual activity is taken from: before all days shown."""
DRAWS = 2_000
LEAST_REFERENCE = 3
LEAST_PER_DAY = 10
"""Persons per tested day the smaller group needs for the joint test. With random labels on sparse
counts it rejects 11 % with 5 to 8 of them and 29 % with fewer, at a nominal 5 %."""
NOT_COMPARED = "none"
_CHUNK = 250
_PER_COLUMN = 12
_LONG_TENURE_DAYS = 180.0
_RIDGE, _LEAST_FREE = 1e-9, 0.05
_HALVINGS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class PreTrend:
    """Whether recipients and the others moved alike before the push.

    Attributes:
        statistic: Wald's (Hotelling's T squared) of all differences of the days -14 to -3.
        df: Its degrees of freedom, of the numerator.
        pvalue: That they moved alike; NaN without a comparison or with too small a group.
        missed_slope: A steady drift apart, in events per user per day a day, that this test would
            miss half of the time. An effect no larger than a few days of it is not told from one.
    """

    statistic: float
    df: int
    pvalue: float
    missed_slope: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EventStudy:
    """A campaign's days in one metric, an entry a day; NaN where a day is not wholly observed.

    Attributes:
        days: Int64[days], the day's start in days from the push.
        pushed_rate: Recipients' events per user per day.
        expected_rate: What the others say they would have shown.
        effect_size: pushed_rate - expected_rate, the mean over the reference days being 0.
        standard_error: Of it, persons as the sample.
        ci_low: Its interval, for a single day.
        ci_high: The same.
        band_low: A band that holds all days at once with the same confidence.
        band_high: The same.
        pre_trend: The joint test of the days before.
        is_compared: Whether there are others; if not, "expected" is the recipients' own
            reference, and the weekly rhythm is still in the curve.
        source: "holdout", "comparison" or "none": who the others are.
        status: "ok", or why there is no comparison or no number.
        n_users: Recipients known for all days.
        n_comparison: Others.
        support: Share of those recipients for whom there was somebody comparable.
        reference_rate: Recipients' mean rate of the reference days.
        critical: Standard errors on either side of the band.
        confidence_level: Of interval and band.
    """

    days: Int64
    pushed_rate: Floats
    expected_rate: Floats
    effect_size: Floats
    standard_error: Floats
    ci_low: Floats
    ci_high: Floats
    band_low: Floats
    band_high: Floats
    pre_trend: PreTrend
    is_compared: bool
    source: str
    status: str
    n_users: int
    n_comparison: int
    support: float
    reference_rate: float
    critical: float
    confidence_level: float

    def frame(self) -> pd.DataFrame:
        """Return one row a day: the day, its rates, effect, interval and band."""
        names = (
            "pushed_rate", "expected_rate", "effect_size", "standard_error", "ci_low", "ci_high",
            "band_low", "band_high",
        )  # fmt: skip
        columns = {name: getattr(self, name) for name in names}
        return pd.DataFrame(
            {
                "day": self.days,
                **columns,
                "is_reference": REFERENCE,
                "is_observed": ~np.isnan(self.pushed_rate),
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Group:
    """Whom is looked at, and on which days.

    Attributes:
        moments: Recipients, then the others.
        is_pushed: Which are recipients.
        observed: Bool[days], wholly observed for everybody.
        source: Who the others are.
        status: "ok", or why there are none.
        support: Share of the recipients with somebody comparable.
        x: Covariates; no columns without a comparison.
    """

    moments: Moments
    is_pushed: NDArray[np.bool_]
    observed: NDArray[np.bool_]
    source: str
    status: str
    support: float
    x: Floats


def event_study(
    study: Study, campaign: int, metric: int, *, confidence_level: float = 0.95, seed: int = 0
) -> EventStudy:
    """Return the days around a campaign's pushes in one metric, against those not pushed.

    The others are those held out at random, where there are enough (everybody assigned then
    counts as pushed, reached or not); else those of the comparison, at the instants at which
    they could have been pushed. Only persons known for all days shown enter.

    Assumes that both groups would have moved alike, which `pre_trend` tests before the push.
    Band: multiplier bootstrap with Rademacher weights, one a person (Montiel Olea and
    Plagborg-Moller 2019, Journal of Applied Econometrics 34(1), 1-17; Callaway and Sant'Anna
    2021, Journal of Econometrics 225(2), 200-230). Joint test: Hotelling (1931). The drift it
    would miss: Roth (2022), American Economic Review: Insights 4(3), 305-322.

    Args:
        study: The study.
        campaign: Its code.
        metric: Position of the metric.
        confidence_level: Of interval, band and joint test, for example 0.95.
        seed: Of the bootstrap.
    """
    group = _group(study, campaign, metric)
    n_users = int(group.is_pushed.sum())
    if n_users < LEAST_ARM or (group.observed & REFERENCE).sum() < LEAST_REFERENCE:
        status = "too_few_users" if n_users < LEAST_ARM else "no_history"
        return _empty(group, status, confidence_level)
    counts = _daily(study, group, metric)
    ones, known = group.is_pushed, group.observed
    change = counts - counts[:, REFERENCE[known]].mean(axis=1, keepdims=True)
    if group.source == NOT_COMPARED:
        effect = change.mean(axis=0)
        psi = (change - effect) / len(change)
    else:
        effect, psi = _imputed(change[ones], group.x[ones], change[~ones], group.x[~ones])
    psi *= np.sqrt(len(psi) / (len(psi) - 1))
    return _told(group, counts[ones].mean(axis=0), effect, psi, confidence_level, seed)


def _told(
    group: _Group, rates: Floats, effect: Floats, psi: Floats, level: float, seed: int
) -> EventStudy:
    """Return what follows from the observed days' effects and their influence values."""
    known, is_compared = group.observed, group.source != NOT_COMPARED
    n1, n0 = int(group.is_pushed.sum()), int((~group.is_pushed).sum())
    df = float((min(n1, n0) if is_compared else n1) - 1)
    error = np.sqrt((psi**2).sum(axis=0))
    error = np.where(error > 1e-12, error, np.nan)
    pointwise = float(stdtrit(df, (1 + level) / 2))
    critical = max(_critical(psi, error, level=level, seed=seed), pointwise)
    nothing = PreTrend(statistic=np.nan, df=0, pvalue=np.nan, missed_slope=np.nan)
    in_reference = REFERENCE[known]
    before = (
        _pre_trend(effect[in_reference], psi[:, in_reference], DAYS[known][in_reference], df, level)
        if is_compared
        else nothing
    )

    def placed(values: Floats) -> Floats:
        every = np.full(len(DAYS), np.nan)
        every[known] = values
        return every

    return EventStudy(
        days=DAYS,
        pushed_rate=placed(rates),
        expected_rate=placed(rates - effect),
        effect_size=placed(effect),
        standard_error=placed(error),
        ci_low=placed(effect - pointwise * error),
        ci_high=placed(effect + pointwise * error),
        band_low=placed(effect - critical * error),
        band_high=placed(effect + critical * error),
        pre_trend=before,
        is_compared=is_compared,
        source=group.source,
        status=group.status,
        n_users=n1,
        n_comparison=n0,
        support=group.support,
        reference_rate=float(rates[in_reference].mean()),
        critical=critical,
        confidence_level=level,
    )


def _group(study: Study, campaign: int, metric: int) -> _Group:
    """Return recipients and others who were there on all days, and what makes them alike."""
    pushed, others, source, status = _sides(study, campaign)
    observed = _observed(study, pushed)
    first = int(DAYS[observed].min(initial=0)) * MS_PER_DAY
    pushed, others = _there(study, pushed, first), _there(study, others, first)
    alone = _Group(
        moments=pushed, is_pushed=np.ones(len(pushed), bool), observed=observed,
        source=NOT_COMPARED, status=status, support=0.0, x=np.empty((len(pushed), 0)),
    )  # fmt: skip
    if source == NOT_COMPARED:
        return alone
    if min(len(pushed), len(others)) < LEAST_ARM:
        return replace(alone, status="no_comparison")
    moments = Moments.joined([pushed, others])
    is_pushed = np.arange(len(moments)) < len(pushed)
    level, kept = np.ones((len(moments), 1)), np.ones(len(moments), bool)
    known = _usual(study, moments, metric)
    if source == COMPARISON and study.is_triggered(campaign):
        latest = _latest(study, moments)
        level, kept = strata(
            latest, moments, is_pushed=is_pushed, offset_ms=int(study.offsets_ms[campaign])
        )
        own = _happened(study, moments, study.panel.metric_events[metric], -MS_PER_DAY, 0)
        known = np.column_stack([known, np.sqrt(latest), latest[:, -1], np.sqrt(own)])
    support, n_others = float(kept[is_pushed].mean()), int((kept & ~is_pushed).sum())
    if support < LEAST_SUPPORT or n_others < LEAST_ARM:
        return replace(alone, status="no_support")
    x = np.column_stack([level, known, _more(study, moments)])
    if n_others < _PER_COLUMN * x.shape[1]:
        x = np.column_stack([np.ones(len(moments)), known])
    moments = moments.taken(kept)
    return _Group(
        moments=moments, is_pushed=is_pushed[kept], observed=_observed(study, moments),
        source=source, status="ok", support=support, x=x[kept],
    )  # fmt: skip


def _sides(study: Study, campaign: int) -> tuple[Moments, Moments, str, str]:
    """Return recipients and others, who the others are, and why there are none."""
    pushed = study.pushed(campaign)
    none = pushed.taken(np.empty(0, dtype=np.int64))
    held, missed = (study.unsent.of(campaign, held=is_held) for is_held in (True, False))
    if len(held) >= LEAST_ARM:
        return Moments.joined([pushed, missed]), held, HOLDOUT, "ok"
    if not len(pushed):
        return pushed, none, NOT_COMPARED, "too_few_users"
    if study.is_triggered(campaign) and study.triggers[campaign] is None:
        return pushed, none, NOT_COMPARED, "trigger_unknown"
    some = groups(study, campaign)
    others = Moments.joined([some.missed, some.held, some.others])
    return some.reached, others, COMPARISON, "ok"


def _observed(study: Study, moments: Moments) -> NDArray[np.bool_]:
    """Return which days lie wholly between the first and the last instant read, for everybody."""
    if not len(moments):
        return np.zeros(len(DAYS), dtype=np.bool_)
    first, last = int(moments.instants.min()), int(moments.instants.max())
    starts, ends = first + DAYS * MS_PER_DAY, last + (DAYS + 1) * MS_PER_DAY
    inside: NDArray[np.bool_] = (starts >= study.data_since) & (ends <= study.panel.sends.as_of)
    return inside & ~study.holes.touch(starts, ends)


def _there(study: Study, some: Moments, first_ms: int) -> Moments:
    signed = study.signed_up[some.persons]
    there = some.taken((signed == NEVER) | (signed <= some.instants + first_ms))
    # by person, so that the same random weight falls on the same person whatever the rows' order
    return there.taken(np.lexsort((there.instants, there.persons)))


def _happened(study: Study, some: Moments, events: Iterable[int], start: int, end: int) -> Floats:
    """Return events in [start, end) milliseconds from each moment."""
    since, until = some.instants + start, some.instants + end
    found = [study.panel.index.count_between(e, some.persons, since, until) for e in events]
    total: Floats = np.sum(found, axis=0).astype(np.float64)
    return total


def _latest(study: Study, some: Moments) -> Floats:
    """Return events of all kinds since each of the edges up to 24 hours before."""
    edges = [-hours * MS_PER_HOUR for hours in EDGES_HOURS if 0 < hours <= 24]
    every = range(study.n_events)
    return np.stack([_happened(study, some, every, edge, 0) for edge in edges], axis=1)


def _usual(study: Study, some: Moments, metric: int) -> Floats:
    """Return the metric's level before the days shown, which also swings with the level."""
    start, end = (-days * MS_PER_DAY for days in EARLIER_DAYS)
    own = _happened(study, some, study.panel.metric_events[metric], start, end)
    return np.column_stack([np.sqrt(own), own])


def _more(study: Study, some: Moments) -> Floats:
    """Return all activity before the days shown, tenure, and other pushes close by.

    Of other pushes only the hours of the window they share: how many came in the weeks before
    tells of the days tested, since what people did set some of them off.
    """
    start, end = (-days * MS_PER_DAY for days in EARLIER_DAYS)
    everything = _happened(study, some, range(study.n_events), start, end)
    signed, window = study.signed_up[some.persons], study.panel.lengths.post_ms
    days = np.minimum((some.instants - signed) / MS_PER_DAY, _LONG_TENURE_DAYS)
    tenure = np.sqrt(np.where(signed == NEVER, _LONG_TENURE_DAYS, np.maximum(days, 0)))
    shared = [
        study.scheduled.reached(some, window), study.scheduled.followed(some, window),
        study.triggered.reached(some, window),
    ]  # fmt: skip
    return np.column_stack([np.sqrt(everything), tenure, *shared]).astype(np.float64)


def _daily(study: Study, group: _Group, metric: int) -> Floats:
    """Return Floats[moments, observed days], events on each day."""
    some, index = group.moments, study.panel.index
    days = DAYS[group.observed]
    edges = some.instants + np.append(days, days[-1] + 1)[:, None] * MS_PER_DAY
    counts = np.zeros((len(days), len(some)))
    for event in study.panel.metric_events[metric]:
        before = np.stack([index.count_before(event, some.persons, edge) for edge in edges])
        counts += np.diff(before, axis=0)
    if study.is_capped:
        counts = np.minimum(counts, common_cap(counts, np.ones(counts.shape, dtype=bool)))
    return np.ascontiguousarray(counts.T)


def _imputed(outcome1: Floats, x1: Floats, outcome0: Floats, x0: Floats) -> tuple[Floats, Floats]:
    """Return each day's effect and Floats[persons, days], everybody's influence on it.

    As `impute`, all days in one factorisation.
    """
    scale = np.sqrt((x0**2).mean(axis=0))
    known = scale > 0
    x0, x1 = x0[:, known] / scale[known], x1[:, known] / scale[known]
    gram = x0.T @ x0
    gram[np.diag_indices_from(gram)] += _RIDGE * np.trace(gram) / len(gram)
    solved = cho_solve(cho_factor(gram), x0.T)
    slopes: Floats = solved @ outcome0
    leverage = np.einsum("ij,ji->i", x0, solved)
    free = np.sqrt(np.clip(1 - leverage, _LEAST_FREE, 1))
    weights = x1.mean(axis=0) @ solved
    away = outcome1 - x1 @ slopes
    effect: Floats = away.mean(axis=0)
    residual = (outcome0 - x0 @ slopes) * (weights / free)[:, None]
    return effect, np.concatenate([(away - effect) / len(away), -residual])


def _critical(psi: Floats, error: Floats, *, level: float, seed: int) -> float:
    """Return the quantile of the largest of all days' |t| under random signs of persons."""
    varies = ~np.isnan(error)
    if not varies.any():
        return np.nan
    scaled = (psi[:, varies] / error[varies]).astype(np.float32)
    rng = np.random.default_rng(seed)
    largest = [
        np.abs(_signed_sums(rng, scaled, n_draws=_CHUNK)).max(axis=1)
        for _ in range(DRAWS // _CHUNK)
    ]
    return float(np.quantile(np.concatenate(largest), level))


def _signed_sums(
    rng: np.random.Generator, values: NDArray[np.float32], *, n_draws: int
) -> NDArray[np.float32]:
    """Return sums over persons under random signs: twice those of a random half, less all."""
    packed = rng.integers(0, 256, (n_draws, -(-len(values) // 8)), dtype=np.uint8)
    halves = np.unpackbits(packed, axis=1, count=len(values)).astype(np.float32)
    sums: NDArray[np.float32] = 2 * (halves @ values) - values.sum(axis=0)
    return sums


def _pre_trend(effect: Floats, psi: Floats, days: Int64, df: float, level: float) -> PreTrend:
    """Return Hotelling's test of all reference days, and the drift it would miss half the time."""
    inverse, rank = pinvh(psi.T @ psi, return_rank=True)
    free = df - rank + 1
    if rank < 1 or df + 1 < LEAST_PER_DAY * rank:
        return PreTrend(statistic=np.nan, df=int(rank), pvalue=np.nan, missed_slope=np.nan)
    wald, scale = float(effect @ inverse @ effect), free / (df * rank)
    centred = days - days.mean()
    size = float(centred @ inverse @ centred)
    half = _half_power(rank, free, 1 - level)
    return PreTrend(
        statistic=wald,
        df=int(rank),
        pvalue=float(fdtrc(rank, free, wald * scale)),
        missed_slope=float(np.sqrt(half / size)) if size > 0 else np.nan,
    )


def _half_power(rank: int, free: float, alpha: float) -> float:
    """Return the noncentrality at which an F test at alpha rejects half of the time."""
    at = fdtri(rank, free, 1 - alpha)
    low, high = 0.0, 1_000.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if ncfdtr(rank, free, middle, at) > 0.5 else (low, middle)
    return (low + high) / 2


def _empty(group: _Group, status: str, level: float) -> EventStudy:
    nothing = np.full(len(DAYS), np.nan)
    return EventStudy(
        days=DAYS, pushed_rate=nothing, expected_rate=nothing, effect_size=nothing,
        standard_error=nothing, ci_low=nothing, ci_high=nothing, band_low=nothing,
        band_high=nothing,
        pre_trend=PreTrend(statistic=np.nan, df=0, pvalue=np.nan, missed_slope=np.nan),
        is_compared=False, source=NOT_COMPARED, status=status,
        n_users=int(group.is_pushed.sum()), n_comparison=0, support=0.0,
        reference_rate=np.nan, critical=np.nan, confidence_level=level,
    )  # fmt: skip

"""The same estimate at earlier dates, at which nothing was sent: what it finds there is false.

Both groups are the very people of the real estimate, and where what they did sets a campaign off,
the rule is applied again at the earlier date. Merely shifting the clock passes exactly where the
classic comparison is wrong (99.8 % false positives in simulated triggered campaigns).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from core.activity.timelines import MS_PER_DAY
from core.measure.comparison import Groups, compared, described, groups, randomised
from core.measure.contrasts import Contrast, infer, moments
from core.measure.ratios import Floats
from core.measure.state import HISTORY_DAYS, Moments
from core.measure.study import Study
from core.measure.triggers import pseudo_sends

WEEKS = (1, 2, 3, 4)
SCHEDULED_WEEKS = (3, 4)
"""Scheduled sends may pick people by what they did lately. Nearer dates lie in the time they were
picked by: a campaign to last fortnight's busiest finds that choice there, not an error."""
MOST_PER_ARM = 1_000
LEAST_HISTORY_DAYS = 14
LEAST_READ_DAYS = HISTORY_DAYS
"""Days before a placebo that have to be known: what people are compared by."""
_WEEK_MS = 7 * MS_PER_DAY


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placebos:
    """Estimates where there was no push, one entry (row) each.

    Attributes:
        campaigns: Int64[checks].
        weeks: Int64[checks], how much earlier.
        methods: Which method, text[checks].
        z: Floats[checks, metrics], estimate over standard error.
        pvalues: Floats[checks, metrics].
    """

    campaigns: NDArray[np.int64]
    weeks: NDArray[np.int64]
    methods: NDArray[np.str_]
    z: Floats
    pvalues: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class FalsePositives:
    """How often a group of placebos was called an effect.

    Attributes:
        n_checks: Placebo estimates.
        n_campaigns: Campaigns behind them.
        share: Share with p < 0.05.
        ci_low: Its 95 % interval, campaigns as the sample.
        ci_high: The same.
        se_scale: Root mean square of the z; 1 where standard errors are right.
    """

    n_checks: int
    n_campaigns: int
    share: float
    ci_low: float
    ci_high: float
    se_scale: float


def placebos_of(study: Study, campaign: int) -> list[tuple[int, Contrast]]:
    """Return (weeks earlier, contrast) of each placebo a campaign allows, by method."""
    is_blind = study.is_triggered(campaign) and study.triggers[campaign] is None
    if is_blind or not len(study.pushed(campaign)):
        return []
    real = groups(study, campaign)
    found: list[tuple[int, Contrast]] = []
    for weeks in WEEKS if study.is_triggered(campaign) else SCHEDULED_WEEKS:
        told = described(study, _earlier(study, campaign, real, weeks))
        offset = int(study.offsets_ms[campaign])
        both = (randomised(study, told), compared(study, told, offset_ms=offset))
        found += [(weeks, contrast) for contrast in both if contrast.is_known]
    return found


def collected(found: list[list[tuple[int, Contrast]]], n_metrics: int) -> Placebos:
    """Return the placebos of all campaigns, in order of the campaigns."""
    rows = [(c, weeks, one) for c, some in enumerate(found) for weeks, one in some]
    if not rows:
        nothing = np.empty((0, n_metrics))
        none = np.empty(0, dtype=np.int64)
        return Placebos(
            campaigns=none, weeks=none, methods=np.empty(0, dtype=np.str_), z=nothing,
            pvalues=nothing,
        )  # fmt: skip
    contrasts = [one for _, _, one in rows]
    var_post, var_expected, cov = moments(contrasts)
    said = infer(
        np.stack([one.post for one in contrasts]),
        np.stack([one.expected for one in contrasts]),
        var_post=var_post, var_expected=var_expected, cov=cov,
        df=np.stack([one.df for one in contrasts]), confidence_level=0.95,
    )  # fmt: skip
    return Placebos(
        campaigns=np.array([c for c, _, _ in rows], dtype=np.int64),
        weeks=np.array([weeks for _, weeks, _ in rows], dtype=np.int64),
        methods=np.array([one.method for one in contrasts]),
        z=said.statistic,
        pvalues=said.pvalue,
    )


def false_positives(placebos: Placebos, rows: NDArray[np.bool_]) -> FalsePositives | None:
    """Return how often some placebos were called an effect, None without any.

    The interval treats campaigns as the sample, since the placebos of one share people and days
    (a t interval of the campaigns' shares); where none or all were called, Wilson's (1927).
    """
    known = ~np.isnan(placebos.pvalues[rows])
    if not known.any():
        return None
    called = (placebos.pvalues[rows] < 0.05) & known
    n = int(known.sum())
    share = float(called.sum() / n)
    blocks, place = np.unique(placebos.campaigns[rows], return_inverse=True)
    size = np.bincount(place, weights=known.sum(axis=1))
    excess = np.bincount(place, weights=(called - share * known).sum(axis=1))
    k = len(blocks)
    error = np.sqrt((excess**2).sum() * k / max(k - 1, 1)) / size.sum()
    low, high = wilson(share, k) if error == 0 else (share - 1.96 * error, share + 1.96 * error)
    z = placebos.z[rows][known]
    return FalsePositives(
        n_checks=n, n_campaigns=k, share=share, ci_low=max(low, 0.0), ci_high=min(high, 1.0),
        se_scale=float(np.sqrt(np.mean(z**2))),
    )  # fmt: skip


def wilson(share: float, n: int) -> tuple[float, float]:
    """Return Wilson's (1927) 95 % interval of a share of n."""
    q = float(ndtri(0.975)) ** 2
    middle = (share + q / (2 * n)) / (1 + q / n)
    half = np.sqrt(share * (1 - share) / n + q / (4 * n * n)) * np.sqrt(q) / (1 + q / n)
    return float(middle - half), float(middle + half)


def _earlier(study: Study, campaign: int, real: Groups, weeks: int) -> Groups:
    """Return the groups at an earlier date, those in windows of other pushes left out."""
    rng = study.rng(campaign, weeks, 1)
    shift = weeks * _WEEK_MS
    if study.is_triggered(campaign):
        sends = pseudo_sends(study, campaign, weeks_earlier=weeks)

        def back(some: Moments) -> Moments:
            return sends.taken(np.isin(sends.persons, some.persons))

    else:

        def back(some: Moments) -> Moments:
            return Moments(persons=some.persons, instants=some.instants - shift)

    reached, missed, held, others = (
        _thinned(_clean(study, back(some)), rng)
        for some in (real.reached, real.missed, real.held, real.others)
    )
    return Groups(reached=reached, missed=missed, held=held, others=others)


def _clean(study: Study, some: Moments) -> Moments:
    window = study.panel.lengths.post_ms
    ends = some.instants + window
    there = (some.instants >= study.data_since + LEAST_HISTORY_DAYS * MS_PER_DAY) & (
        study.signed_up[some.persons] < some.instants
    )
    there &= ends <= study.panel.sends.as_of
    touched = (
        study.scheduled.count(some, -window, window) + study.triggered.count(some, -window, window)
    ) > 0
    before = some.instants - LEAST_READ_DAYS * MS_PER_DAY
    return some.taken(there & ~touched & ~study.holes.touch(before, ends))


def _thinned(some: Moments, rng: np.random.Generator) -> Moments:
    if len(some) <= MOST_PER_ARM:
        return some
    return some.taken(np.sort(rng.choice(len(some), MOST_PER_ARM, replace=False)))

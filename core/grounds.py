"""What a verdict on a campaign rests on, for some campaigns at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR, Int64
from core.loading import Loaded
from core.measure.adequacy import Adequacy, sample_adequacy
from core.measure.comparison import COMPARISON, HOLDOUT
from core.measure.contrasts import infer, moments
from core.measure.estimates import ORDER, Estimates
from core.measure.headline import choose
from core.measure.paired import Codes, sums
from core.measure.panel import MIN_OBSERVED_MS, Rules
from core.measure.power import mde
from core.measure.ratios import Floats
from core.measure.stability import (
    BaselineStability,
    PushTimes,
    baseline_stability,
    contamination_share,
    push_overlap,
    weekly_counts,
)
from core.measure.study import Study
from core.measure.windows import Sends
from core.span import to_ms

LEAST_KNOWN = 0.25
"""Share of the baseline time pushes have to be known for; those before the span were not read."""
_WINDOW_MS = 48 * MS_PER_HOUR


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pushes:
    """Measured pushes of some campaigns, which are numbered anew.

    Attributes:
        rows: Int64[pushes], their places in the panel.
        groups: The campaign of each.
        codes: Int64[campaigns], their codes in the study.
        sends: Who, when, since when.
        persons: Person codes, those never seen included.
    """

    rows: Int64
    groups: Codes
    codes: Int64
    sends: Sends
    persons: Codes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Overlaps:
    """The numbers of `Overlap`, an entry a campaign."""

    share: Floats
    hours: Floats
    is_complete: NDArray[np.bool_]
    contamination: Floats
    known: Floats


def study_under(estimates: Estimates, rules: Rules) -> Study:
    """Return the study of estimates made under the rules' windows.

    Raises:
        ValueError: They were made under other windows.
    """
    found = estimates.study.panel.lengths
    if found != rules.lengths:
        raise ValueError(f"The estimates were made for {found}, not for {rules.lengths}.")
    return estimates.study


def pushes_of(study: Study, codes: Int64) -> Pushes:
    """Return the measured pushes of campaigns, given by ascending codes."""
    panel = study.panel
    if len(codes) == panel.n_campaigns:
        rows = np.arange(len(panel.persons), dtype=np.int64)
    else:
        segments = panel.segments
        rows = np.concatenate([np.arange(segments[c].start, segments[c].stop) for c in codes])
    sends = panel.sends
    return Pushes(
        rows=rows,
        groups=np.searchsorted(codes, panel.campaigns[rows]).astype(np.int64),
        codes=codes,
        sends=Sends(
            persons=sends.persons[rows], instants=sends.instants[rows],
            signed_up=sends.signed_up[rows], as_of=sends.as_of,
        ),
        persons=panel.persons[rows],
    )  # fmt: skip


def overlaps(loaded: Loaded, study: Study, some: Pushes) -> Overlaps:
    """Return how each campaign meets other pushes, and for how much of the time that is known."""
    panel, since, until = study.panel, to_ms(loaded.span.since), to_ms(loaded.span.until)
    every = PushTimes.of(panel.persons, panel.sends.instants, window_ms=_WINDOW_MS)
    n, at = len(some.codes), some.sends.instants
    near = push_overlap(every, some.persons, at, campaigns=some.groups, n_campaigns=n)
    starts = at - some.sends.baseline(panel.lengths)
    known = np.clip(starts, since, np.maximum(at, since))
    share = contamination_share(
        every, some.persons, known, np.maximum(at, known), campaigns=some.groups, n_campaigns=n
    )
    outside = (at - _WINDOW_MS < since) | (at + _WINDOW_MS > until)
    with np.errstate(divide="ignore", invalid="ignore"):
        told = sums(at - known, some.groups, n) / sums(at - starts, some.groups, n)
    return Overlaps(
        share=near.share, hours=near.hours,
        is_complete=sums(outside, some.groups, n) == 0,
        contamination=np.where(told >= LEAST_KNOWN, share, np.nan),
        known=told,
    )  # fmt: skip


def stability(
    study: Study, some: Pushes, metric: int, blocks: NDArray[np.int32], rules: Rules
) -> BaselineStability:
    """Return how steady one metric was before the pushes; `blocks` as in `count_blocks`."""
    weekly, whole = weekly_counts(
        study.panel.index, some.sends, metrics=[study.panel.metric_events[metric]]
    )
    return baseline_stability(
        weekly[0], blocks, whole=whole, campaigns=some.groups, n_campaigns=len(some.codes),
        confidence_level=rules.confidence_level,
    )  # fmt: skip


def stability_columns(steady: BaselineStability) -> dict[str, Floats]:
    """Return the numbers of a baseline's stability by name, users left out."""
    names = (
        "slope", "slope_ci_low", "slope_ci_high", "cv", "dispersion", "reliability",
        "short_tenure_share",
    )  # fmt: skip
    return {name: getattr(steady, name) for name in names}


def headline_of(estimates: Estimates, campaign: int) -> tuple[str, bool]:
    """Return the method a campaign's headline rests on, and whether it identifies an effect."""
    return choose(
        {method: estimates.contrasts[method][campaign] for method in ORDER},
        is_triggered=estimates.study.is_triggered(campaign),
    )


def checked_method(method: str) -> str:
    """Return whose self-checks speak for a method: only two methods have their own."""
    return HOLDOUT if method == HOLDOUT else COMPARISON


def bonferroni(pvalues: Floats) -> float:
    """Return a p-value of all checks at once, whatever their dependence, NaN without any."""
    known = pvalues[~np.isnan(pvalues)]
    return min(1.0, float(known.min()) * len(known)) if len(known) else np.nan


def placebo_pvalues(estimates: Estimates, methods: list[str]) -> Floats:
    """Return the same for all campaigns and metrics, [campaigns, metrics]."""
    every = estimates.placebos
    wanted = np.array([checked_method(method) for method in methods], dtype=object)
    rows = every.methods.astype(object) == wanted[every.campaigns]
    campaigns, pvalues = every.campaigns[rows], every.pvalues[rows]
    least = np.full((len(methods), pvalues.shape[1]), np.inf)
    np.minimum.at(least, campaigns, np.where(np.isnan(pvalues), np.inf, pvalues))
    n = np.stack([sums(~np.isnan(p), campaigns, len(methods)) for p in pvalues.T], axis=1)
    return np.where(n > 0, np.minimum(np.where(n > 0, least, 0.0) * n, 1.0), np.nan)


def adequacy_of(study: Study, some: Pushes, metric: int, rules: Rules) -> Adequacy:
    """Return which test each campaign's numbers allow in one metric."""
    counts, n = study.panel.counts, len(some.codes)
    used = (counts.aligned_ms[some.rows] > 0) & (counts.post_ms[some.rows] >= MIN_OBSERVED_MS)
    groups, rows = some.groups[used], some.rows[used]
    return sample_adequacy(
        np.bincount(groups, minlength=n),
        np.rint(sums(counts.n_post[rows, metric], groups, n)).astype(np.int64),
        n_events_baseline=np.rint(sums(counts.n_aligned[rows, metric], groups, n)).astype(np.int64),
        post_days=rules.lengths.post_ms / MS_PER_DAY,
        baseline_days=rules.lengths.baseline_days,
    )


def errors_of(
    estimates: Estimates, methods: list[str], codes: Int64, rules: Rules
) -> tuple[Floats, Floats, Floats]:
    """Return standard error, df and expected rate of each campaign by a method each."""
    used = [estimates.contrasts[m][c] for m, c in zip(methods, codes, strict=True)]
    scales = np.array([estimates.se_scale(int(c), m) for m, c in zip(methods, codes, strict=True)])
    var_post, var_expected, cov = moments(used)
    df = np.stack([one.df for one in used])
    said = infer(
        np.stack([one.post for one in used]), np.stack([one.expected for one in used]),
        var_post=var_post, var_expected=var_expected, cov=cov, df=df,
        confidence_level=rules.confidence_level,
    )  # fmt: skip
    expected = np.stack([one.expected for one in used])
    return said.standard_error * scales[:, None], df, np.where(expected > 0, expected, np.nan)


def detectable_effects(estimates: Estimates, methods: list[str], rules: Rules) -> Floats:
    """Return the relative effect found with 80 % power, [campaigns, metrics].

    From the standard error of the method each campaign is judged by.
    """
    codes = np.arange(len(methods), dtype=np.int64)
    if not len(codes):
        return np.empty((0, estimates.study.n_metrics))
    error, df, expected = errors_of(estimates, methods, codes, rules)
    size: Floats = mde(error, df, alpha=1 - rules.confidence_level) / expected
    return size

"""Can it be trusted? What a campaign's number rests on, and what other choices would have said."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.extensions import ExtensionArray

from core.activity.timelines import MS_PER_DAY
from core.grounds import (
    Overlaps,
    Pushes,
    adequacy_of,
    bonferroni,
    checked_method,
    detectable_effects,
    errors_of,
    headline_of,
    overlaps,
    placebo_pvalues,
    pushes_of,
    stability,
    stability_columns,
    study_under,
)
from core.loading import Loaded
from core.measure.adequacy import Adequacy
from core.measure.estimates import Estimates
from core.measure.outliers import OutlierView, outlier_impact
from core.measure.panel import MIN_OBSERVED_MS, Rules
from core.measure.permutation import PermutationTest, window_permutation
from core.measure.power import mde, recipients_needed
from core.measure.ratios import Floats
from core.measure.stability import (
    BaselineStability,
    baseline_stability,
    graded_stability,
    weekly_counts,
)
from core.measure.study import Study
from core.measure.windows import count_blocks
from core.robustness import robustness

__all__ = ["Trust", "placebos_of_campaign", "robustness", "trust", "trust_table"]

DEFAULT_EFFECT = 0.05
"""Relative effect whose detection is asked for, unless another is named."""
SHORT_TENURE_LIMIT = 0.2
"""Share of recipients known for less than four weeks from which it is mentioned."""
_SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """How a campaign meets other pushes to the same persons.

    Attributes:
        share: Share of recipients with another push within 48 h before or after.
        hours: Mean hours of the 48 h after the push that lie in another push's 48 h.
        is_complete: Whether pushes were read for all of these hours.
        contamination: Share of the baseline time within 48 h after another push; NaN where
            pushes were read for less than a quarter of that time.
        contamination_known: Share of the baseline time pushes were read for.
    """

    share: float
    hours: float
    is_complete: bool
    contamination: float
    contamination_known: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """How steady the four weeks before were; NaN where it cannot be told.

    Attributes:
        n_users: Recipients known for all four weeks.
        slope: Growth a week, on the log scale (0.02 is about +2 %).
        slope_ci_low: Its interval.
        slope_ci_high: The same.
        cv: Standard deviation of the weekly totals over their mean.
        dispersion: Variance over mean of one person's weekly counts.
        reliability: Split-half, 0 to 1.
        short_tenure_share: Share of recipients known for less than four weeks.
        grade: green, amber or red.
        reasons: Why it is not green: `trend`, `other_pushes`, `self_check_found_effect`,
            `trend_unknown`, `other_pushes_unknown`, `no_self_check`; `many_newcomers` is a
            remark.
    """

    n_users: int
    slope: float
    slope_ci_low: float
    slope_ci_high: float
    cv: float
    dispersion: float
    reliability: float
    short_tenure_share: float
    grade: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What this send could have seen, by the standard error of the method shown.

    Attributes:
        rel_effect: Smallest true relative effect found with 80 % power; NaN where not known.
        wanted_rel_effect: The effect somebody cares about.
        recipients_needed: For that one, the groups growing in proportion; NaN where not known.
        n_users: Recipients there were.
    """

    rel_effect: float
    wanted_rel_effect: float
    recipients_needed: float
    n_users: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trust:
    """Everything that speaks for or against a campaign's number in one metric.

    Attributes:
        campaign_id: The campaign.
        metric: The metric.
        method: The method its headline rests on.
        is_identified: Whether that method identifies an effect.
        overlap: With other pushes.
        baseline: How steady the time before was.
        test: "t", "permutation" or "none": what the numbers allow.
        test_reason: ok, too_few_users or too_few_events.
        n_expected: Events to be expected in the post windows if nothing happened.
        power: What could have been seen.
        permutation: The window permutation test, where the t-test needs it.
        permutation_reason: ok, enough_data, too_little_data, triggered_sends, or no_windows.
        outliers: The classic effect with all users, without extreme ones, with capped windows.
        placebos: One row a self-check: method, weeks (how much earlier), z, pvalue.
    """

    campaign_id: str
    metric: str
    method: str
    is_identified: bool
    overlap: Overlap
    baseline: Baseline
    test: str
    test_reason: str
    n_expected: float
    power: Power
    permutation: PermutationTest | None
    permutation_reason: str
    outliers: tuple[OutlierView, ...]
    placebos: pd.DataFrame


def trust(
    loaded: Loaded,
    estimates: Estimates,
    rules: Rules,
    campaign_id: str,
    metric: str,
    *,
    wanted_rel_effect: float = DEFAULT_EFFECT,
) -> Trust:
    """Return what speaks for or against a campaign's number in one metric.

    Args:
        loaded: What was read.
        estimates: Of all its campaigns, under the windows of the rules.
        rules: Windows and confidence.
        campaign_id: Which campaign.
        metric: Which metric.
        wanted_rel_effect: The smallest effect somebody cares about, for the recipients needed.

    Raises:
        ValueError: There is no such campaign or metric, or the estimates have other windows.
    """
    study = study_under(estimates, rules)
    code, place = _place(study.campaign_ids, campaign_id), _place(study.panel.metric_names, metric)
    some = pushes_of(study, np.array([code], dtype=np.int64))
    blocks, whole = count_blocks(
        study.panel.index, some.sends, rules.lengths, metrics=[study.panel.metric_events[place]]
    )
    met = overlaps(loaded, study, some)
    steady = stability(study, some, place, blocks[0], rules)
    method, is_identified = headline_of(estimates, code)
    checks = placebos_of_campaign(estimates, code, place)
    adequacy = adequacy_of(study, some, place, rules)
    windows, exists = _windows(study, some, place, blocks[0], whole)
    test, why = _permuted(
        windows, exists, str(adequacy.test[0]), rules, is_triggered=study.is_triggered(code)
    )
    return Trust(
        campaign_id=campaign_id,
        metric=metric,
        method=method,
        is_identified=is_identified,
        overlap=Overlap(
            share=float(met.share[0]), hours=float(met.hours[0]),
            is_complete=bool(met.is_complete[0]), contamination=float(met.contamination[0]),
            contamination_known=float(met.known[0]),
        ),
        baseline=_baseline(steady, met.contamination, _placebo_pvalue(checks, method)),
        test=str(adequacy.test[0]),
        test_reason=str(adequacy.reason[0]),
        n_expected=float(adequacy.n_expected[0]),
        power=_power(estimates, code, place, method, rules, wanted_rel_effect),
        permutation=test,
        permutation_reason=why,
        outliers=_outliers(study, some, place, windows, exists, rules),
        placebos=checks,
    )  # fmt: skip


def trust_table(loaded: Loaded, estimates: Estimates, rules: Rules) -> pd.DataFrame:
    """Return overlap, baseline and adequacy of every campaign and metric.

    Args:
        loaded: What was read.
        estimates: Of all its campaigns, under the windows of the rules.
        rules: Windows and confidence.

    Returns:
        One row per campaign x metric: campaign_id, layer, metric, method (the headline's),
        n_users, overlap_share, overlap_hours, is_overlap_complete, contamination_share,
        contamination_known_share, slope, slope_ci_low, slope_ci_high, cv, dispersion,
        reliability (halves made of single weeks), short_tenure_share, placebo_pvalue (the
        smallest of the self-checks, Bonferroni's correction; missing without one), grade,
        is_steady, is_clean, is_placebo_quiet, test, test_reason, n_expected,
        detectable_rel_effect.

    Raises:
        ValueError: The estimates have other windows.
    """
    study = study_under(estimates, rules)
    some = pushes_of(study, np.arange(study.panel.n_campaigns, dtype=np.int64))
    met = overlaps(loaded, study, some)
    weekly, whole = weekly_counts(study.panel.index, some.sends, metrics=study.panel.metric_events)
    methods = [headline_of(estimates, code)[0] for code in range(study.panel.n_campaigns)]
    quiet = placebo_pvalues(estimates, methods)
    detectable = detectable_effects(estimates, methods, rules)
    parts = []
    for place, name in enumerate(study.panel.metric_names):
        steady = baseline_stability(
            weekly[place], weekly[place], whole=whole, campaigns=some.groups,
            n_campaigns=len(some.codes), confidence_level=rules.confidence_level,
        )  # fmt: skip
        parts.append(
            pd.DataFrame(
                {
                    "campaign_id": pd.array(study.campaign_ids, dtype="str"),
                    "layer": pd.array(study.layers, dtype="str"),
                    "metric": pd.array([name] * len(some.codes), dtype="str"),
                    "method": pd.array(methods, dtype="str"),
                    "n_users": np.bincount(some.groups, minlength=len(some.codes)),
                    **_overlap_columns(met),
                    **stability_columns(steady),
                    **_grade_columns(steady, met, quiet[:, place]),
                    **_adequacy_columns(adequacy_of(study, some, place, rules)),
                    "detectable_rel_effect": detectable[:, place],
                }
            )
        )
    table = pd.concat(parts, keys=range(len(parts)), names=["place", "code"])
    return table.sort_index(level=["code", "place"]).reset_index(drop=True)


def _overlap_columns(met: Overlaps) -> dict[str, NDArray[np.generic]]:
    return {
        "overlap_share": met.share,
        "overlap_hours": met.hours,
        "is_overlap_complete": met.is_complete,
        "contamination_share": met.contamination,
        "contamination_known_share": met.known,
    }


def _grade_columns(
    steady: BaselineStability, met: Overlaps, placebo: Floats
) -> dict[str, NDArray[np.generic] | ExtensionArray]:
    grades = graded_stability(steady.slope, met.contamination, placebo_pvalue=placebo)
    return {
        "placebo_pvalue": placebo,
        "grade": pd.array(grades.grade.astype(object), dtype="str"),
        "is_steady": grades.is_steady,
        "is_clean": grades.is_clean,
        "is_placebo_quiet": grades.is_placebo_quiet,
    }


def _adequacy_columns(adequacy: Adequacy) -> dict[str, NDArray[np.generic] | ExtensionArray]:
    return {
        "test": pd.array(adequacy.test.astype(object), dtype="str"),
        "test_reason": pd.array(adequacy.reason.astype(object), dtype="str"),
        "n_expected": adequacy.n_expected,
    }


def placebos_of_campaign(estimates: Estimates, campaign: int, metric: int) -> pd.DataFrame:
    """Return a campaign's self-checks in one metric.

    Args:
        estimates: With the placebos of all campaigns.
        campaign: Its code.
        metric: Position of the metric.

    Returns:
        One row a check, by method and date: method, weeks (how much earlier), z (estimate over
        standard error), pvalue.
    """
    every = estimates.placebos
    rows = every.campaigns == campaign
    table = pd.DataFrame(
        {
            "method": pd.array(every.methods[rows].astype(object), dtype="str"),
            "weeks": every.weeks[rows],
            "z": every.z[rows, metric],
            "pvalue": every.pvalues[rows, metric],
        }
    )
    return table.sort_values(["method", "weeks"], ignore_index=True)


def _place(names: tuple[str, ...], name: str) -> int:
    if name not in names:
        raise ValueError(f"{name!r} is not among what was measured.")
    return names.index(name)


def _baseline(steady: BaselineStability, contamination: Floats, placebo: float) -> Baseline:
    grades = graded_stability(steady.slope, contamination, placebo_pvalue=np.array([placebo]))
    told = {name: float(values[0]) for name, values in stability_columns(steady).items()}
    checks = (
        (bool(grades.is_steady[0]), told["slope"], "trend", "trend_unknown"),
        (bool(grades.is_clean[0]), float(contamination[0]), "other_pushes", "other_pushes_unknown"),
        (bool(grades.is_placebo_quiet[0]), placebo, "self_check_found_effect", "no_self_check"),
    )
    reasons = [
        unknown if np.isnan(value) else missed
        for passed, value, missed, unknown in checks
        if not passed
    ]
    if told["short_tenure_share"] >= SHORT_TENURE_LIMIT:
        reasons.append("many_newcomers")
    return Baseline(
        n_users=int(steady.n_users[0]), grade=str(grades.grade[0]), reasons=tuple(reasons), **told
    )


def _placebo_pvalue(checks: pd.DataFrame, method: str) -> float:
    rows = checks["method"] == checked_method(method)
    return bonferroni(checks.loc[rows, "pvalue"].to_numpy(dtype=np.float64))


def _windows(
    study: Study, some: Pushes, metric: int, blocks: NDArray[np.int32], whole: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return events in the post window and the windows before, and which of them are there."""
    counts = study.panel.counts
    observed = counts.post_ms[some.rows] >= MIN_OBSERVED_MS
    windows = np.column_stack([counts.n_post[some.rows, metric], blocks]).astype(np.int64)
    return windows, np.column_stack([observed, whole])


def _permuted(
    windows: NDArray[np.int64],
    exists: NDArray[np.bool_],
    test: str,
    rules: Rules,
    *,
    is_triggered: bool,
) -> tuple[PermutationTest | None, str]:
    """Return the test where the t-test is not enough and windows may be exchanged."""
    if test == "t":
        return None, "enough_data"
    if test == "none":
        return None, "too_little_data"
    if is_triggered:  # the window after what set the push off is not like any other
        return None, "triggered_sends"
    if not (exists[:, 0] & exists[:, 1:].any(axis=1)).any():
        return None, "no_windows"
    found = window_permutation(windows, exists, seed=_SEED, confidence_level=rules.confidence_level)
    return found, "ok"


def _outliers(
    study: Study,
    some: Pushes,
    metric: int,
    windows: NDArray[np.int64],
    exists: NDArray[np.bool_],
    rules: Rules,
) -> tuple[OutlierView, ...]:
    counts, rows = study.panel.counts, some.rows
    used = (counts.aligned_ms[rows] > 0) & (counts.post_ms[rows] >= MIN_OBSERVED_MS)
    rows = rows[used]
    days = counts.post_ms[rows] / MS_PER_DAY
    return outlier_impact(
        counts.n_aligned[rows, metric] / (counts.aligned_ms[rows] / MS_PER_DAY),
        counts.n_post[rows, metric] / days,
        windows=windows[used],
        exists=exists[used],
        # windows still open are all cut to the hours observed, on average these
        window_days=float(days.mean()) if len(days) else 1.0,
        confidence_level=rules.confidence_level,
    )


def _power(
    estimates: Estimates, campaign: int, metric: int, method: str, rules: Rules, wanted: float
) -> Power:
    error, df, expected = (
        float(values[0, metric])
        for values in errors_of(estimates, [method], np.array([campaign], dtype=np.int64), rules)
    )
    alpha, n = 1 - rules.confidence_level, estimates.contrasts[method][campaign].n_users
    return Power(
        rel_effect=float(mde(error, df, alpha=alpha)) / expected,
        wanted_rel_effect=wanted,
        recipients_needed=float(recipients_needed(wanted * expected, error, n=n, alpha=alpha)),
        n_users=n,
    )

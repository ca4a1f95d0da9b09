"""The lifts table's rows of every method but the classic one, and the choice of the headline."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core import frames
from core.activity.timelines import MS_PER_DAY
from core.measure.adequacy import sample_adequacy
from core.measure.contrasts import Contrast, Inference, infer, moments
from core.measure.estimates import ORDER, Estimates
from core.measure.headline import choose, evidence
from core.measure.holes import INCOMPLETE
from core.measure.panel import Rules
from core.measure.power import mde
from core.measure.ratios import Floats

_NUMBERS = (
    "post_rate", "expected_rate", "effect_size", "effect_size_ci_low", "effect_size_ci_high",
    "rel_effect_size", "rel_effect_size_ci_low", "rel_effect_size_ci_high", "statistic", "df",
    "pvalue", "standard_error", "support", "detectable_effect_size",
)  # fmt: skip


def with_adjusted(
    classic: pd.DataFrame, estimates: Estimates, codes: NDArray[np.int64], rules: Rules
) -> pd.DataFrame:
    """Return the classic rows and those of all other methods, one of each group the headline.

    Args:
        classic: The classic rows of some campaigns, by campaign and metric.
        estimates: Of all campaigns.
        codes: The campaigns' codes in the estimates, in the order of the classic rows.
        rules: Confidence and minimum recipients.
    """
    if not len(codes):
        return frames.LIFTS.empty().assign(
            **dict.fromkeys(("campaign_code", "metric_code", "n_measured"), 0)
        )
    n_metrics = estimates.study.n_metrics
    every = [method for method in ORDER if method != "classic"]
    parts = [_rows(classic, estimates, codes, rules, method=method) for method in every]
    chosen = [
        choose(
            {method: estimates.contrasts[method][code] for method in ORDER},
            is_triggered=estimates.study.is_triggered(code),
        )[0]
        for code in codes
    ]
    table = pd.concat([classic.assign(se_scale=1.0, support=1.0), *parts], ignore_index=True)
    headline = np.repeat(chosen, n_metrics)
    n_methods = len(every) + 1
    table["headline"] = table["method"].to_numpy() == np.tile(headline, n_methods)
    order = {method: place for place, method in enumerate(ORDER)}
    table["method_code"] = table["method"].map(order)
    table = table.sort_values(["campaign_code", "metric_code", "method_code"], ignore_index=True)
    return _with_incremental(table, rules)


def _rows(
    classic: pd.DataFrame,
    estimates: Estimates,
    codes: NDArray[np.int64],
    rules: Rules,
    *,
    method: str,
) -> pd.DataFrame:
    contrasts = [estimates.contrasts[method][code] for code in codes]
    scales = np.array([estimates.se_scale(code, method) for code in codes])
    said = _said(contrasts, scales, rules)
    n_metrics = estimates.study.n_metrics

    def flat(values: Floats) -> Floats:
        return np.asarray(values, dtype=np.float64).reshape(-1)

    def each(values: Sequence[float]) -> Floats:
        return np.repeat(np.asarray(values), n_metrics)

    df = np.stack([one.df for one in contrasts]) if contrasts else np.empty((0, n_metrics))
    letters = [evidence(method, scale) for scale in scales]
    table = classic.assign(
        method=pd.array([method] * len(classic), dtype="str"),
        evidence=pd.array(np.repeat(np.array(letters, dtype=object), n_metrics), dtype="str"),
        n_users=each([one.n_users for one in contrasts]).astype(np.int64),
        n_comparison=each([one.n_comparison for one in contrasts]).astype(np.int64),
        post_rate=flat(np.array([one.post for one in contrasts])),
        expected_rate=flat(np.array([one.expected for one in contrasts])),
        effect_size=flat(said.effect_size),
        effect_size_ci_low=flat(said.ci_low),
        effect_size_ci_high=flat(said.ci_high),
        rel_effect_size=flat(said.relative.estimate),
        rel_effect_size_ci_low=flat(said.relative.ci_low),
        rel_effect_size_ci_high=flat(said.relative.ci_high),
        statistic=flat(said.statistic),
        df=flat(df),
        pvalue=flat(said.pvalue),
        standard_error=flat(said.standard_error),
        detectable_effect_size=flat(mde(said.standard_error, np.maximum(df, 1))),
        support=each([one.support for one in contrasts]),
        se_scale=each(list(scales)),
        effect_size_std=np.nan,
        mean_user_effect=np.nan,
        median_user_effect=np.nan,
        sd_user_effect=np.nan,
        n_dropped=0,
        qvalue=np.nan,
        family=pd.Series(pd.NA, classic.index, dtype="str"),
    )
    table["status"] = _statuses(classic, contrasts, said, rules)
    blank = ~table["status"].isin(["ok", "window_open", "baseline_near_zero", "no_variation"])
    table.loc[blank, list(_NUMBERS)] = np.nan
    return table


def _said(contrasts: Sequence[Contrast], scales: Floats, rules: Rules) -> Inference:
    var_post, var_expected, cov = moments(contrasts)
    wider = (scales**2)[:, None]
    return infer(
        np.stack([one.post for one in contrasts]),
        np.stack([one.expected for one in contrasts]),
        var_post=var_post * wider,
        var_expected=var_expected * wider,
        cov=cov * wider,
        df=np.stack([one.df for one in contrasts]),
        confidence_level=rules.confidence_level,
    )


def _statuses(
    classic: pd.DataFrame, contrasts: Sequence[Contrast], said: Inference, rules: Rules
) -> pd.Series:
    """Say why a number is missing or provisional; the first reason counts."""
    n_metrics = said.effect_size.shape[1]
    own = np.repeat(np.array([one.status for one in contrasts], dtype=object), n_metrics)
    adequacy = sample_adequacy(
        classic["n_users"].to_numpy(),
        classic["n_events_post"].to_numpy(),
        n_events_baseline=classic["n_events_baseline"].to_numpy(),
        post_days=rules.lengths.post_ms / MS_PER_DAY,
        baseline_days=rules.lengths.baseline_days,
    )
    reasons = [
        (own == INCOMPLETE, INCOMPLETE),
        (classic["n_users"] == 0, "no_recipients"),
        (classic["n_users"] < rules.min_recipients, "too_few_users"),
        (own != "ok", own),
        (adequacy.test == "none", "too_little_data"),
        (classic["status"] == "window_open", "window_open"),
        (~said.relative.is_bounded.reshape(-1), "baseline_near_zero"),
        (np.isnan(said.standard_error).reshape(-1), "no_variation"),
    ]
    names = [np.asarray(name, dtype=object) for _, name in reasons]
    found = np.select([np.asarray(where) for where, _ in reasons], names, default="ok")
    return pd.Series(found, index=classic.index, dtype="str")


def _with_incremental(table: pd.DataFrame, rules: Rules) -> pd.DataFrame:
    """Add the events because of the push: effect x measured users x days of a closed window."""
    person_days = table["n_measured"] * rules.lengths.post_ms / MS_PER_DAY
    person_days = person_days.where(table["status"] != "window_open")
    more = {
        f"incremental_events{part}": table[f"effect_size{part}"] * person_days
        for part in ("", "_ci_low", "_ci_high")
    }
    return table.assign(**more)

"""The lifts table: one row per campaign, metric and method."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.extensions import ExtensionArray

from core import frames
from core.measure.multiplicity import bh_qvalues
from core.measure.paired import (
    Moments,
    PairedEffects,
    effect_columns,
    first_reason,
    group_moments,
    paired_effects,
    sums,
)
from core.measure.panel import Panel, Rules, UserRates
from core.measure.ratios import Floats

CLASSIC, CLASSIC_EVIDENCE = "classic", "E"
PRIMARY, SECONDARY = "primary", "secondary"
TESTED = ("ok", "no_baseline_events", "baseline_near_zero")
"""Statuses whose p-value stands; the others leave the family before p is seen."""

_INFERRED = (
    "expected_rate", "effect_size", "effect_size_ci_low", "effect_size_ci_high",
    "rel_effect_size", "rel_effect_size_ci_low", "rel_effect_size_ci_high",
    "statistic", "df", "pvalue", "effect_size_std",
    "mean_user_effect", "median_user_effect", "sd_user_effect", "standard_error",
)  # fmt: skip


def classic_lifts(
    panel: Panel, rates: Sequence[UserRates], campaigns: pd.DataFrame, rules: Rules
) -> pd.DataFrame:
    """Return the classic paired comparison of every campaign and metric.

    Args:
        panel: The measured pushes; campaign codes are positions in `campaigns`.
        rates: Each push's rates, one entry per metric of the panel.
        campaigns: frames.CAMPAIGNS, one row per campaign.
        rules: Confidence and minimum recipients.

    Returns:
        frames.LIFTS, campaigns in their order, metrics in theirs, q-values filled in.
    """
    parts = [
        _of_metric(panel, of_metric, campaigns, rules, metric=metric)
        for metric, of_metric in enumerate(rates)
    ]
    table = pd.concat(parts, ignore_index=True)
    table = table.sort_values(["campaign_code", "metric_code"], ignore_index=True)
    return frames.LIFTS.checked(with_qvalues(table, primary=panel.metric_names[0]))


def with_qvalues(lifts: pd.DataFrame, *, primary: str) -> pd.DataFrame:
    """Return lifts with q-values within two families of each method.

    The primary family holds the primary metric of every campaign, decided before looking; the
    secondary one holds all metrics of all campaigns. A row of the primary metric carries the
    q-value of the primary family, any other row that of the secondary one.
    """
    lifts = lifts.assign(qvalue=np.nan, family=pd.Series(pd.NA, lifts.index, dtype="str"))
    tested = lifts["status"].isin(TESTED) & lifts["pvalue"].notna()
    for rows in lifts[tested].groupby("method").groups.values():
        is_primary = lifts.loc[rows, "metric"] == primary
        for family, members in ((SECONDARY, rows), (PRIMARY, rows[is_primary])):
            carriers = members if family == PRIMARY else rows[~is_primary]
            adjusted = pd.Series(bh_qvalues(lifts.loc[members, "pvalue"].to_numpy()), members)
            lifts.loc[carriers, "qvalue"] = adjusted[carriers]
            lifts.loc[carriers, "family"] = family
    return lifts


def _of_metric(
    panel: Panel, rates: UserRates, campaigns: pd.DataFrame, rules: Rules, *, metric: int
) -> pd.DataFrame:
    used = rates.is_used
    moments = group_moments(
        rates.base[used], rates.post[used], panel.campaigns[used], panel.n_campaigns
    )
    effects = paired_effects(moments, confidence_level=rules.confidence_level)
    table = pd.DataFrame(
        {
            "campaign_code": np.arange(panel.n_campaigns),
            "metric_code": metric,
            "campaign_id": campaigns["campaign_id"].array,
            "layer": campaigns["layer"].array,
            "metric": pd.array([panel.metric_names[metric]] * len(campaigns), dtype="str"),
            "method": pd.array([CLASSIC] * len(campaigns), dtype="str"),
            "evidence": pd.array([CLASSIC_EVIDENCE] * len(campaigns), dtype="str"),
            "headline": True,
            "n_users": moments.n.astype(np.int64),
            "n_comparison": np.zeros(panel.n_campaigns, dtype=np.int64),
            "confidence_level": rules.confidence_level,
            "status": _statuses(panel, moments, effects, rules),
            "n_dropped": _per_campaign(panel, rates.is_touched),
            "n_events_baseline": _per_campaign(panel, panel.counts.n_aligned[:, metric] * used),
            "n_events_post": _per_campaign(panel, panel.counts.n_post[:, metric] * used),
            "effect_size_std": effects.effect_size_std,
            "mean_user_effect": effects.effect_size,
            "median_user_effect": _medians(panel, rates),
            "sd_user_effect": effects.sd_diff,
            **effect_columns(moments, effects),
        }
    )
    is_blank = table["status"].isin(["too_few_users", "no_recipients"])
    table.loc[is_blank, list(_INFERRED)] = np.nan
    return table


def _statuses(
    panel: Panel, moments: Moments, effects: PairedEffects, rules: Rules
) -> ExtensionArray:
    """Say of each campaign why a number is missing or provisional; the first reason counts."""
    return first_reason(
        {
            "no_recipients": moments.n == 0,
            "too_few_users": moments.n < rules.min_recipients,
            "window_open": _per_campaign(panel, panel.is_open) > 0,
            "no_baseline_events": moments.base == 0,
            "baseline_near_zero": ~effects.relative.is_bounded,
            "no_variation": effects.sd_diff == 0,
        }
    )


def _medians(panel: Panel, rates: UserRates) -> Floats:
    medians = np.full(panel.n_campaigns, np.nan)
    difference = rates.post - rates.base
    for code, rows in enumerate(panel.segments):
        used = rates.is_used[rows]
        if used.any():
            medians[code] = np.median(difference[rows][used])
    return medians


def _per_campaign(panel: Panel, values: NDArray[np.generic]) -> NDArray[np.int64]:
    return np.rint(sums(values, panel.campaigns, panel.n_campaigns)).astype(np.int64)

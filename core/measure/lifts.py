"""The lifts table: one row per campaign, metric and method."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.extensions import ExtensionArray
from scipy.special import stdtrit

from core.measure.contrasts import VERDICT_EVIDENCE
from core.measure.holes import INCOMPLETE
from core.measure.multiplicity import FALSE_DISCOVERY_RATE, bh_qvalues, drill_down, fcr_level
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


_COUNTED = ("baseline_rate", "post_rate")
_EVENTS = ("n_events_baseline", "n_events_post")


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
        The columns of frames.LIFTS that this method has, with `campaign_code`, `metric_code` and
        `n_measured`; campaigns in their order, metrics in theirs.
    """
    parts = [
        _of_metric(panel, of_metric, campaigns, rules, metric=metric)
        for metric, of_metric in enumerate(rates)
    ]
    table = pd.concat(parts, ignore_index=True)
    return table.sort_values(["campaign_code", "metric_code"], ignore_index=True)


def with_qvalues(lifts: pd.DataFrame, *, primary: str, control: str | None = None) -> pd.DataFrame:
    """Return lifts with q-values: two families of the headline, two of each method.

    The primary family holds the primary metric of every campaign, decided before looking; the
    secondary one holds all metrics of all campaigns. A row of the primary metric carries the
    q-value of the primary family, any other row that of the secondary one. Headline rows are
    corrected among headline rows, the others among all rows of their method; what is not
    identified, not closed or has too little data leaves its family before p is seen, and so does
    the negative control, a metric that nobody asks about.
    """
    lifts = lifts.assign(qvalue=np.nan, family=pd.Series(pd.NA, lifts.index, dtype="str"))
    is_asked = lifts["metric"] != (control or "")
    is_tested = (lifts["status"].isin(TESTED) & lifts["pvalue"].notna() & is_asked).to_numpy()
    is_head = (lifts["headline"] & lifts["evidence"].isin(VERDICT_EVIDENCE)).to_numpy()
    families = {method: (lifts["method"] == method).to_numpy() for method in set(lifts["method"])}
    for members, carriers in [
        *((of_method, of_method & ~is_head) for of_method in families.values()),
        (is_head, is_head),
    ]:
        lifts = _corrected(lifts, members & is_tested, carriers & is_tested, primary)
    return lifts


def _corrected(
    lifts: pd.DataFrame,
    members: NDArray[np.bool_],
    carriers: NDArray[np.bool_],
    primary: str,
) -> pd.DataFrame:
    is_primary = (lifts["metric"] == primary).to_numpy()
    for family, among in ((SECONDARY, members), (PRIMARY, members & is_primary)):
        adjusted = np.full(len(lifts), np.nan)
        adjusted[among] = bh_qvalues(lifts["pvalue"].to_numpy()[among])
        carried = carriers & (is_primary == (family == PRIMARY))
        lifts.loc[carried, "qvalue"] = adjusted[carried]
        lifts.loc[carried, "family"] = family
    return lifts


def with_selection(lifts: pd.DataFrame, *, primary: str) -> pd.DataFrame:
    """Return lifts that say which metrics stand out within selected campaigns, and how wide.

    `is_selected`: rejected by the drill-down within campaigns whose primary metric is clear;
    `selected_ci_*`: the effect's interval at the level at which intervals of selected rows miss
    as often as they say (Benjamini and Yekutieli 2005).
    """
    heads = lifts["headline"] & lifts["qvalue"].notna()
    heads &= lifts["evidence"].isin(VERDICT_EVIDENCE)
    table = lifts[heads].pivot_table(
        index="campaign_code", columns="metric", values="pvalue", dropna=False
    )
    more = {"is_selected": np.zeros(len(lifts), dtype=bool)}
    more |= {f"selected_ci_{side}": np.full(len(lifts), np.nan) for side in ("low", "high")}
    if primary in table:
        chosen = drill_down(table[primary].to_numpy(), table.to_numpy(), FALSE_DISCOVERY_RATE)
        row = table.index.get_indexer(pd.Index(lifts["campaign_code"]))
        column = table.columns.get_indexer(pd.Index(lifts["metric"]))
        more["is_selected"] = chosen[row, column] & (row >= 0) & (column >= 0) & heads.to_numpy()
        n = int(more["is_selected"].sum())
        if n:
            level = fcr_level(n, int(heads.sum()), FALSE_DISCOVERY_RATE)
            df = np.maximum(lifts["df"].fillna(1).to_numpy(), 1)
            half = stdtrit(df, (1 + level) / 2) * lifts["standard_error"].to_numpy()
            for side, sign in (("low", -1), ("high", 1)):
                wide = lifts["effect_size"].to_numpy() + sign * half
                more[f"selected_ci_{side}"] = np.where(more["is_selected"], wide, np.nan)
    return lifts.assign(**more)


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
            "n_measured": campaigns["n_measured"].to_numpy(),
            "metric": pd.array([panel.metric_names[metric]] * len(campaigns), dtype="str"),
            "method": pd.array([CLASSIC] * len(campaigns), dtype="str"),
            "evidence": pd.array([CLASSIC_EVIDENCE] * len(campaigns), dtype="str"),
            "headline": True,
            "n_users": moments.n.astype(np.int64),
            "n_comparison": np.zeros(panel.n_campaigns, dtype=np.int64),
            "confidence_level": rules.confidence_level,
            "status": _statuses(panel, moments, effects, rules, campaigns),
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
    is_blank = table["status"].isin(["too_few_users", "no_recipients", INCOMPLETE])
    table.loc[is_blank, list(_INFERRED)] = np.nan
    is_lacking = table["status"] == INCOMPLETE
    table.loc[is_lacking, list(_COUNTED)] = np.nan
    table.loc[is_lacking, list(_EVENTS)] = 0
    return table


def _statuses(
    panel: Panel, moments: Moments, effects: PairedEffects, rules: Rules, campaigns: pd.DataFrame
) -> ExtensionArray:
    """Say of each campaign why a number is missing or provisional; the first reason counts."""
    return first_reason(
        {
            INCOMPLETE: (campaigns["status"] == INCOMPLETE).to_numpy(dtype=bool),
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

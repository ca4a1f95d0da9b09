"""Layers: many campaigns that share users, pooled without counting anybody twice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core import frames
from core.activity.timelines import MS_PER_DAY
from core.measure.holes import INCOMPLETE
from core.measure.lifts import CLASSIC, CLASSIC_EVIDENCE
from core.measure.paired import (
    Codes,
    Moments,
    clustered_moments,
    effect_columns,
    first_reason,
    paired_effects,
)
from core.measure.panel import Panel, Rules, UserRates
from core.measure.ratios import Floats

ALL = "all"
_GROUPS = (*frames.LAYERS, ALL)


def classic_layers(
    panel: Panel,
    rates: Sequence[UserRates],
    campaigns: pd.DataFrame,
    rules: Rules,
) -> pd.DataFrame:
    """Return the pooled classic comparison of each layer, and of all, for every metric.

    The effect is the mean over the pushes of campaigns that qualify and whose windows have
    closed; its variance is clustered by person, because the same people are in many campaigns
    (treating campaigns as independent covers 54 to 61 % instead of 95 %).

    Args:
        panel: The measured pushes; campaign codes are positions in `campaigns`.
        rates: Each push's rates, one entry per metric of the panel.
        campaigns: frames.CAMPAIGNS.
        rules: Confidence and minimum recipients.
    """
    is_pooled = can_pool(campaigns)
    layer = pd.Categorical(campaigns["layer"], categories=_GROUPS).codes.astype(np.int64)
    parts = [
        _of_metric(panel, of_metric, rules, metric=metric, layer=layer, is_pooled=is_pooled)
        for metric, of_metric in enumerate(rates)
    ]
    table = pd.concat(parts, ignore_index=True)
    present = set(campaigns["layer"]) | {ALL}
    return table[table["layer"].isin(present)].reset_index(drop=True)


def can_pool(campaigns: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which campaigns enter a pool: enough measured, windows closed, all of it known."""
    known = campaigns["status"] != INCOMPLETE
    pooled: NDArray[np.bool_] = (
        campaigns["qualifies"] & campaigns["window_complete"] & known
    ).to_numpy(dtype=bool)
    return pooled


def _of_metric(
    panel: Panel,
    rates: UserRates,
    rules: Rules,
    *,
    metric: int,
    layer: Codes,
    is_pooled: NDArray[np.bool_],
) -> pd.DataFrame:
    rows = np.flatnonzero(rates.is_used & is_pooled[panel.campaigns])
    twice = np.concatenate([rows, rows])  # once for its layer, once for all
    groups = np.concatenate(
        [layer[panel.campaigns[rows]], np.full(len(rows), len(_GROUPS) - 1, dtype=np.int64)]
    )
    moments, persons = clustered_moments(
        rates.base[twice], rates.post[twice], groups, panel.persons[twice], len(_GROUPS)
    )
    table = pooled(moments, persons, rules)
    events = table["n_pushes"] * rules.lengths.post_ms / MS_PER_DAY
    for part in ("", "_ci_low", "_ci_high"):
        table[f"incremental_events{part}"] = table[f"effect_size{part}"] * events
    table["layer"] = pd.array(_GROUPS, dtype="str")
    table["metric"] = pd.array([panel.metric_names[metric]] * len(_GROUPS), dtype="str")
    of_layer = layer[np.unique(panel.campaigns[rows])]
    table["n_campaigns"] = [
        int((of_layer == g).sum()) if name != ALL else len(of_layer)
        for g, name in enumerate(_GROUPS)
    ]
    return table


def pooled(moments: Moments, persons: Floats, rules: Rules) -> pd.DataFrame:
    """Return the pooled classic comparison of groups of pushes, one row per group.

    Args:
        moments: As `clustered_moments` gives them; n counts pushes.
        persons: Distinct persons of each group, less one the degrees of freedom.
        rules: Confidence and minimum recipients.
    """
    effects = paired_effects(moments, confidence_level=rules.confidence_level, df=persons - 1)
    status = first_reason(
        {
            "no_campaigns": moments.n == 0,
            "too_few_users": persons < rules.min_recipients,
            "no_baseline_events": moments.base == 0,
            "baseline_near_zero": ~effects.relative.is_bounded,
        }
    )
    n = len(persons)
    return pd.DataFrame(
        {
            "method": pd.array([CLASSIC] * n, dtype="str"),
            "evidence": pd.array([CLASSIC_EVIDENCE] * n, dtype="str"),
            "n_pushes": moments.n.astype(np.int64),
            "n_users": persons.astype(np.int64),
            "confidence_level": rules.confidence_level,
            "status": status,
            **effect_columns(moments, effects),
        }
    )

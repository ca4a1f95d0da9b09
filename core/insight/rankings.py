"""The best campaigns of a metric, by the certainty, the size and the use of their effects.

One rule orders them. Campaigns clear above zero (q at most 5 % within their family, the interval
leaves out zero) come first; within both kinds the better median rank of the shrunk effect does;
where that is the same, more events the send added. What is clear below zero is never among the
best. A campaign whose effect could not be drawn towards its layer has no rank and comes last.

Ranks come from joint draws of all campaigns' effects, each drawn towards its own layer: people in
several campaigns, of one layer or of two, count once (core/measure/layered.py). The rank within a
layer and the rank among all are taken from the same draws. Campaigns enter once their windows are
closed and with evidence of grade A to C.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from core.frames import LAYERS
from core.insight.decisions import is_clear
from core.insight.frames import RANKINGS
from core.insight.standings import Standing
from core.measure.contrasts import VERDICT_EVIDENCE
from core.measure.lifts import TESTED
from core.measure.pooling import ALL, can_pool
from core.measure.ranks import ranks

PLACES = 10
_ENDS = ("", "_ci_low", "_ci_high")
_KEPT = [
    "campaign_id", "layer", "metric", "confidence_level", "is_clear",
    *(f"shrunk_rel_effect_size{end}" for end in _ENDS),
    *(f"incremental_events{end}" for end in _ENDS),
]  # fmt: skip


def rankings(
    lifts: pd.DataFrame,
    campaigns: pd.DataFrame,
    standing: Mapping[str, Standing],
    *,
    per_event: Mapping[str, float],
    control: str | None = None,
) -> pd.DataFrame:
    """Return the ten best campaigns of each layer and of all, per metric.

    Args:
        lifts: frames.LIFTS; the headline rows are read.
        campaigns: frames.CAMPAIGNS.
        standing: Metric -> joint draws.
        per_event: Metric -> what one event is worth, in money.
        control: A metric that pushes cannot move; it is not ranked.

    Returns:
        RANKINGS.
    """
    rows = _eligible(lifts, campaigns, control)
    if rows.empty:
        return RANKINGS.empty()
    worth = rows["metric"].map(dict(per_event)).astype("float64")
    for end in _ENDS:
        rows[f"value{end}"] = rows[f"incremental_events{end}"] * worth
    parts = [
        _best(own, layer, standing.get(str(metric)))
        for metric, of_metric in rows.groupby("metric", sort=False)
        for layer, own in _layers(of_metric)
    ]
    return RANKINGS.checked(pd.concat(parts, ignore_index=True))


def _eligible(lifts: pd.DataFrame, campaigns: pd.DataFrame, control: str | None) -> pd.DataFrame:
    closed = campaigns["campaign_id"][can_pool(campaigns)]
    rows = lifts[
        lifts["headline"]
        & lifts["evidence"].isin(VERDICT_EVIDENCE)
        & lifts["status"].isin(TESTED)
        & lifts["campaign_id"].isin(closed)
        & (lifts["metric"] != (control or ""))
    ]
    rows = rows[~is_clear(rows, sign=-1)]
    return rows.assign(is_clear=is_clear(rows, sign=1))[_KEPT]


def _layers(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    own = [(layer, rows[rows["layer"] == layer]) for layer in LAYERS]
    return [(layer, some) for layer, some in [*own, (ALL, rows)] if len(some)]


def _best(rows: pd.DataFrame, layer: str, standing: Standing | None) -> pd.DataFrame:
    """Return one ranking, at most ten places."""
    rows = rows.merge(
        _ranked(standing, layer, float(rows["confidence_level"].iloc[0])),
        on="campaign_id", how="left",
    )  # fmt: skip
    ordered = rows.sort_values(
        ["is_clear", "rank", "incremental_events", "campaign_id"],
        ascending=[False, True, False, True],
        na_position="last",
    ).head(PLACES)
    return ordered.assign(
        layer=pd.array([layer] * len(ordered), dtype="str"),
        place=np.arange(1, len(ordered) + 1, dtype=np.int64),
    )


def _ranked(standing: Standing | None, layer: str, confidence_level: float) -> pd.DataFrame:
    """Return the ranks of a layer's campaigns among themselves, or of all."""
    chosen = np.flatnonzero([] if standing is None else (standing.layers == layer) | (layer == ALL))
    if standing is None or not len(chosen):
        nothing = pd.Series(dtype="float64")
        return pd.DataFrame(
            {"campaign_id": pd.Series(dtype="str")}
            | dict.fromkeys(("rank", "rank_low", "rank_high"), nothing)
        )
    said = ranks(standing.draws[:, chosen], confidence_level=confidence_level)
    return pd.DataFrame(
        {
            "campaign_id": standing.campaign_ids[chosen],
            "rank": said.median_rank,
            "rank_low": said.rank_low,
            "rank_high": said.rank_high,
        }
    )

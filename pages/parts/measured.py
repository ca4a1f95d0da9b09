"""From what was read and what was chosen to what is shown. Knows no Streamlit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from core import pipeline
from core.measure.around import activity_around
from core.measure.multiplicity import FALSE_DISCOVERY_RATE
from core.measure.panel import Rules
from core.measure.pooling import ALL
from core.measure.weekly import weekly_lifts
from core.pipeline import Loaded
from core.settings import Outliers
from pages.parts.choices import Choices, Period

_DAYS_BEFORE = 7


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """What one choice of campaigns and rules gave, without the counts it rests on.

    Attributes:
        campaigns: frames.CAMPAIGNS.
        lifts: frames.LIFTS.
        layers: frames.LAYER_LIFTS.
        weeks: As `weekly_lifts`, every metric.
        n_people: Distinct persons measured.
        min_recipients: Measured users a campaign needed.
        key: What tells it from every other one in this process.
    """

    campaigns: pd.DataFrame
    lifts: pd.DataFrame
    layers: pd.DataFrame
    weeks: pd.DataFrame
    n_people: int
    min_recipients: int
    key: str


def rules_of(loaded: Loaded, choices: Choices, *, outliers: Outliers | None = None) -> Rules:
    """Return how to measure what was chosen, where wanted under another outlier rule."""
    return Rules(
        lengths=loaded.lengths,
        confidence_level=choices.confidence_level,
        min_recipients=choices.min_recipients,
        outliers=outliers or choices.outliers,
    )


def measure(loaded: Loaded, rules: Rules, campaign_ids: pd.Index, *, key: str) -> Measured:
    """Return what the given campaigns gave, under a key of the caller's."""
    results = pipeline.measure(loaded, rules, campaign_ids=campaign_ids)
    zone = loaded.wiring.settings.analysis.timezone
    return Measured(
        campaigns=results.campaigns,
        lifts=results.lifts,
        layers=results.layers,
        weeks=weekly_lifts(results.panel, results.campaigns, rules, timezone=zone),
        n_people=len(np.unique(results.panel.persons)),
        min_recipients=rules.min_recipients,
        key=key,
    )


def ids_in(loaded: Loaded, period: Period, layers: tuple[str, ...]) -> pd.Index:
    """Return the campaigns of a period and of some layers.

    A campaign of which nothing was delivered has no instant: it shows where the period is all
    that was read.
    """
    campaigns = loaded.campaigns
    first = campaigns["first_delivered_at"]
    is_in = (first >= period.since) & (first < period.until)
    if period.since <= loaded.span.since and period.until >= loaded.span.until:
        is_in |= first.isna()
    ids: pd.Index = pd.Index(campaigns["campaign_id"][is_in & campaigns["layer"].isin(layers)])
    return ids


def narrowed(whole: Measured, part: Measured, layers: tuple[str, ...]) -> Measured:
    """Return some layers of a period: single campaigns as in the whole, sums over the part.

    Args:
        whole: Every campaign of the period; its q-values stand, whatever layers are looked at.
        part: Only the campaigns of these layers.
        layers: The layers.
    """
    lifts = whole.lifts[whole.lifts["layer"].isin(layers)].reset_index(drop=True)
    pooled = part.layers[part.layers["layer"] == ALL]
    single = whole.layers[whole.layers["layer"].isin(layers)]
    return replace(
        part,
        campaigns=whole.campaigns[whole.campaigns["layer"].isin(layers)].reset_index(drop=True),
        lifts=lifts,
        layers=pd.concat([single, _recounted(pooled, lifts)], ignore_index=True),
        key=f"{whole.key} {layers}",
    )


def around(
    loaded: Loaded, rules: Rules, campaign_id: str, metric: str, *, bin_hours: int
) -> pd.DataFrame:
    """Return what a campaign's recipients did around their push, as `activity_around`.

    Args:
        loaded: What was read.
        rules: Whose windows say how far to look on.
        campaign_id: The campaign.
        metric: The metric.
        bin_hours: Length of a bin, a divisor of 24.
    """
    panel = pipeline.measure(loaded, rules, campaign_ids=pd.Index([campaign_id])).panel
    days_after = -(-rules.lengths.post_hours // 24)
    return activity_around(
        panel.index,
        panel.sends,
        events=panel.metric_events[panel.metric_names.index(metric)],
        bin_hours=bin_hours,
        hours_before=24 * min(_DAYS_BEFORE, rules.lengths.baseline_days),
        hours_after=24 * days_after,
    )


def _recounted(pooled: pd.DataFrame, lifts: pd.DataFrame) -> pd.DataFrame:
    """Count clear campaigns by the q-values that are shown."""
    clear = lifts[lifts["headline"] & (lifts["qvalue"] <= FALSE_DISCOVERY_RATE)]
    above = clear["metric"][clear["effect_size"] > 0].value_counts()
    below = clear["metric"][clear["effect_size"] < 0].value_counts()
    return pooled.assign(
        n_above=pooled["metric"].map(above).fillna(0).astype("int64"),
        n_below=pooled["metric"].map(below).fillna(0).astype("int64"),
    )

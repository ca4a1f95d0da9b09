"""From what was read and what was chosen to what is shown. Knows no Streamlit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from core import pipeline
from core.activity.timelines import MS_PER_DAY
from core.frames import INSTANT
from core.health.recorder import Recorder
from core.loading import Loaded
from core.measure.around import activity_around
from core.measure.estimates import Estimates
from core.measure.multiplicity import FALSE_DISCOVERY_RATE
from core.measure.panel import Rules
from core.measure.pooling import ALL
from core.measure.weekly import weekly_lifts
from core.sections import Outliers
from pages.parts.choices import Choices, Period
from pages.parts.weeks import headline_weeks

_DAYS_BEFORE = 7


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Read:
    """What was read, and what every method says of all of it.

    Attributes:
        loaded: What was read.
        estimates: Of every campaign; independent of confidence, minimum, period and layers.
        is_capped: The estimates cap every window at one common value.
        recorder: What timed the reading.
    """

    loaded: Loaded
    estimates: Estimates
    is_capped: bool
    recorder: Recorder


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """What one choice of campaigns and rules gave, without the counts it rests on.

    Attributes:
        campaigns: frames.CAMPAIGNS.
        lifts: frames.LIFTS.
        layers: frames.LAYER_LIFTS.
        contrasts: frames.LAYER_CONTRASTS.
        checks: frames.CHECKS.
        weeks: As `weekly_lifts`, every metric, by "headline" and by "classic".
        n_people: Distinct persons measured.
        min_recipients: Measured users a campaign needed.
        key: What tells it from every other one in this process.
    """

    campaigns: pd.DataFrame
    lifts: pd.DataFrame
    layers: pd.DataFrame
    contrasts: pd.DataFrame
    checks: pd.DataFrame
    weeks: pd.DataFrame
    n_people: int
    min_recipients: int
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Individual:
    """Recipients' own percent changes.

    Attributes:
        n_users: Recipients with events before.
        share_excluded: Share of the recipients who had none.
        mean: Of the percentages, as a fraction; NaN where there are none.
        median: The same.
    """

    n_users: int
    share_excluded: float
    mean: float
    median: float


def is_capping(outliers: Outliers) -> bool:
    """Say whether a rule caps windows; the rules that drop users act on before and after alone."""
    return outliers == "winsorize"


def estimated(loaded: Loaded, *, outliers: Outliers, recorder: Recorder) -> Read:
    """Return a load with every method's estimates under an outlier rule: the slow part."""
    rule: Outliers = "winsorize" if is_capping(outliers) else "keep"
    estimates = pipeline.estimates_of(loaded, loaded.lengths, rule, on_progress=recorder)
    return Read(
        loaded=loaded, estimates=estimates, is_capped=is_capping(outliers), recorder=recorder
    )


def rules_of(loaded: Loaded, choices: Choices) -> Rules:
    """Return how to measure what was chosen."""
    return Rules(
        lengths=loaded.lengths,
        confidence_level=choices.confidence_level,
        min_recipients=choices.min_recipients,
        outliers=choices.outliers,
    )


def measure(read: Read, rules: Rules, campaign_ids: pd.Index, *, key: str) -> Measured:
    """Return what the given campaigns gave, under a key of the caller's."""
    loaded = read.loaded
    results = pipeline.measure(loaded, rules, campaign_ids=campaign_ids, estimates=read.estimates)
    codes = np.flatnonzero(loaded.campaigns["campaign_id"].isin(campaign_ids))
    zone = loaded.wiring.settings.analysis.timezone
    return Measured(
        campaigns=results.campaigns,
        lifts=results.lifts,
        layers=results.layers,
        contrasts=results.contrasts,
        checks=results.checks[results.checks["layer"].isin(results.campaigns["layer"])],
        weeks=_weeks(
            headline_weeks(results, read.estimates, codes, timezone=zone),
            weekly_lifts(results.panel, results.campaigns, rules, timezone=zone),
        ),
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
    both = whole.contrasts["layer"].isin(layers) & whole.contrasts["other_layer"].isin(layers)
    return replace(
        part,
        contrasts=whole.contrasts[both].reset_index(drop=True),
        checks=whole.checks[whole.checks["layer"].isin(layers)].reset_index(drop=True),
        campaigns=whole.campaigns[whole.campaigns["layer"].isin(layers)].reset_index(drop=True),
        lifts=lifts,
        layers=pd.concat([single, _recounted(pooled, lifts)], ignore_index=True),
        key=f"{whole.key} {layers}",
    )


def alone(among: Measured, campaign_id: str) -> Measured:
    """Return one campaign as measured among others, with its layer and that layer's checks."""

    def own(frame: pd.DataFrame, column: str, value: str) -> pd.DataFrame:
        return frame[frame[column] == value].reset_index(drop=True)

    campaigns = own(among.campaigns, "campaign_id", campaign_id)
    layer = str(campaigns["layer"].iloc[0])
    return replace(
        among,
        campaigns=campaigns,
        lifts=own(among.lifts, "campaign_id", campaign_id),
        layers=own(among.layers, "layer", layer),
        contrasts=among.contrasts.iloc[:0],
        checks=own(among.checks, "layer", layer),
        n_people=int(campaigns["n_measured"].iloc[0]),
        key=f"{among.key} {campaign_id}",
    )


def around(
    read: Read, rules: Rules, campaign_id: str, metric: str, *, bin_hours: int
) -> pd.DataFrame:
    """Return what a campaign's recipients did around their push, as `activity_around`.

    Args:
        read: What was read.
        rules: Whose windows say how far to look on.
        campaign_id: The campaign.
        metric: The metric.
        bin_hours: Length of a bin, a divisor of 24.
    """
    panel, sends = read.estimates.study.panel, read.estimates.study.panel.sends
    rows = panel.segments[read.estimates.study.campaign_ids.index(campaign_id)]
    own = replace(
        sends,
        persons=sends.persons[rows],
        instants=sends.instants[rows],
        signed_up=sends.signed_up[rows],
    )
    days_after = -(-rules.lengths.post_hours // 24)
    return activity_around(
        panel.index,
        own,
        events=panel.metric_events[panel.metric_names.index(metric)],
        bin_hours=bin_hours,
        hours_before=24 * min(_DAYS_BEFORE, rules.lengths.baseline_days),
        hours_after=24 * days_after,
    )


def individual(read: Read, campaign_id: str, metric: str) -> Individual:
    """Return the recipients' own percent changes of a metric, which only describe."""
    study = read.estimates.study
    panel, counts = study.panel, study.panel.counts
    rows = panel.segments[study.campaign_ids.index(campaign_id)]
    place = panel.metric_names.index(metric)
    before, days = counts.n_aligned[rows, place], counts.aligned_ms[rows] / MS_PER_DAY
    after, hours = counts.n_post[rows, place], counts.post_ms[rows] / MS_PER_DAY
    there = (days > 0) & (hours > 0)
    some = there & (before > 0)
    ratios = (after[some] / hours[some]) / (before[some] / days[some]) - 1
    is_any = bool(some.any())
    return Individual(
        n_users=int(some.sum()),
        share_excluded=float(1 - some.sum() / there.sum()) if there.any() else float("nan"),
        mean=float(ratios.mean()) if is_any else float("nan"),
        median=float(np.median(ratios)) if is_any else float("nan"),
    )


def _weeks(*parts: pd.DataFrame) -> pd.DataFrame:
    """Return weekly rows of several methods under each other, weeks in one zone."""
    same = [part.assign(week=part["week"].dt.tz_convert("UTC").astype(INSTANT)) for part in parts]
    return pd.concat(same, ignore_index=True)


def _recounted(pooled: pd.DataFrame, lifts: pd.DataFrame) -> pd.DataFrame:
    """Count clear campaigns by the q-values that are shown."""
    clear = lifts[lifts["headline"] & (lifts["qvalue"] <= FALSE_DISCOVERY_RATE)]
    above = clear["metric"][clear["effect_size"] > 0].value_counts()
    below = clear["metric"][clear["effect_size"] < 0].value_counts()
    return pooled.assign(
        n_above=pooled["metric"].map(above).fillna(0).astype("int64"),
        n_below=pooled["metric"].map(below).fillna(0).astype("int64"),
    )

"""The classic lift week by week: campaigns pooled by the week their first delivery falls in."""

from __future__ import annotations

import numpy as np
import pandas as pd

from core.activity.timelines import MS_PER_DAY
from core.measure.paired import Codes, clustered_moments
from core.measure.panel import Panel, Rules, UserRates, all_rates
from core.measure.pooling import can_pool, pooled

_MONDAY_MS = 4 * MS_PER_DAY  # 1970-01-05, the first Monday
_WEEK_MS = 7 * MS_PER_DAY


def weekly_lifts(
    panel: Panel, campaigns: pd.DataFrame, rules: Rules, *, timezone: str
) -> pd.DataFrame:
    """Return the pooled classic comparison of each week, for every metric.

    As in a layer, the campaigns that qualify and whose windows have closed are pooled over their
    pushes, with variances clustered by person.

    Args:
        panel: The measured pushes; campaign codes are positions in `campaigns`.
        campaigns: frames.CAMPAIGNS.
        rules: Confidence, minimum recipients, outlier rule.
        timezone: Weeks begin on its Mondays at midnight.

    Returns:
        One row per week with a pooled campaign and metric: `week` (instant of its start),
        `metric`, `method`, `evidence`, `n_campaigns`, `n_users` (distinct persons), the rates,
        the absolute and relative effect with intervals, `confidence_level`, `status`.
    """
    weeks, of_campaign = _weeks(campaigns, timezone)
    is_pooled = can_pool(campaigns) & (of_campaign >= 0)
    pushes = is_pooled[panel.campaigns]
    parts = [
        _of_metric(
            panel, rates, rules, metric=metric, groups=of_campaign, pushes=pushes, weeks=weeks
        )
        for metric, rates in enumerate(all_rates(panel, rules.outliers))
    ]
    table = pd.concat(parts, ignore_index=True)
    n_campaigns = np.bincount(of_campaign[is_pooled], minlength=len(weeks))
    table["n_campaigns"] = np.tile(n_campaigns, len(panel.metric_names)).astype(np.int64)
    return table[table["n_campaigns"] > 0].reset_index(drop=True)


def _weeks(campaigns: pd.DataFrame, timezone: str) -> tuple[pd.DatetimeIndex, Codes]:
    """Return the Mondays, local midnight, and each campaign's position in them, -1 for none."""
    first = campaigns["first_delivered_at"]
    local = first.dt.tz_convert(timezone).dt.tz_localize(None)
    known = local.notna().to_numpy()
    wall = local[known].to_numpy().astype("datetime64[ms]").astype(np.int64)
    monday = (wall - _MONDAY_MS) // _WEEK_MS * _WEEK_MS + _MONDAY_MS
    starts, codes = np.unique(monday, return_inverse=True)
    of_campaign = np.full(len(campaigns), -1, dtype=np.int64)
    of_campaign[known] = codes
    walls = pd.DatetimeIndex(starts.astype("datetime64[ms]"))
    # where a clock change skips or repeats midnight, the day's first instant is meant
    weeks = walls.tz_localize(timezone, ambiguous=True, nonexistent="shift_forward")
    return weeks, of_campaign


def _of_metric(
    panel: Panel,
    rates: UserRates,
    rules: Rules,
    *,
    metric: int,
    groups: Codes,
    pushes: np.ndarray[tuple[int], np.dtype[np.bool_]],
    weeks: pd.DatetimeIndex,
) -> pd.DataFrame:
    rows = np.flatnonzero(rates.is_used & pushes)
    moments, persons = clustered_moments(
        rates.base[rows],
        rates.post[rows],
        groups[panel.campaigns[rows]],
        panel.persons[rows],
        len(weeks),
    )
    return pooled(moments, persons, rules).assign(
        week=weeks, metric=pd.array([panel.metric_names[metric]] * len(weeks), dtype="str")
    )

"""Campaigns week by week by their best evidence. Knows no Streamlit."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.measure.estimates import Estimates
from core.measure.layers import HEADLINE, Member, members, pooled_members
from core.pipeline import Results


def headline_weeks(
    results: Results, estimates: Estimates, codes: NDArray[np.int64], *, timezone: str
) -> pd.DataFrame:
    """Return the pooled headline effect of each week, for every metric.

    As in a layer: the mean over pushes of campaigns that qualify and whose windows have closed,
    variances clustered by person.

    Args:
        results: What was computed.
        estimates: What it was computed from.
        codes: The campaigns' codes in the estimates, in the order of the results.
        timezone: Weeks begin on its Mondays at midnight.

    Returns:
        One row per week with a pooled campaign and metric, columns as `weekly_lifts`.
    """
    heads = members(_coded(results), results.campaigns, estimates, codes, method=HEADLINE)
    weeks = _mondays(results.campaigns["first_delivered_at"], timezone)
    parts = [
        _of_week([one for one in heads if weeks[one.position] == week], results, estimates, week)
        for week in sorted({weeks[one.position] for one in heads})
    ]
    return pd.concat(parts, ignore_index=True) if parts else _of_week([], results, estimates, None)


def _mondays(instants: pd.Series, timezone: str) -> list[pd.Timestamp]:
    local = instants.dt.tz_convert(timezone)
    days = local.dt.tz_localize(None).dt.normalize()
    mondays = days - pd.to_timedelta(local.dt.day_of_week, unit="D")
    return list(mondays.dt.tz_localize(timezone).dt.tz_convert("UTC"))


def _coded(results: Results) -> pd.DataFrame:
    ids = pd.Index(results.campaigns["campaign_id"])
    metrics = pd.Index(results.panel.metric_names)
    return results.lifts.assign(
        campaign_code=ids.get_indexer(pd.Index(results.lifts["campaign_id"])),
        metric_code=metrics.get_indexer(pd.Index(results.lifts["metric"])),
    )


def _of_week(
    found: list[Member], results: Results, estimates: Estimates, week: pd.Timestamp | None
) -> pd.DataFrame:
    table = pooled_members(found, estimates, results.rules, method=HEADLINE)
    table.insert(0, "week", pd.Series([week] * len(table), dtype="datetime64[ms, UTC]"))
    return table if found else table.iloc[:0]

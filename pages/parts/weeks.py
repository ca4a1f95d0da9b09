"""Campaigns week by week by their best evidence. Knows no Streamlit."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.measure.contrasts import infer
from core.measure.estimates import Estimates
from core.measure.influence import weighted_sum
from core.measure.layers import HEADLINE, Member, members
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
    metrics, rules = results.panel.metric_names, results.rules
    n_metrics = len(metrics)
    n_users = np.array([one.n_users for one in found], dtype=float)
    weights = n_users / max(n_users.sum(), 1.0)
    contrasts = [one.contrast for one in found]
    psi_post, psi_expected = weighted_sum(
        contrasts, weights, n_persons=len(estimates.study.signed_up), n_metrics=n_metrics
    )
    persons = int(((psi_post != 0) | (psi_expected != 0)).any(axis=1).sum())
    post, expected = (
        np.einsum("c,cm->m", weights, np.reshape(values, (len(found), n_metrics)))
        for values in ([one.post for one in contrasts], [one.expected for one in contrasts])
    )
    said = infer(
        post, expected, var_post=(psi_post**2).sum(axis=0),
        var_expected=(psi_expected**2).sum(axis=0), cov=(psi_post * psi_expected).sum(axis=0),
        df=np.full(n_metrics, float(max(persons - 1, 1))),
        confidence_level=rules.confidence_level,
    )  # fmt: skip
    table = pd.DataFrame(
        {
            "week": pd.Series([week] * n_metrics, dtype="datetime64[ms, UTC]"),
            "metric": list(metrics),
            "method": HEADLINE,
            "evidence": max((one.evidence for one in found), default="E"),
            "n_campaigns": len(found),
            "n_users": persons,
            "post_rate": post,
            "expected_rate": expected,
            "effect_size": said.effect_size,
            "effect_size_ci_low": said.ci_low,
            "effect_size_ci_high": said.ci_high,
            "rel_effect_size": said.relative.estimate,
            "rel_effect_size_ci_low": said.relative.ci_low,
            "rel_effect_size_ci_high": said.relative.ci_high,
            "confidence_level": rules.confidence_level,
            "status": np.where(said.relative.is_bounded, "ok", "baseline_near_zero"),
        }
    )
    return table if found else table.iloc[:0]

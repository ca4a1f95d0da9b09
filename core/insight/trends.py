"""The same automation over time: whether its sends do more or less than they used to.

log(post / expected) of each send ~ N(level + slope x week, tau^2), errors with the covariance
that shared people give them: core/measure/regression.py. What is shown is the slope of the
relative effect itself at the middle of the sends, exp(level) x (exp(slope) - 1).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from core.activity.timelines import MS_PER_DAY
from core.insight.frames import TRENDS
from core.measure.influence import log_ratio_influence
from core.measure.layers import Member
from core.measure.multiplicity import bh_qvalues
from core.measure.ratios import Floats
from core.measure.regression import combined, meta_regression

FEWEST_SENDS = 4
"""Two degrees of freedom are the least that leave an interval of any use."""
_NUMBERS = ("slope_per_week", "slope_per_week_ci_low", "slope_per_week_ci_high", "pvalue")


def trends(
    found: Sequence[Member],
    lifts: pd.DataFrame,
    campaigns: pd.DataFrame,
    *,
    n_persons: int,
    confidence_level: float,
    control: str | None = None,
) -> pd.DataFrame:
    """Return each automation's change of the relative effect per week, for every metric.

    Args:
        found: The headline's members; positions are rows of `campaigns`.
        lifts: frames.LIFTS of the same campaigns, metrics in the members' order.
        campaigns: frames.CAMPAIGNS.
        n_persons: Persons of the study.
        confidence_level: For example 0.95.
        control: A metric that pushes cannot move; it is left out.

    Returns:
        TRENDS: automations with two sends or more that could be pooled; q-values over the
        automations of a metric. A send too close to an expected rate of 0 is not counted.
    """
    heads = lifts[lifts["headline"]].pivot(
        index="campaign_id", columns="metric", values="shrunk_rel_effect_size"
    ).reindex(campaigns["campaign_id"])  # fmt: skip
    automation = campaigns["automation_id"].to_numpy(dtype=object)
    weeks = pd.DatetimeIndex(campaigns["first_delivered_at"]).as_unit("ms").asi8 / (7 * MS_PER_DAY)
    parts = []
    for metric, name in enumerate(dict.fromkeys(lifts["metric"])):
        carries = heads[name].notna().to_numpy()
        usable = [m for m in found if carries[m.position] and not pd.isna(automation[m.position])]
        if name != control and usable:
            parts.append(
                _of_metric(usable, automation, weeks, metric, n_persons, confidence_level).assign(
                    metric=str(name)
                )
            )
    if not parts:
        return TRENDS.empty()
    rows = pd.concat(parts, ignore_index=True).assign(confidence_level=confidence_level)
    return TRENDS.checked(rows.astype({"metric": "str", "status": "str", "automation_id": "str"}))


def _of_metric(
    usable: Sequence[Member],
    automation: np.ndarray[tuple[int], np.dtype[np.object_]],
    weeks: Floats,
    metric: int,
    n_persons: int,
    confidence_level: float,
) -> pd.DataFrame:
    own = pd.Series([automation[one.position] for one in usable], dtype="str")
    rows = []
    for name, places in own.groupby(own).indices.items():
        sends = [usable[place] for place in places]
        if len(sends) < 2:
            continue
        when = weeks[[one.position for one in sends]]
        said = _slope(sends, when, metric, n_persons, confidence_level)
        status = "ok" if np.isfinite(said["pvalue"]) else "too_few_campaigns"
        rows.append({"automation_id": name, "n_campaigns": len(sends), "status": status, **said})
    table = pd.DataFrame(rows, columns=["automation_id", "n_campaigns", "status", *_NUMBERS])
    table = table.astype({"n_campaigns": "int64"} | dict.fromkeys(_NUMBERS, "float64"))
    return table.assign(qvalue=bh_qvalues(table["pvalue"].to_numpy()))


def _slope(
    sends: Sequence[Member],
    weeks: Floats,
    metric: int,
    n_persons: int,
    confidence_level: float,
) -> dict[str, float]:
    """Return the slope as a change of the relative effect, at the middle of the sends."""
    if len(sends) < FEWEST_SENDS or np.ptp(weeks) <= 0:
        return dict.fromkeys(_NUMBERS, np.nan)
    logs, psi = log_ratio_influence([one.contrast for one in sends], metric, n_persons=n_persons)
    exact = psi.astype(np.float64)
    design = np.column_stack([np.ones(len(weeks)), weeks - weeks.mean()])
    fit = meta_regression(logs, exact.T @ exact, design)
    line = combined(fit, np.array([0.0, 1.0]), confidence_level=confidence_level)
    level = float(np.exp(fit.coefficients[0]))
    moved = [level * float(np.expm1(one)) for one in (line.estimate, line.ci_low, line.ci_high)]
    return dict(zip(_NUMBERS, [*moved, line.pvalue], strict=True))

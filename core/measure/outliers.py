"""Views without extreme users, and the one capping that leaves a true null alone.

Removing users by their difference (iqr, zscore) is the source method's view. It manufactures
effects where there are none (false-positive rates of 0.5 to 1.0 in simulation), so it describes
and never carries a verdict. `winsorize` caps every window of every user at one common value,
the same before and after, which keeps the false-positive rate near nominal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.measure.paired import group_moments, paired_effects
from core.measure.ratios import Floats
from core.sections import Outliers

IQR_FENCE = 1.5
Z_LIMIT = 3.0
CAP_QUANTILE = 0.995
VERDICT_SAFE = ("keep", "winsorize")

WHY: dict[Outliers, str] = {
    "keep": "All users count as they are.",
    "winsorize": (
        "Every window, before and after alike, is capped at one common value, so what is cut does "
        "not depend on which side of the push it fell."
    ),
    "iqr": (
        "Users are removed by how much they changed: bursts after the push go, users who fell "
        "silent stay, so an effect appears where there is none."
    ),
    "zscore": (
        "Users are removed by how much they changed, which moves the mean by itself; and among n "
        "users no |z| exceeds (n - 1) / sqrt(n), so below 11 users nobody can be removed."
    ),
}
"""One sentence each: why the view may or may not carry a verdict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlierView:
    """One campaign's effect in one metric under one outlier rule.

    Attributes:
        rule: keep, iqr, zscore or winsorize.
        is_verdict_safe: Whether the rule leaves a true null alone; intervals only then.
        n_users: Users left.
        effect_size: Mean difference, events per user per day; NaN without users.
        ci_low: Its interval; NaN where the view only describes.
        ci_high: As above.
        rel_effect_size: Percent lift as a fraction; NaN where the baseline cannot carry one.
        rel_ci_low: Its interval, as ci_low.
        rel_ci_high: As above.
        touched_share: Share of users dropped or capped, 0 to 1; NaN without users.
        n_touched_up: Of those, users who did more after the push than before (uncapped).
        n_touched_down: Those who did less.
        why: One plain sentence on what the view may carry.
    """

    rule: Outliers
    is_verdict_safe: bool
    n_users: int
    effect_size: float
    ci_low: float
    ci_high: float
    rel_effect_size: float
    rel_ci_low: float
    rel_ci_high: float
    touched_share: float
    n_touched_up: int
    n_touched_down: int
    why: str


def within_iqr(differences: Floats) -> NDArray[np.bool_]:
    """Return which differences lie within 1.5 interquartile ranges of the quartiles.

    Source: Tukey (1977), Exploratory Data Analysis.
    """
    first, third = np.quantile(differences, [0.25, 0.75])
    fence = IQR_FENCE * (third - first)
    kept: NDArray[np.bool_] = (differences >= first - fence) & (differences <= third + fence)
    return kept


def within_zscore(differences: Floats) -> NDArray[np.bool_]:
    """Return which differences lie within 3 standard deviations of their mean.

    With n users no |z| exceeds (n - 1) / sqrt(n), so below 11 users the rule keeps everybody.
    """
    if len(differences) < 2:
        return np.ones(len(differences), dtype=bool)
    spread = differences.std(ddof=1)
    kept: NDArray[np.bool_] = np.abs(differences - differences.mean()) <= Z_LIMIT * spread
    return kept


def common_cap(windows: Floats, used: NDArray[np.bool_]) -> float:
    """Return the 99.5 % quantile over all windows, before and after alike, at least one event.

    Args:
        windows: Events in each window, [users, windows].
        used: Which of them count.
    """
    return max(1.0, float(np.quantile(windows[used], CAP_QUANTILE))) if used.any() else 1.0


def largest_z(n: int) -> float:
    """Return the largest |z| any of n values can have, (n - 1) / sqrt(n).

    Source: Shiffler (1988), The American Statistician 42(1), 79-80.
    """
    return (n - 1) / math.sqrt(n) if n > 1 else math.nan


def outlier_impact(
    base: Floats,
    post: Floats,
    *,
    windows: NDArray[np.integer],
    exists: NDArray[np.bool_],
    window_days: float = 2.0,
    confidence_level: float = 0.95,
) -> tuple[OutlierView, ...]:
    """Return one campaign's effect with all users, without extreme ones, and with capped windows.

    Args:
        base: Baseline rate of each compared user, events per day.
        post: Post rate of each.
        windows: Int[users, windows], events; column 0 is the post window.
        exists: Bool[users, windows], which windows are there; users without an earlier one are
            left out of the capped view.
        window_days: Length of a window.
        confidence_level: For example 0.95.

    Returns:
        Four views: keep, iqr, zscore, winsorize.
    """
    difference, level = post - base, confidence_level
    everybody = np.ones(len(base), dtype=bool)
    in_iqr = within_iqr(difference) if len(base) else everybody
    in_zscore = within_zscore(difference)
    return (
        _without("keep", base, post, kept=everybody, level=level),
        _without("iqr", base, post, kept=in_iqr, level=level),
        _without("zscore", base, post, kept=in_zscore, level=level),
        _capped_view(windows, exists, window_days=window_days, level=level),
    )


def _capped_view(
    windows: NDArray[np.integer], exists: NDArray[np.bool_], *, window_days: float, level: float
) -> OutlierView:
    """Return the view with every existing window capped at one common value."""
    rows = exists[:, 0] & exists[:, 1:].any(axis=1)
    counts, there = windows[rows].astype(float), exists[rows]
    cap = common_cap(counts, there)
    touched: NDArray[np.bool_] = np.any((counts > cap) & there, axis=1)
    base, post = _rates(counts, there, window_days)
    change = (post - base)[touched]
    base, post = _rates(np.minimum(counts, cap), there, window_days)
    everybody = np.ones(len(base), dtype=bool)
    return _view(
        "winsorize", base, post, used=everybody, touched=touched, change=change, level=level
    )


def _rates(counts: Floats, there: NDArray[np.bool_], window_days: float) -> tuple[Floats, Floats]:
    """Return users' rates before and after, over the windows that are there."""
    rates = np.where(there, counts, 0.0) / window_days
    return rates[:, 1:].sum(axis=1) / np.maximum(there[:, 1:].sum(axis=1), 1), rates[:, 0]


def _without(
    rule: Outliers, base: Floats, post: Floats, *, kept: NDArray[np.bool_], level: float
) -> OutlierView:
    change = (post - base)[~kept]
    return _view(rule, base, post, used=kept, touched=~kept, change=change, level=level)


def _view(
    rule: Outliers,
    base: Floats,
    post: Floats,
    *,
    used: NDArray[np.bool_],
    touched: NDArray[np.bool_],
    change: Floats,
    level: float,
) -> OutlierView:
    """Return the effect of the used users; `change` is the touched users' own, uncapped."""
    one = np.zeros(int(used.sum()), dtype=np.int64)
    moments = group_moments(base[used], post[used], one, 1)
    effects = paired_effects(moments, confidence_level=level)
    is_safe = rule in VERDICT_SAFE
    limits = effects.ci_low, effects.ci_high, effects.relative.ci_low, effects.relative.ci_high
    ci_low, ci_high, rel_low, rel_high = (float(v[0]) if is_safe else math.nan for v in limits)
    return OutlierView(
        rule=rule,
        is_verdict_safe=is_safe,
        n_users=len(one),
        effect_size=float(effects.effect_size[0]),
        ci_low=ci_low,
        ci_high=ci_high,
        rel_effect_size=float(effects.relative.estimate[0]),
        rel_ci_low=rel_low,
        rel_ci_high=rel_high,
        touched_share=float(touched.mean()) if len(touched) else math.nan,
        n_touched_up=int((change > 0).sum()),
        n_touched_down=int((change < 0).sum()),
        why=WHY[rule],
    )

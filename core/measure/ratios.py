"""Percent lift as a ratio of two means, with Fieller's confidence set.

Source: E. C. Fieller (1954), Some problems in interval estimation, JRSS B 16(2), 175-185.
Chosen over the delta method because the set contains "no change" exactly when the t-test of the
difference does not reject, so a percentage never contradicts its p-value.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RatioSet:
    """Relative effects (ratio less 1) with their confidence sets, one entry per comparison.

    Attributes:
        estimate: The relative effect; NaN where the baseline cannot carry a percentage.
        ci_low: Lower limit, at least -1; NaN where there is none.
        ci_high: Upper limit; NaN where there is none.
        is_bounded: The denominator differs from 0 at this confidence, so the set is an interval.
    """

    estimate: Floats
    ci_low: Floats
    ci_high: Floats
    is_bounded: NDArray[np.bool_]


def relative_effect(
    post: Floats,
    base: Floats,
    *,
    var_post: Floats,
    var_base: Floats,
    cov: Floats,
    df: Floats,
    confidence_level: float,
) -> RatioSet:
    """Return post / base - 1 with Fieller's set, for non-negative rates.

    Args:
        post: Mean post rates.
        base: Mean baseline (or expected) rates.
        var_post: Variances of those means (not of users).
        var_base: Variances of the base means.
        cov: Covariances of the two means.
        df: Degrees of freedom of the variances.
        confidence_level: For example 0.95.

    A denominator not distinguishable from 0 makes the set unbounded: then there is no estimate,
    and a lower limit only where one ray remains among non-negative ratios.
    """
    t2 = stdtrit(np.maximum(df, 1), (1 + confidence_level) / 2) ** 2
    a = base**2 - t2 * var_base
    b = base * post - t2 * cov
    c = post**2 - t2 * var_post
    root = np.sqrt(np.maximum(b**2 - a * c, 0))
    is_bounded = (a > 0) & (base > 0) & (df >= 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = (b - root) / a, (b + root) / a
        ratio = post / base
    # a < 0 turns the set inside out: everything up to `second` and everything from `first` on
    one_ray = (a < 0) & (b**2 > a * c) & (second < 0) & (base > 0)
    low = np.where(is_bounded | one_ray, first, np.nan)
    return RatioSet(
        estimate=np.where(is_bounded, ratio - 1, np.nan),
        ci_low=np.maximum(low, 0) - 1,
        ci_high=np.where(is_bounded, second, np.nan) - 1,
        is_bounded=is_bounded,
    )

"""Views without extreme users, and the one capping that leaves a true null alone.

Removing users by their difference (iqr, zscore) is the source method's view. It manufactures
effects where there are none (false-positive rates of 0.5 to 1.0 in simulation), so it describes
and never carries a verdict. `winsorize` caps every window of every user at one common value,
the same before and after, which keeps the false-positive rate near nominal.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.measure.ratios import Floats

IQR_FENCE = 1.5
Z_LIMIT = 3.0
CAP_QUANTILE = 0.995
VERDICT_SAFE = ("keep", "winsorize")


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

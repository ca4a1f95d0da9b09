"""Correction for asking many questions at once."""

from __future__ import annotations

import numpy as np
from scipy import stats

from core.measure.ratios import Floats


def bh_qvalues(pvalues: Floats) -> Floats:
    """Return Benjamini-Hochberg adjusted p-values of one family; missing p-values stay missing.

    Source: Benjamini and Hochberg (1995), JRSS B 57(1), 289-300.
    """
    adjusted = np.full(len(pvalues), np.nan)
    known = ~np.isnan(pvalues)
    if known.any():
        adjusted[known] = stats.false_discovery_control(pvalues[known], method="bh")
    return adjusted

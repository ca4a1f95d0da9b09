"""Correction for asking many questions at once."""

from __future__ import annotations

import numpy as np

from core.measure.ratios import Floats

FALSE_DISCOVERY_RATE = 0.05
"""A result is clear where its q-value within its family is at most this."""


def bh_qvalues(pvalues: Floats) -> Floats:
    """Return Benjamini-Hochberg adjusted p-values of one family; missing p-values stay missing.

    Source: Benjamini and Hochberg (1995), JRSS B 57(1), 289-300.
    """
    adjusted = np.full(len(pvalues), np.nan)
    known = np.flatnonzero(~np.isnan(pvalues))
    # scipy.stats has this too, and takes longer to import than a whole analysis to compute
    order = known[np.argsort(pvalues[known])]
    scaled = pvalues[order] * len(order) / np.arange(1, len(order) + 1)
    adjusted[order] = np.minimum.accumulate(scaled[::-1])[::-1]
    return adjusted

"""Correction for asking many questions at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.errors import DataError
from core.measure.ratios import Floats

Bools = NDArray[np.bool_]

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


def bh_rejected(pvalues: Floats, rate: float) -> Bools:
    """Return which hypotheses of one family Benjamini-Hochberg rejects; a missing p is none.

    Compares the q-values, so that a rejection never contradicts the q-value shown beside it.

    Args:
        pvalues: One family, NaN where there was no test.
        rate: False discovery rate, for example 0.05.
    """
    return bh_qvalues(pvalues) <= rate


def drill_down(primary_p: Floats, all_p: Floats, rate: float) -> Bools:
    """Return which metrics are clear within the campaigns that the primary metric selected.

    Campaigns are selected by Benjamini-Hochberg on the primary metric; within R selected out of
    m tested, the metrics of each are tested by Benjamini-Hochberg at rate x R / m. That keeps
    the mean false discovery rate over the selected campaigns at `rate`; testing at `rate` itself
    would not, because the selected ones are the extreme ones. A selected campaign may end without
    a single metric: then it is clear that something happened, not in which metric.
    Source: Benjamini and Bogomolov (2014), JRSS B 76(1), 297-318, theorem 1.

    Args:
        primary_p: One p-value per campaign, NaN where there was no test, shape [campaigns].
        all_p: p-values of all metrics, the primary one included, shape [campaigns, metrics].
        rate: False discovery rate, for example 0.05.

    Raises:
        DataError: The two do not describe the same campaigns.
    """
    if all_p.ndim != 2 or len(all_p) != len(primary_p):
        raise DataError(
            f"Drilling down needs campaigns by metrics for {len(primary_p)} campaigns, "
            f"got shape {all_p.shape}."
        )
    selected = np.flatnonzero(bh_rejected(primary_p, rate))
    rejected = np.zeros(all_p.shape, dtype=bool)
    n_tested = int((~np.isnan(primary_p)).sum())
    for campaign in selected:
        rejected[campaign] = bh_rejected(all_p[campaign], rate * len(selected) / n_tested)
    return rejected


def fcr_level(n_selected: int, n_tested: int, rate: float) -> float:
    """Return the confidence level at which intervals of selected results miss at `rate` only.

    At 1 - rate x R / m each, the expected share of the R selected intervals that miss is at most
    `rate`; at 1 - rate each, selection makes it larger.
    Source: Benjamini and Yekutieli (2005), JASA 100(469), 71-81, for a Benjamini-Hochberg choice.

    Args:
        n_selected: Results selected by Benjamini-Hochberg at `rate`.
        n_tested: Results with a p-value; those without have left the family.
        rate: False coverage rate, for example 0.05.

    Returns:
        For example 0.99; NaN where nothing was selected, as there is no interval to draw.

    Raises:
        DataError: More were selected than tested.
    """
    if not 0 <= n_selected <= n_tested:
        raise DataError(f"{n_selected} of {n_tested} results cannot have been selected.")
    return 1 - rate * n_selected / n_tested if n_selected else float("nan")

"""Which campaign is how good, with what is not known about that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.errors import DataError
from core.measure.ratios import Floats

TOP = 10
"""P(top) is the probability of being among this many."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ranks:
    """Posterior ranks, one entry per campaign; rank 1 has the largest effect.

    Attributes:
        median_rank: Median of the rank.
        rank_low: Best rank of the interval.
        rank_high: Worst rank of the interval.
        p_best: Probability of having the largest effect; sums to 1.
        p_top: Probability of being among the `TOP` largest; sums to `TOP`, or to the campaigns
            where there are fewer.
        confidence_level: Of the rank interval.
    """

    median_rank: Floats
    rank_low: Floats
    rank_high: Floats
    p_best: Floats
    p_top: Floats
    confidence_level: float


def ranks(draws: Floats, *, confidence_level: float = 0.95) -> Ranks:
    """Return ranks with intervals from joint draws of the effects.

    Rank every draw, then summarise: ranking posterior means instead hides that close campaigns
    may stand in any order (Goldstein and Spiegelhalter 1996, JRSS A 159(3), 385-443). Effects
    equal within a draw share the mean of their ranks, and the best and top places by halves.

    Args:
        draws: Shape [draws, campaigns], from one joint posterior: draws of campaigns made apart
            would leave out that they share people.
        confidence_level: The interval holds at least this share of the draws' ranks.

    Raises:
        DataError: There is no draw or no campaign, or a draw is not a number.
    """
    if draws.ndim != 2 or 0 in draws.shape:
        raise DataError(f"Ranks need draws by campaigns, got shape {draws.shape}.")
    if np.isnan(draws).any():
        raise DataError("A draw is not a number: leave that campaign out before ranking.")
    better, tied = _better_and_tied(draws)
    tail = (1 - confidence_level) / 2
    low, median, high = np.quantile(
        better + (tied + 1) / 2, [tail, 0.5, 1 - tail], axis=0, method="inverted_cdf"
    )
    return Ranks(
        median_rank=median,
        rank_low=low,
        rank_high=high,
        p_best=np.clip((1 - better) / tied, 0, 1).mean(axis=0),
        p_top=np.clip((TOP - better) / tied, 0, 1).mean(axis=0),
        confidence_level=confidence_level,
    )


def _better_and_tied(draws: Floats) -> tuple[Floats, Floats]:
    """Return how many campaigns of the draw are better, and how many equal, itself included."""
    order = np.argsort(-draws, axis=1)
    ordered = np.take_along_axis(draws, order, axis=1)
    places = np.arange(draws.shape[1])
    edge = np.ones((len(draws), 1), dtype=bool)
    differs = np.diff(ordered, axis=1) != 0
    starts = np.where(np.hstack([edge, differs]), places, 0)
    ends = np.where(np.hstack([differs, edge]), places, draws.shape[1])
    first = np.maximum.accumulate(starts, axis=1)
    last = np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]
    better, tied = np.empty_like(draws), np.empty_like(draws)
    np.put_along_axis(better, order, first.astype(np.float64), axis=1)
    np.put_along_axis(tied, order, (last - first + 1).astype(np.float64), axis=1)
    return better, tied

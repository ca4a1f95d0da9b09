"""The window permutation test: which of a user's windows came after the push must not matter.

Without an effect a user's post window is one like the earlier windows of the same length, so any
of them could have been the one after the push. That needs no normality and stays at its level
where a t-test on few, rarely active users does not. It needs windows that are exchangeable: a
push that followed activity, or a weekly rhythm the send hour picks from, breaks that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.measure.ratios import Floats

Counts = NDArray[np.integer]
_BLOCK = 2_000_000
"""Draws held at once; more users are added up block by block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PermutationTest:
    """Result of the window permutation test of one campaign and metric.

    Attributes:
        pvalue: Two-sided; 1 where nobody had an event, NaN where nobody can be compared.
        rel_effect_size: Post events over expected events, less 1; NaN without earlier events.
        ci_low: Lower limit of it, at least -1; NaN where there is none.
        ci_high: Upper limit; NaN where there is none (always so without a post event).
        n_windows: Most windows any user has, the post window included.
        n_active: Compared users with an event in any window; the others add nothing.
    """

    pvalue: float
    rel_effect_size: float
    ci_low: float
    ci_high: float
    n_windows: int
    n_active: int


def window_permutation(
    counts: Counts,
    exists: NDArray[np.bool_],
    *,
    n_draws: int = 9999,
    seed: int = 0,
    confidence_level: float = 0.95,
) -> PermutationTest:
    """Return the permutation test of each user's post window against their earlier ones.

    Each draw takes one window of every user at random as the one after the push; the statistic
    is the sum of events in the windows taken. Independent users, exchangeable windows of one
    user. p is twice the smaller tail, at most 1, the observed assignment counted among the draws:
    Phipson and Smyth (2010), SAGMB 9(1), 39.

    The interval holds every relative effect R for which post / (1 + R) is not rejected at
    1 - confidence_level. With C the drawn post events and A the other drawn events, a draw
    reaches the observed sum exactly where 1 + R >= (observed - C) / A, so its limits are order
    statistics of that ratio, exact for the draws made. The order of users does not matter.

    Args:
        counts: Int[users, windows], events; column 0 is the post window.
        exists: Bool[users, windows], which windows lie wholly after the user's sign-up. Users
            without a post window or without an earlier one take no part.
        n_draws: Random assignments.
        seed: Of the draws.
        confidence_level: For example 0.95.
    """
    rows = exists[:, 0] & exists[:, 1:].any(axis=1)
    counts, exists = counts[rows], exists[rows]
    if not len(counts):
        return PermutationTest(
            pvalue=np.nan,
            rel_effect_size=np.nan,
            ci_low=np.nan,
            ci_high=np.nan,
            n_windows=0,
            n_active=0,
        )
    windows, n_of_user = _packed(counts, exists)
    before, post = _draws(windows, n_of_user, n_draws=n_draws, seed=seed)
    observed = int(windows[:, 0].sum())
    expected = float((windows[:, 1:].sum(axis=1) / np.maximum(n_of_user - 1, 1)).sum())
    low, high = _limits(observed - post, before, alpha=1 - confidence_level)
    return PermutationTest(
        pvalue=_pvalue(before + post, observed),
        rel_effect_size=observed / expected - 1 if expected else np.nan,
        ci_low=low,
        # dividing no events by anything leaves none: there is no upper limit to be had
        ci_high=high if observed else np.nan,
        n_windows=int(exists.sum(axis=1).max()),
        n_active=len(windows),
    )


def _packed(
    counts: Counts, exists: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return active users' existing windows moved to the left, and how many each has.

    Users are sorted by what they did, so that the same draws fall on the same histories
    whatever order the users came in.
    """
    there = np.where(exists, counts, 0).astype(np.int64)
    active = there.any(axis=1)
    there, exists = there[active], exists[active]
    to_left = np.argsort(~exists, axis=1, kind="stable")
    windows = np.take_along_axis(there, to_left, axis=1)
    n_of_user = exists.sum(axis=1)
    order = np.lexsort([*windows.T, n_of_user])
    return windows[order], n_of_user[order]


def _draws(
    windows: NDArray[np.int64], n_of_user: NDArray[np.int64], *, n_draws: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return, for each draw, the earlier windows' events drawn and the post windows'."""
    rng = np.random.default_rng(seed)
    before, post = np.zeros(n_draws, dtype=np.int64), np.zeros(n_draws, dtype=np.int64)
    earlier = windows.copy()
    earlier[:, 0] = 0
    step = max(1, _BLOCK // n_draws)
    for first in range(0, len(windows), step):
        rows = slice(first, first + step)
        # below 2**24 windows a float32 below 1 times their number stays below their number
        picks = rng.random((len(n_of_user[rows]), n_draws), dtype=np.float32)
        picks *= n_of_user[rows, None].astype(np.float32)
        drawn = picks.astype(np.intp)
        post += np.where(drawn == 0, windows[rows, :1], 0).sum(axis=0)
        drawn += np.arange(len(drawn))[:, None] * windows.shape[1]
        before += earlier[rows].ravel().take(drawn).sum(axis=0)
    return before, post


def _pvalue(drawn: NDArray[np.int64], observed: int) -> float:
    tail = min((drawn >= observed).sum(), (drawn <= observed).sum())
    return min(1.0, 2 * (1 + int(tail)) / (len(drawn) + 1))


def _limits(
    left: NDArray[np.int64], before: NDArray[np.int64], *, alpha: float
) -> tuple[float, float]:
    """Return the limits of R from the draws' ratios left / before, NaN where there is none."""
    # rounded: 1 - 0.95 is a little above 0.05 and would cost one draw
    rank = math.ceil(round(alpha * (len(left) + 1) / 2, 9)) - 1
    if rank < 1:
        return -1.0, np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios: Floats = left / before
    # 0 / 0: the draw ties with the observed sum whatever R is, so it counts on both sides
    from_below = np.partition(np.where(np.isnan(ratios), -np.inf, ratios), rank - 1)[rank - 1]
    from_above = np.partition(np.where(np.isnan(ratios), np.inf, ratios), -rank)[-rank]
    low = max(float(from_below), 0.0) - 1 if from_below < np.inf else np.nan
    return low, float(from_above) - 1 if from_above < np.inf else np.nan

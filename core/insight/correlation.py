"""Do campaigns that move one metric move another: correlation of true effects over campaigns.

Both effects of a campaign are measured on the same people, so that their errors are correlated and
would be taken for a correlation of effects; and errors hide the one there is. The model is the
bivariate random-effects one: estimates ~ N(effects, V_i) with V_i known, effects ~ N(mean, T);
van Houwelingen, Arends and Stijnen (2002), Stat. Med. 21(4), 589-624. Restricted likelihood,
profiled over the correlation. Errors that campaigns share among each other shift all campaigns
alike and are left out; the means take them up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from core.errors import DataError
from core.measure.meta import reml
from core.measure.ratios import Floats

FEWEST = 6
"""Campaigns below which a correlation is not worth saying."""
_PLACES = np.linspace(-3.0, 3.0, 31)
_CORRELATIONS = np.tanh(_PLACES)
_FINE = np.linspace(-1, 1, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """How two true effects go together over campaigns.

    Attributes:
        estimate: The correlation that is most likely; NaN where an effect does not vary beyond
            its noise, as nothing can go along with it then.
        ci_low: Lower limit, from the profile likelihood; -1 where nothing is too low.
        ci_high: Upper limit.
        pvalue: Two-sided, of no correlation.
        observed: Correlation of the estimates, noise included.
        n: Campaigns.
        status: "ok", "too_few_campaigns" or "no_spread".
    """

    estimate: float
    ci_low: float
    ci_high: float
    pvalue: float
    observed: float
    n: int
    status: str


def correlate(
    first: Floats, second: Floats, errors: Floats, *, confidence_level: float
) -> Correlation:
    """Return the correlation of the true effects behind two sets of estimates.

    The likelihood ratio's root is held against t on n - 2 degrees of freedom, as Fisher's
    correlation without noise would be, since with few campaigns the normal rejects too often.

    Args:
        first: Effects on one metric, shape [n].
        second: On the other, of the same campaigns.
        errors: Covariance of each campaign's two errors, shape [n, 2, 2].
        confidence_level: For example 0.95.

    Raises:
        DataError: Shapes differ, a number is not finite or a variance not positive.
    """
    _check(first, second, errors)
    n = len(first)
    observed = _observed(first, second)
    nothing = {"estimate": np.nan, "ci_low": np.nan, "ci_high": np.nan, "pvalue": np.nan}
    if n < FEWEST:
        return Correlation(**nothing, observed=observed, n=n, status="too_few_campaigns")
    spreads = np.sqrt([reml(first, errors[:, 0, 0]), reml(second, errors[:, 1, 1])])
    if not (spreads > 0).all():
        return Correlation(**nothing, observed=observed, n=n, status="no_spread")
    profile = _profile(first, second, errors, spreads)
    best = int(profile.argmax())
    loss = np.sqrt(2 * np.maximum(profile[best] - profile, 0))
    reach = float(stdtrit(n - 2, (1 + confidence_level) / 2))
    at_zero = float(np.interp(0.0, _CORRELATIONS, loss))
    return Correlation(
        estimate=_peak(profile, best),
        ci_low=_crossing(loss[: best + 1][::-1], _CORRELATIONS[: best + 1][::-1], reach, end=-1.0),
        ci_high=_crossing(loss[best:], _CORRELATIONS[best:], reach, end=1.0),
        pvalue=float(2 * stdtr(n - 2, -at_zero)),
        observed=observed, n=n, status="ok",
    )  # fmt: skip


def _check(first: Floats, second: Floats, errors: Floats) -> None:
    n = len(first)
    if first.shape != (n,) or second.shape != (n,) or errors.shape != (n, 2, 2):
        raise DataError(
            f"A correlation needs two effects and a 2 by 2 covariance each, got {first.shape}, "
            f"{second.shape} and {errors.shape}."
        )
    if not all(np.isfinite(part).all() for part in (first, second, errors)):
        raise DataError("An effect or its covariance is not finite: leave that campaign out.")
    if n and not (np.diagonal(errors, axis1=1, axis2=2) > 0).all():
        raise DataError("An effect without any variance cannot be weighed: leave it out.")


def _observed(first: Floats, second: Floats) -> float:
    if len(first) < 3 or not (np.ptp(first) > 0 and np.ptp(second) > 0):
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def _profile(first: Floats, second: Floats, errors: Floats, scales: Floats) -> Floats:
    """Return the likelihood at each correlation, the spreads at their best for it.

    Searched for around the spreads that each metric has by itself, in ever smaller steps.
    """
    n = len(_CORRELATIONS)
    tried = np.broadcast_to(np.ones(2), (n, 1, 2))
    for step in (1.8, 1.6, 1.25, 1.1):
        told = _likelihood(first, second, errors, tried * scales)
        near = tried[np.arange(n), told.argmax(axis=1)]
        factors = step**_FINE
        around = np.stack(np.meshgrid(factors, factors, indexing="ij"), axis=-1).reshape(-1, 2)
        tried = near[:, None, :] * around
    told = _likelihood(first, second, errors, tried * scales)
    best: Floats = told.max(axis=1)
    return best


def _peak(profile: Floats, best: int) -> float:
    """Return where the parabola through the best place and its neighbours is highest."""
    if not 0 < best < len(profile) - 1:
        return float(_CORRELATIONS[best])
    before, at, after = profile[best - 1 : best + 2]
    bend = before - 2 * at + after
    step = (before - after) / (2 * bend) if bend < 0 else 0.0
    return float(np.tanh(_PLACES[best] + step * (_PLACES[1] - _PLACES[0])))


def _likelihood(first: Floats, second: Floats, errors: Floats, spreads: Floats) -> Floats:
    """Return the restricted log likelihood, [correlations, spreads].

    Written out for 2 by 2 matrices: all campaigns and all tried values at once.

    Args:
        first: Shape [n].
        second: Shape [n].
        errors: Shape [n, 2, 2].
        spreads: Standard deviations of the true effects, shape [correlations, tried, 2].
    """
    one, two = spreads[..., 0, None], spreads[..., 1, None]
    a = errors[:, 0, 0] + one**2
    b = errors[:, 1, 1] + two**2
    c = errors[:, 0, 1] + _CORRELATIONS[:, None, None] * one * two
    determinant = a * b - c**2
    inverse = (b / determinant, a / determinant, -c / determinant)
    sums = [part.sum(axis=-1) for part in inverse]
    right = [
        (inverse[0] * first + inverse[2] * second).sum(axis=-1),
        (inverse[2] * first + inverse[1] * second).sum(axis=-1),
    ]
    information = sums[0] * sums[1] - sums[2] ** 2
    mean_one = (sums[1] * right[0] - sums[2] * right[1]) / information
    mean_two = (sums[0] * right[1] - sums[2] * right[0]) / information
    x, y = first - mean_one[..., None], second - mean_two[..., None]
    misfit = (inverse[0] * x**2 + inverse[1] * y**2 + 2 * inverse[2] * x * y).sum(axis=-1)
    told: Floats = -(np.log(determinant).sum(axis=-1) + np.log(information) + misfit) / 2
    return told


def _crossing(loss: Floats, places: Floats, reach: float, *, end: float) -> float:
    """Return where the loss first exceeds what is allowed, going out from the best place."""
    beyond = np.flatnonzero(loss > reach)
    if not len(beyond):
        return end
    last = int(beyond[0])
    inner, outer = loss[last - 1], loss[last]
    share = (reach - inner) / (outer - inner)
    return float(places[last - 1] + share * (places[last] - places[last - 1]))

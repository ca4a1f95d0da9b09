"""What a comparison could have seen, and how many recipients it would take.

The standard deviation or error behind these numbers should come from placebo windows, not from
the effect just measured: power at the observed effect only restates its p-value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import nctdtr, stdtrit

from core.measure.ratios import Floats

Design = Literal["paired", "two_sample"]
DEFAULT_POWER = 0.8
DEFAULT_ALPHA = 0.05

_LEAST_N, _MOST_N = 2.0, 1e12
_LEAST_D, _MOST_D = 1e-6, 1e6
_HALVINGS = 80
_FAR = 4.0


def noncentral_t_power(
    n: ArrayLike, d: ArrayLike, *, alpha: float = DEFAULT_ALPHA, design: Design = "paired"
) -> Floats:
    """Return the probability that a two-sided t-test finds a true effect of d.

    Both tails count. Source: Cohen (1988), Statistical Power Analysis, 2.3 and 2.3.5.

    Args:
        n: Users; with "two_sample" users in each of the two groups. May be fractional.
        d: True effect over the standard deviation (paired: of the users' differences).
        alpha: Two-sided level.
        design: One group of users before and after, or two independent groups of equal size.

    Returns:
        Power, 0 to 1; NaN below 2 users.
    """
    n, d = np.broadcast_arrays(np.asarray(n, dtype=float), np.abs(np.asarray(d, dtype=float)))
    groups = 1 if design == "paired" else 2
    known = (n >= _LEAST_N) & ~np.isnan(d)
    df = groups * (np.where(known, n, _LEAST_N) - 1)
    shift = np.where(known, d, 0.0) * np.sqrt(np.where(known, n, _LEAST_N) / groups)
    critical = stdtrit(df, 1 - alpha / 2)
    found = 1 - _nct_cdf(df, shift, critical) + _nct_cdf(df, shift, -critical)
    return np.where(known, found, np.nan)


def required_n(
    d: ArrayLike,
    power: float = DEFAULT_POWER,
    *,
    alpha: float = DEFAULT_ALPHA,
    design: Design = "paired",
) -> Floats:
    """Return the users it takes to find an effect of d, to be rounded up.

    Args:
        d: True effect over the standard deviation.
        power: Wanted probability of finding it.
        alpha: Two-sided level.
        design: As in `noncentral_t_power`; with "two_sample" users in each group.

    Returns:
        At least 2; infinite where d is 0 or too small for any number of users, NaN where d is.
    """
    size: Floats = np.abs(np.asarray(d, dtype=float))

    def reached(log_n: Floats) -> Floats:
        return noncentral_t_power(np.exp(log_n), size, alpha=alpha, design=design) - power

    least, most = np.full(size.shape, np.log(_LEAST_N)), np.full(size.shape, np.log(_MOST_N))
    n = np.exp(_crossing(reached, least, most))
    n = np.where(reached(least) >= 0, _LEAST_N, np.where(reached(most) < 0, np.inf, n))
    return np.where(np.isnan(size), np.nan, n)


def detectable_d(
    n: ArrayLike,
    power: float = DEFAULT_POWER,
    *,
    alpha: float = DEFAULT_ALPHA,
    design: Design = "paired",
) -> Floats:
    """Return the smallest standardised effect that n users would find.

    Args:
        n: Users; with "two_sample" users in each group.
        power: Wanted probability of finding it.
        alpha: Two-sided level.
        design: As in `noncentral_t_power`.

    Returns:
        Effect over the standard deviation; NaN below 2 users.
    """
    users = np.asarray(n, dtype=float)

    def reached(log_d: Floats) -> Floats:
        return noncentral_t_power(users, np.exp(log_d), alpha=alpha, design=design) - power

    least, most = np.full(users.shape, np.log(_LEAST_D)), np.full(users.shape, np.log(_MOST_D))
    return np.where(users >= _LEAST_N, np.exp(_crossing(reached, least, most)), np.nan)


def mde(
    standard_error: ArrayLike,
    df: ArrayLike,
    *,
    power: float = DEFAULT_POWER,
    alpha: float = DEFAULT_ALPHA,
) -> Floats:
    """Return the smallest true effect that would be found, in the standard error's own unit.

    (t(1 - alpha / 2) + t(power)) * SE, about 2.8 SE. Source: Bloom (1995), Evaluation Review
    19(5), 547-556.

    Args:
        standard_error: Of the effect, best from placebo windows.
        df: Its degrees of freedom.
        power: Wanted probability of finding the effect.
        alpha: Two-sided level.

    Returns:
        NaN where the standard error is missing or 0 or there is no degree of freedom.
    """
    error, df = np.asarray(standard_error, dtype=float), np.asarray(df, dtype=float)
    safe = np.maximum(df, 1)
    found = (stdtrit(safe, 1 - alpha / 2) + stdtrit(safe, power)) * error
    return np.where((df >= 1) & (error > 0), found, np.nan)


def recipients_needed(
    effect: ArrayLike,
    standard_error: ArrayLike,
    *,
    n: ArrayLike,
    power: float = DEFAULT_POWER,
    alpha: float = DEFAULT_ALPHA,
) -> Floats:
    """Return how many recipients it takes to find an effect, given its error with n of them.

    The error is taken to shrink with the square root of the recipients (independent users).

    Args:
        effect: Wanted effect, in the standard error's unit; the sign does not matter.
        standard_error: Of the effect as measured.
        n: Recipients it was measured with.
        power: Wanted probability of finding the effect.
        alpha: Two-sided level.

    Returns:
        Whole numbers of at least 2; infinite for an effect of 0, NaN where the error is missing
        or 0 or n is below 2.
    """
    error, n = np.asarray(standard_error, dtype=float), np.asarray(n, dtype=float)
    known = (error > 0) & (n >= _LEAST_N)
    with np.errstate(divide="ignore", invalid="ignore"):
        d = np.where(known, np.asarray(effect, dtype=float) / (error * np.sqrt(n)), np.nan)
    return np.ceil(required_n(d, power, alpha=alpha))


def _nct_cdf(df: Floats, shift: Floats, at: Floats) -> Floats:
    """Return the noncentral t's distribution function, 0 where scipy loses it by rounding.

    The library returns NaN for some tails below about 1e-11; up to a shift of 4 it never does.
    """
    found = nctdtr(df, shift, at)
    return np.where(np.isnan(found) & (shift > _FAR), 0.0, found)


def _crossing(rising: Callable[[Floats], Floats], low: Floats, high: Floats) -> Floats:
    """Return where rising functions, one per entry, pass 0, by halving the stretch."""
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        is_below = rising(middle) < 0
        low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
    return (low + high) / 2

"""Campaigns of one kind, measured on the same people, pooled and shrunk towards each other.

Model: estimates ~ N(effects, V) with V known and full, because campaigns share recipients;
effects ~ N(mean, tau^2), independent; flat priors on the mean and on tau (Gelman 2006, Bayesian
Analysis 1(3), 515-534, section 2.2). Given tau everything is normal (Gelman et al., Bayesian Data
Analysis, 3rd ed., section 5.4, there with a diagonal V), so tau alone is integrated, on a grid.
One eigendecomposition of V serves every tau: V + tau^2 I has the same eigenvectors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtrit

from core.errors import DataError
from core.measure.ratios import Floats

_TAU_REACH = 3.0
"""The prior of tau ends at this many typical deviations, unless the caller says where."""
_SCAN = np.geomspace(1e-4, 1, 160)
"""Where the density of tau is looked for, as shares of tau_max."""
_NEGLIGIBLE = 14.0
"""Below the peak's log density by this much, tau gets no grid point (a share of 1e-6)."""
_ROOT_2PI = np.sqrt(2 * np.pi)
_SAME = 1e-10
"""Two estimates whose difference varies by no more, relative to their own, are one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Joint:
    """The joint posterior of all effects, as a mixture over tau of normals.

    Attributes:
        member: Position among the distinct estimates of each campaign, shape [k].
        estimates: The distinct estimates in the eigenbasis of their covariance, shape [d].
        ones: A vector of ones in that basis, shape [d].
        eigenvalues: Of the covariance, never negative, shape [d].
        vectors: Eigenvectors in columns, shape [d, d].
        tau: Grid of between-campaign standard deviations, shape [g].
        weights: Posterior probability of each, shape [g].
        mean: Posterior mean of the common mean given each tau, shape [g].
        mean_var: Its posterior variance given each tau, shape [g].
    """

    member: NDArray[np.intp]
    estimates: Floats
    ones: Floats
    eigenvalues: Floats
    vectors: Floats
    tau: Floats
    weights: Floats
    mean: Floats
    mean_var: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hierarchy:
    """A common mean, how much campaigns differ, and each campaign's effect in that light.

    Attributes:
        n: Campaigns.
        n_distinct: Campaigns that are not the same estimate of the same people again.
        confidence_level: Of every interval here.
        mean: Posterior mean of the common mean, in the unit of the estimates.
        mean_sd: Its posterior standard deviation.
        mean_ci_low: mean less t (n_distinct - 1 degrees of freedom) times mean_sd.
        mean_ci_high: mean plus the same.
        tau: Posterior mean of the standard deviation between campaigns; NaN for one campaign.
        prediction_low: Lower limit for the effect of a campaign not yet seen; NaN for one.
        prediction_high: Upper limit.
        shrunk: Posterior mean of each campaign's effect, shape [n].
        shrunk_sd: Its posterior standard deviation, shape [n].
        shrunk_ci_low: Lower posterior quantile of each effect, shape [n].
        shrunk_ci_high: Upper posterior quantile, shape [n].
        joint: What `draws` needs.
    """

    n: int
    n_distinct: int
    confidence_level: float
    mean: float
    mean_sd: float
    mean_ci_low: float
    mean_ci_high: float
    tau: float
    prediction_low: float
    prediction_high: float
    shrunk: Floats
    shrunk_sd: Floats
    shrunk_ci_low: Floats
    shrunk_ci_high: Floats
    joint: Joint


def pool(
    estimates: Floats,
    covariance: Floats,
    *,
    confidence_level: float,
    n_grid: int = 60,
    tau_max: float | None = None,
) -> Hierarchy:
    """Return the pooled mean and the shrunk effects of campaigns whose estimates are correlated.

    Nothing depends on the order of the campaigns, and everything scales with the unit of the
    estimates. Intervals of effects and of a new campaign are quantiles of the mixture over tau,
    not normal approximations: with few campaigns that mixture is long-tailed. The mean's interval
    takes t with one degree of freedom less than campaigns, as simulated (coverage 96 to 97 %); for
    two or three that t is so wide that the mean's interval may exceed the prediction.

    A campaign recorded twice (same people, same instants: equal estimates whose difference does
    not vary) enters once; without that, a difference of exactly 0 without noise would prove that
    tau is 0. The covariance may be singular otherwise.

    Args:
        estimates: One effect per campaign, shape [k], any unit.
        covariance: Covariance of their errors, shape [k, k], that unit squared.
        confidence_level: For example 0.95.
        n_grid: Points that tau is integrated over.
        tau_max: Upper end of the flat prior of tau. Left out: 3 times the larger of the standard
            deviation of the estimates and the median standard error. From four campaigns on it
            hardly matters; for two the posterior of tau would be improper without it, so there
            the prediction interval says what the prior says.

    Returns:
        With one (distinct) campaign nothing is known of tau: the estimate itself, a normal
        interval around it, and NaN for tau and the prediction.

    Raises:
        DataError: Shapes do not fit, a number is not finite, or the matrix is no covariance.
    """
    _check(estimates, covariance, tau_max)
    kept, member = _distinct(estimates, covariance)
    joint = _fit(estimates[kept], covariance[np.ix_(kept, kept)], member, n_grid, tau_max)
    return _summary(joint, confidence_level)


def draws(hierarchy: Hierarchy, *, n: int = 4000, seed: int) -> Floats:
    """Return joint posterior draws of the campaigns' effects, shape [n, campaigns].

    tau from its grid, then the mean given tau, then all effects given both, from their joint
    normal. The same campaigns in another order give the same draws in that order.

    Args:
        hierarchy: As `pool` returns it.
        n: Draws.
        seed: Of the generator; the same seed gives the same draws.
    """
    joint = hierarchy.joint
    rng = np.random.default_rng(seed)
    of = rng.choice(len(joint.tau), size=n, p=joint.weights)
    mean = joint.mean[of] + np.sqrt(joint.mean_var[of]) * rng.standard_normal(n)
    kept, noise_var = _kept_and_noise(joint)
    centre = kept[of] * (joint.estimates - mean[:, None] * joint.ones)
    noise = np.sqrt(noise_var[of]) * rng.standard_normal((n, len(joint.estimates)))
    effects = mean[:, None] + (centre + noise) @ joint.vectors.T
    return effects[:, joint.member]


def _check(estimates: Floats, covariance: Floats, tau_max: float | None) -> None:
    k = len(estimates)
    if k == 0 or estimates.ndim != 1 or covariance.shape != (k, k):
        raise DataError(
            f"Pooling needs k estimates and a k by k covariance, got {estimates.shape} and "
            f"{covariance.shape}: pass the campaigns that have both."
        )
    if not (np.isfinite(estimates).all() and np.isfinite(covariance).all()):
        raise DataError("An estimate or a covariance is not finite: leave that campaign out.")
    scale = np.abs(covariance).max()
    if np.abs(covariance - covariance.T).max() > 1e-8 * scale or (np.diag(covariance) < 0).any():
        raise DataError("The covariance of the campaigns is not symmetric, or has a variance < 0.")
    if tau_max is not None and not 0 < tau_max < np.inf:
        raise DataError(f"tau_max has to be positive and finite, got {tau_max}.")


def _distinct(estimates: Floats, covariance: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the campaigns that enter, in an order of their own, and whose copy each one is."""
    variances = np.diag(covariance)
    order = np.lexsort((variances, estimates))
    y, v = estimates[order], covariance[np.ix_(order, order)]
    own = np.add.outer(np.diag(v), np.diag(v))
    near = np.abs(np.subtract.outer(y, y)) <= _SAME * np.maximum.outer(np.abs(y), np.abs(y))
    first = ((own - 2 * v <= _SAME * own) & near).argmax(axis=1)  # each is its own copy at least
    kept, member = np.unique(first, return_inverse=True)
    of_campaign = np.empty_like(member)
    of_campaign[order] = member
    return order[kept], of_campaign


def _fit(
    y: Floats, v: Floats, member: NDArray[np.intp], n_grid: int, tau_max: float | None
) -> Joint:
    """Return the posterior of distinct estimates."""
    eigenvalues, vectors = np.linalg.eigh(v)
    if eigenvalues[0] < -1e-8 * max(eigenvalues[-1], 0.0):
        raise DataError("The covariance of the campaigns has a negative eigenvalue: not one.")
    eigenvalues = np.maximum(eigenvalues, 0.0)
    basis = (y @ vectors, vectors.sum(axis=0), eigenvalues)
    if len(y) == 1:
        tau, weights, mean, mean_var = np.zeros(1), np.ones(1), y, v[0]
    else:
        end = _default_tau_max(y, v) if tau_max is None else tau_max
        tau, width = _tau_grid(basis, end, n_grid)
        log_density, mean, mean_var = _given_tau(basis, tau)
        weights = width * np.exp(log_density - log_density.max())
    return Joint(
        member=member,
        estimates=basis[0],
        ones=basis[1],
        eigenvalues=eigenvalues,
        vectors=vectors,
        tau=tau,
        weights=weights / weights.sum(),
        mean=mean,
        mean_var=mean_var,
    )


def _default_tau_max(y: Floats, v: Floats) -> float:
    typical = max(float(y.var(ddof=1)), float(np.median(np.diag(v))))
    # equal estimates without any error leave no scale at all; then any positive one does
    return _TAU_REACH * float(np.sqrt(typical)) or 1.0


def _given_tau(basis: tuple[Floats, Floats, Floats], tau: Floats) -> tuple[Floats, Floats, Floats]:
    """Return log p(tau | estimates) up to a constant, and mean and variance of the mean, [g]."""
    estimates, ones, eigenvalues = basis
    precision = 1 / (eigenvalues + tau[:, None] ** 2)
    information = precision @ ones**2
    mean = precision @ (ones * estimates) / information
    residual = estimates - mean[:, None] * ones
    log_density = (
        np.log(precision).sum(axis=1) - np.log(information) - (residual**2 * precision).sum(axis=1)
    ) / 2
    return log_density, mean, 1 / information


def _tau_grid(
    basis: tuple[Floats, Floats, Floats], tau_max: float, n_grid: int
) -> tuple[Floats, Floats]:
    """Return points where the density of tau is, and how much of tau each stands for.

    An even grid up to tau_max would miss the peak where a few imprecise campaigns widen it, so
    the range is found first. Points are quadratically denser at the lower end, where the density
    is sharpest when campaigns share nearly all their people.
    """
    scan = _SCAN * tau_max
    log_density = _given_tau(basis, scan)[0]
    held = np.flatnonzero(log_density > log_density.max() - _NEGLIGIBLE)
    low = scan[held[0] - 1] if held[0] else 0.0
    high = scan[min(held[-1] + 1, len(scan) - 1)]
    step = (np.arange(n_grid) + 0.5) / n_grid
    return low + (high - low) * step**2, step


def _kept_and_noise(joint: Joint) -> tuple[Floats, Floats]:
    """Return, per tau and eigenvector, the share of the estimate kept and the variance left."""
    variance = joint.tau[:, None] ** 2
    total = joint.eigenvalues + variance
    kept = np.divide(variance, total, out=np.zeros_like(total), where=total > 0)
    return kept, kept * joint.eigenvalues


def _summary(joint: Joint, confidence_level: float) -> Hierarchy:
    n_distinct = len(joint.estimates)
    tails = np.array([1 - confidence_level, 1 + confidence_level]) / 2
    mean, mean_sd = _mixture_moments(joint.weights, joint.mean[:, None], joint.mean_var[:, None])
    if n_distinct > 1:
        tau, quantile = float(joint.weights @ joint.tau), float(stdtrit(n_distinct - 1, tails[1]))
        new_var = joint.mean_var + joint.tau**2
        prediction = _mixture_quantiles(
            joint.weights, joint.mean[:, None], new_var[:, None], tails
        )[:, 0]
    else:
        tau, quantile = np.nan, float(ndtri(tails[1]))
        prediction = np.full(2, np.nan)
    effects, effects_var = _effects_given_tau(joint)
    shrunk, shrunk_sd = _mixture_moments(joint.weights, effects, effects_var)
    low, high = _mixture_quantiles(joint.weights, effects, effects_var, tails)
    return Hierarchy(
        n=len(joint.member),
        n_distinct=n_distinct,
        confidence_level=confidence_level,
        mean=float(mean[0]),
        mean_sd=float(mean_sd[0]),
        mean_ci_low=float(mean[0] - quantile * mean_sd[0]),
        mean_ci_high=float(mean[0] + quantile * mean_sd[0]),
        tau=tau,
        prediction_low=float(prediction[0]),
        prediction_high=float(prediction[1]),
        shrunk=shrunk[joint.member],
        shrunk_sd=shrunk_sd[joint.member],
        shrunk_ci_low=low[joint.member],
        shrunk_ci_high=high[joint.member],
        joint=joint,
    )


def _effects_given_tau(joint: Joint) -> tuple[Floats, Floats]:
    """Return mean and variance of each distinct effect given each tau, shapes [g, d]."""
    kept, noise_var = _kept_and_noise(joint)
    residual = joint.estimates - joint.mean[:, None] * joint.ones
    effects = joint.mean[:, None] + (kept * residual) @ joint.vectors.T
    # the effect moves with the mean by what is not kept of its own estimate
    of_mean = ((1 - kept) * joint.ones) @ joint.vectors.T
    variance = noise_var @ joint.vectors.T**2 + of_mean**2 * joint.mean_var[:, None]
    return effects, variance


def _mixture_moments(weights: Floats, means: Floats, variances: Floats) -> tuple[Floats, Floats]:
    mean = weights @ means
    return mean, np.sqrt(weights @ (variances + (means - mean) ** 2))


def _mixture_quantiles(weights: Floats, means: Floats, variances: Floats, levels: Floats) -> Floats:
    """Return quantiles of mixtures of normals, shape [levels, mixtures], by bracketed Newton."""
    sd = np.sqrt(variances)
    reach = ndtri(levels.max())  # a mixture's quantile lies between its components' quantiles
    low = np.tile((means - reach * sd).min(axis=0), (len(levels), 1))
    high = np.tile((means + reach * sd).max(axis=0), (len(levels), 1))
    close_enough = 1e-11 * (high - low)
    sd = np.where(sd > 0, sd, np.finfo(float).tiny)
    x: Floats = (low + high) / 2
    for _ in range(60):
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # where sd is 0
            z = (x[:, None, :] - means) / sd
            excess = np.einsum("g,lgm->lm", weights, ndtr(z)) - levels[:, None]
            density = np.einsum("g,lgm->lm", weights, np.exp(-(z**2) / 2) / (_ROOT_2PI * sd))
            newton = x - excess / density
        low, high = np.where(excess < 0, x, low), np.where(excess < 0, high, x)
        is_inside = (newton > low) & (newton < high)
        before, x = x, np.where(is_inside, newton, (low + high) / 2)
        if (np.abs(x - before) <= close_enough).all():
            break
    return x

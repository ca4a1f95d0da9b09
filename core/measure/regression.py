"""Meta-regression: what the effects of campaigns that share people depend on.

Model: effects ~ N(X b, V + tau^2 I), V known and full because campaigns share recipients. tau^2 by
restricted likelihood, which is the likelihood of the estimates' part outside the span of X: in the
eigenbasis of V there it is a sum over single terms, so that no matrix is inverted to find it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from core.errors import DataError
from core.measure.ratios import Floats

_SCAN = np.concatenate([[0.0], np.geomspace(1e-8, 1, 200)])
_STEPS = 60
_RIDGE = 1e-9
"""Share of the mean variance that is added to each: two records of one campaign are then no
singular covariance."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MetaRegression:
    """Coefficients, in the unit of the effects, and what tells how sure they are.

    Attributes:
        coefficients: One a column of the design.
        covariance: Of the coefficients, Knapp and Hartung's factor included.
        conditional: Of the coefficients where these campaigns are all there is to say: the errors
            of their effects, not how much effects differ.
        df: Estimates less columns.
        tau2: Variance of the true effects around the regression, by REML.
        factor: What the covariance was multiplied by; never below 1.
        n: Estimates.
    """

    coefficients: Floats
    covariance: Floats
    conditional: Floats
    df: int
    tau2: float
    factor: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination:
    """A weighted sum of coefficients, and its test against 0.

    Attributes:
        estimate: The sum.
        standard_error: Of it.
        ci_low: Lower limit, t on `df` degrees of freedom.
        ci_high: Upper limit.
        statistic: t.
        df: Degrees of freedom.
        pvalue: Two-sided.
        conditional: Whether it is apart from 0 in these campaigns, whatever others would do.
    """

    estimate: float
    standard_error: float
    ci_low: float
    ci_high: float
    statistic: float
    df: int
    pvalue: float
    conditional: Conditional


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditional:
    """The same sum as a statement about these campaigns alone: normal, no variance between them.

    Attributes:
        standard_error: Of the sum.
        ci_low: Lower limit.
        ci_high: Upper limit.
        pvalue: Two-sided.
    """

    standard_error: float
    ci_low: float
    ci_high: float
    pvalue: float


def meta_regression(effects: Floats, covariance: Floats, design: Floats) -> MetaRegression:
    """Return the random-effects regression of effects whose errors are correlated.

    Sources: REML with a full error covariance, Harville (1977), JASA 72(358), 320-338; the test
    with an estimated scale and t on estimates less columns, Knapp and Hartung (2003), Stat. Med.
    22(17), 2693-2710, its factor held at 1 or more (Roever, Knapp and Friede 2015, BMC Med. Res.
    Methodol. 15:99), which makes it conservative where effects differ by their noise alone.
    Inference about these campaigns or about campaigns like them: Hedges and Vevea (1998),
    Psychol. Methods 3(4), 486-504; the weights are the same, so that one estimate has two
    intervals.

    Args:
        effects: Shape [k], any unit.
        covariance: Of their errors, shape [k, k], that unit squared.
        design: Shape [k, p], of full rank, p < k.

    Raises:
        DataError: Shapes do not fit, a number is not finite, or the design leaves nothing over.
    """
    n, p = _checked(effects, covariance, design)
    own = covariance + _RIDGE * np.trace(covariance) / n * np.eye(n)
    basis, triangle = np.linalg.qr(design, mode="complete")
    if np.abs(np.diag(triangle)).min() <= 1e-9 * np.abs(np.diag(triangle)).max():
        raise DataError("The columns of the design say the same: leave one of them out.")
    left = basis[:, p:]
    variances, vectors = np.linalg.eigh(left.T @ own @ left)
    rest = vectors.T @ (left.T @ effects)
    variances = np.maximum(variances, np.finfo(float).tiny)
    tau2 = _reml(rest, variances)
    factor = max(1.0, float((rest**2 / (variances + tau2)).sum() / (n - p)))
    weighed = np.linalg.solve(own + tau2 * np.eye(n), np.column_stack([design, effects]))
    unscaled = np.linalg.inv(design.T @ weighed[:, :p]).astype(np.float64)
    weights = unscaled @ weighed[:, :p].T
    return MetaRegression(
        coefficients=weights @ effects, covariance=factor * unscaled,
        conditional=weights @ own @ weights.T, df=n - p, tau2=tau2, factor=factor, n=n,
    )  # fmt: skip


def combined(fit: MetaRegression, weights: Floats, *, confidence_level: float) -> Combination:
    """Return a weighted sum of coefficients with its interval and test.

    Args:
        fit: The regression.
        weights: One a coefficient.
        confidence_level: For example 0.95.
    """
    estimate = float(weights @ fit.coefficients)
    error = float(np.sqrt(weights @ fit.covariance @ weights))
    half = float(stdtrit(fit.df, (1 + confidence_level) / 2)) * error
    statistic = estimate / error
    return Combination(
        estimate=estimate, standard_error=error, ci_low=estimate - half, ci_high=estimate + half,
        statistic=statistic, df=fit.df, pvalue=float(2 * stdtr(fit.df, -abs(statistic))),
        conditional=_conditional(fit, weights, estimate, confidence_level),
    )  # fmt: skip


def _conditional(
    fit: MetaRegression, weights: Floats, estimate: float, confidence_level: float
) -> Conditional:
    error = float(np.sqrt(weights @ fit.conditional @ weights))
    half = float(ndtri((1 + confidence_level) / 2)) * error
    return Conditional(
        standard_error=error, ci_low=estimate - half, ci_high=estimate + half,
        pvalue=float(2 * ndtr(-abs(estimate) / error)),
    )  # fmt: skip


def _checked(effects: Floats, covariance: Floats, design: Floats) -> tuple[int, int]:
    n = len(effects)
    if effects.ndim != 1 or covariance.shape != (n, n) or design.ndim != 2 or len(design) != n:
        raise DataError(
            f"A meta-regression needs k effects, a k by k covariance and k rows of design, got "
            f"{effects.shape}, {covariance.shape} and {design.shape}."
        )
    if design.shape[1] >= n or not design.shape[1]:
        raise DataError(
            f"{n} effects cannot carry {design.shape[1]} coefficients: there have to be more "
            "effects than coefficients, and at least one."
        )
    if not all(np.isfinite(part).all() for part in (effects, covariance, design)):
        raise DataError("An effect, its covariance or the design is not finite: leave it out.")
    if not (np.diag(covariance) > 0).all():
        raise DataError("An effect without any variance cannot be weighed: leave it out.")
    return n, design.shape[1]


def _reml(rest: Floats, variances: Floats) -> float:
    """Return the variance that maximises the likelihood of independent normals of mean 0.

    Scanned before it is refined: the likelihood can have two peaks.
    """
    scan = _SCAN * len(rest) * float((rest**2).max())
    if scan[-1] == 0:
        return 0.0
    total = variances + scan[:, None]
    best = int((-np.log(total) - rest**2 / total).sum(axis=1).argmax())

    def is_rising(tau2: float) -> bool:
        total = variances + tau2
        return bool((rest**2 / total**2 - 1 / total).sum() > 0)

    if best == 0 and not is_rising(0.0):
        return 0.0
    low, high = float(scan[max(best - 1, 0)]), float(scan[min(best + 1, len(scan) - 1)])
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_rising(middle) else (low, middle)
    return (low + high) / 2

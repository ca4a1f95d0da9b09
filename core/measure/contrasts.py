"""What every method gives: the rate with the push, the rate expected without it, and on whom.

All methods end in two means and one influence value of each per person. Standard error, interval,
p-value and percent lift follow from these in one place, so that no two of them can contradict
each other, and the covariance of any two estimates is a product of their influence values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from core.measure.ratios import Floats, RatioSet, relative_effect

EVIDENCE = {
    "holdout": "A", "comparison": "B", "joint": "C", "self_control": "C", "window": "D",
    "classic": "E",
}  # fmt: skip
"""Method -> grade, the best first: A randomised, to E plain before and after."""
VERDICT_EVIDENCE = ("A", "B", "C")
"""Grades a verdict or a ranking may rest on; D and E describe."""
Values = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contrast:
    """One campaign by one method, an entry a metric.

    Attributes:
        method: The method.
        post: Mean rate after the push, events per user per day.
        expected: Mean rate expected without it.
        df: Degrees of freedom.
        persons: Int64[persons], whom the estimate rests on, each once.
        psi_post: Float32[persons, metrics], influence of each person on `post`; the squares'
            sum is the variance, small-sample factor included.
        psi_expected: The same for `expected`.
        n_users: Pushed users.
        n_comparison: Users (or windows) they are compared with.
        support: Share of the pushed users for whom there was somebody comparable.
        status: "ok", or why there is no number.
        variances: var_post, var_expected and cov, an entry a metric, where they do not follow
            from the influence values.
    """

    method: str
    post: Floats
    expected: Floats
    df: Floats
    persons: NDArray[np.int64]
    psi_post: Values
    psi_expected: Values
    n_users: int
    n_comparison: int
    support: float = 1.0
    status: str = "ok"
    variances: tuple[Floats, Floats, Floats] | None = None

    @property
    def is_known(self) -> bool:
        """Return whether there is a number."""
        return self.status == "ok"


def missing(method: str, status: str, *, n_metrics: int, n_users: int = 0) -> Contrast:
    """Return a contrast without numbers, and why."""
    nothing = np.full(n_metrics, np.nan)
    none = np.zeros((0, n_metrics), dtype=np.float32)
    return Contrast(
        method=method, post=nothing, expected=nothing, df=nothing,
        persons=np.empty(0, dtype=np.int64), psi_post=none, psi_expected=none, n_users=n_users,
        n_comparison=0, status=status,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inference:
    """What follows from two means and their covariance, one entry per contrast and metric.

    Attributes:
        effect_size: post - expected, events per user per day.
        standard_error: Of it.
        ci_low: Interval of the effect.
        ci_high: Interval of the effect.
        statistic: t.
        pvalue: Two-sided.
        relative: The percent lift; its set excludes zero exactly when p < 1 - confidence.
    """

    effect_size: Floats
    standard_error: Floats
    ci_low: Floats
    ci_high: Floats
    statistic: Floats
    pvalue: Floats
    relative: RatioSet


def infer(
    post: Floats,
    expected: Floats,
    *,
    var_post: Floats,
    var_expected: Floats,
    cov: Floats,
    df: Floats,
    confidence_level: float,
) -> Inference:
    """Return effect, interval, p-value and Fieller's percent lift of pairs of means.

    Source of the test: the t statistic of a difference with an estimated variance; of the
    percent lift: `relative_effect`. Without any variation nothing can be tested: p is missing.

    Args:
        post: Mean rates after the push.
        expected: Mean rates expected without it.
        var_post: Variances of those means.
        var_expected: Variances of the expected means.
        cov: Covariances of the two.
        df: Degrees of freedom.
        confidence_level: For example 0.95.
    """
    effect = post - expected
    spread = var_post + var_expected
    variance = spread - 2 * cov
    varies = variance > 1e-12 * spread
    known = np.maximum(df, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.where(varies, np.sqrt(np.maximum(variance, 0)), np.nan)
        t = effect / error
        half = stdtrit(known, (1 + confidence_level) / 2) * error
        relative = relative_effect(
            post, expected, var_post=var_post, var_base=var_expected, cov=cov, df=df,
            confidence_level=confidence_level,
        )  # fmt: skip
    return Inference(
        effect_size=effect,
        standard_error=error,
        ci_low=effect - half,
        ci_high=effect + half,
        statistic=t,
        pvalue=2 * stdtr(known, -np.abs(t)),
        relative=relative,
    )


def moments(contrasts: Sequence[Contrast]) -> tuple[Floats, Floats, Floats]:
    """Return var_post, var_expected and cov of each contrast and metric, [contrasts, metrics]."""
    found = [c.variances or _from_influence(c) for c in contrasts]
    post, expected, cov = (np.stack(part) for part in zip(*found, strict=True))
    return post, expected, cov


def _from_influence(contrast: Contrast) -> tuple[Floats, Floats, Floats]:
    post, expected = (psi.astype(np.float64) for psi in (contrast.psi_post, contrast.psi_expected))
    pairs = ((post, post), (expected, expected), (post, expected))
    first, second, both = (np.einsum("ij,ij->j", a, b) for a, b in pairs)
    return first, second, both

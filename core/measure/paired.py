"""The classic paired comparison: each user's rate after against the same user's rate before.

It answers "were they more active afterwards", not "because of the push": see the evidence grade.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.extensions import ExtensionArray
from scipy.special import stdtr, stdtrit

from core.measure.ratios import Floats, RatioSet, relative_effect

Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moments:
    """Means and (co)variances of paired rates, one entry per group.

    Attributes:
        n: Users in the group.
        base: Mean baseline rate, events per user per day.
        post: Mean post rate.
        var_base: Sample variance over users (n - 1) of the baseline rates; NaN below 2 users.
        var_post: The same of the post rates.
        cov: Their sample covariance.
    """

    n: Floats
    base: Floats
    post: Floats
    var_base: Floats
    var_post: Floats
    cov: Floats

    @property
    def var_diff(self) -> Floats:
        """Return the sample variance of the users' differences, 0 where only rounding is left."""
        spread = self.var_post + self.var_base
        variance = spread - 2 * self.cov
        rounding = 1e-12 * spread + 1e-24 * (self.post**2 + self.base**2)
        varies = variance > rounding
        return np.where(varies | np.isnan(spread), variance, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairedEffects:
    """Paired effects, one entry per group; NaN where a number cannot be had.

    Attributes:
        effect_size: Mean difference, events per user per day.
        standard_error: Of effect_size.
        ci_low: Interval of effect_size.
        ci_high: Interval of effect_size.
        statistic: t.
        df: n - 1.
        pvalue: Two-sided.
        effect_size_std: Cohen's d_z, mean difference over the differences' standard deviation.
        sd_diff: That standard deviation.
        relative: The percent lift.
    """

    effect_size: Floats
    standard_error: Floats
    ci_low: Floats
    ci_high: Floats
    statistic: Floats
    df: Floats
    pvalue: Floats
    effect_size_std: Floats
    sd_diff: Floats
    relative: RatioSet


def group_moments(base: Floats, post: Floats, groups: Codes, n_groups: int) -> Moments:
    """Return the moments of paired rates within groups.

    Args:
        base: Baseline rate of each user.
        post: Post rate of each user.
        groups: Group of each user, 0 to n_groups - 1.
        n_groups: How many groups there are; one without users has n = 0 and NaN elsewhere.
    """
    n = np.bincount(groups, minlength=n_groups).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_base, mean_post = sums(base, groups, n_groups) / n, sums(post, groups, n_groups) / n
        # centred before squaring: sums of squares of near-equal rates would cancel
        left, right = base - mean_base[groups], post - mean_post[groups]
        free = np.where(n > 1, n - 1, np.nan)
        return Moments(
            n=n,
            base=mean_base,
            post=mean_post,
            var_base=sums(left * left, groups, n_groups) / free,
            var_post=sums(right * right, groups, n_groups) / free,
            cov=sums(left * right, groups, n_groups) / free,
        )


def paired_effects(
    moments: Moments, *, confidence_level: float, df: Floats | None = None
) -> PairedEffects:
    """Return the paired t-test with interval, d_z and percent lift of each group.

    Assumes independent users and a stationary rate without the push. Source: Student (1908);
    d_z: Cohen (1988), Statistical Power Analysis, 2.3.5; percent lift: `relative_effect`.
    Without variation p is 1 where nothing changed and missing otherwise.
    """
    n, df = moments.n, moments.n - 1 if df is None else df
    effect, sd = moments.post - moments.base, np.sqrt(moments.var_diff)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = sd / np.sqrt(n)
        varies = error > 0
        t = np.where(varies, effect / error, np.nan)
        d_z = np.where(varies, effect / sd, np.nan)
        half = stdtrit(np.maximum(df, 1), (1 + confidence_level) / 2) * error
        unchanged = np.where((sd == 0) & (effect == 0), 1.0, np.nan)
        pvalue = np.where(varies, 2 * stdtr(np.maximum(df, 1), -np.abs(t)), unchanged)
        half = np.where(varies, half, np.nan)
        relative = relative_effect(
            moments.post,
            moments.base,
            var_post=moments.var_post / n,
            var_base=moments.var_base / n,
            cov=moments.cov / n,
            df=df,
            confidence_level=confidence_level,
        )
    return PairedEffects(
        effect_size=effect,
        standard_error=error,
        ci_low=effect - half,
        ci_high=effect + half,
        statistic=t,
        df=df,
        pvalue=pvalue,
        effect_size_std=d_z,
        sd_diff=sd,
        relative=relative,
    )


def effect_columns(moments: Moments, effects: PairedEffects) -> dict[str, Floats]:
    """Return the rate and effect columns that every table of effects has, one entry per group."""
    relative = effects.relative
    return {
        "baseline_rate": moments.base,
        "post_rate": moments.post,
        "expected_rate": moments.base,
        "effect_size": effects.effect_size,
        "effect_size_ci_low": effects.ci_low,
        "effect_size_ci_high": effects.ci_high,
        "rel_effect_size": relative.estimate,
        "rel_effect_size_ci_low": relative.ci_low,
        "rel_effect_size_ci_high": relative.ci_high,
        "statistic": effects.statistic,
        "df": effects.df,
        "pvalue": effects.pvalue,
        "standard_error": effects.standard_error,
    }


def first_reason(reasons: Mapping[str, NDArray[np.bool_]]) -> ExtensionArray:
    """Return the name of the first reason that holds for each group, "ok" where none does."""
    found = np.select(list(reasons.values()), list(reasons), default="ok")
    return pd.array(found.astype(object), dtype="str")


def clustered_moments(
    base: Floats, post: Floats, groups: Codes, clusters: Codes, n_groups: int
) -> tuple[Moments, Floats]:
    """Return moments of pushes whose (co)variances allow for pushes of one person hanging together.

    The (co)variances are scaled so that dividing by n gives the cluster-robust (co)variance of
    the means, with the factor G / (G - 1): Liang and Zeger (1986), Biometrika 73, 13-22.

    Args:
        base: Baseline rate of each push.
        post: Post rate of each push.
        groups: Group of each push.
        clusters: Person code of each push, from 0.
        n_groups: How many groups there are.

    Returns:
        The moments with n counting pushes, and the number of persons in each group.
    """
    pairs, cell = _pair_codes(groups, clusters)
    n = np.bincount(groups, minlength=n_groups).astype(float)
    persons = np.bincount(pairs, minlength=n_groups).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_base, mean_post = sums(base, groups, n_groups) / n, sums(post, groups, n_groups) / n
        scale = np.where(persons > 1, persons / (persons - 1), np.nan) / n
    left = sums(base - mean_base[groups], cell, len(pairs))
    right = sums(post - mean_post[groups], cell, len(pairs))
    moments = Moments(
        n=n,
        base=mean_base,
        post=mean_post,
        var_base=sums(left * left, pairs, n_groups) * scale,
        var_post=sums(right * right, pairs, n_groups) * scale,
        cov=sums(left * right, pairs, n_groups) * scale,
    )
    return moments, persons


def sums(values: NDArray[np.generic], groups: Codes, n_groups: int) -> Floats:
    """Return the sum of values in each group, 0 for a group without any."""
    return np.bincount(groups, weights=values, minlength=n_groups).astype(np.float64)


def _pair_codes(groups: Codes, clusters: Codes) -> tuple[Codes, Codes]:
    """Return the group of each distinct (group, cluster) pair, and the pair of each row."""
    width = int(clusters.max()) + 1 if len(clusters) else 1
    pairs, cell = np.unique(groups * width + clusters, return_inverse=True)
    return pairs // width, cell.astype(np.int64)

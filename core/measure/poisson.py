"""Poisson regression with a level for each arm, and each row's influence on the slopes.

Source: pseudo-maximum likelihood, consistent for a multiplicative mean whatever the counts'
distribution; Gourieroux, Monfort and Trognon (1984), Econometrica 52(3), 701-720.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from core.activity.timelines import Int64
from core.measure.ratios import Floats

FARTHEST = 12.0
"""Beyond this a log level is nonsense, and exp of it a trap."""
_STEPS, _CLOSE, _RIDGE = 40, 1e-9, 1e-7
_ENOUGH = 1e-3
"""Gain in log likelihood below which a step was the last."""
_PART = 8_000
"""Rows that the first steps are taken on."""


class Fit(NamedTuple):
    """Slopes, and the influence of each row on them, [rows, columns]."""

    slopes: Floats
    influence: Floats


def fit_slopes(x: Floats, counts: Floats, days: Floats, arms: Int64) -> Fit:
    """Return the slopes of a Poisson regression with a level for each arm, and influences.

    The levels follow from the slopes in closed form and are taken out; Newton's steps for the
    rest, the first ones on a part of the rows. Influences have leave-one-out residuals (HC3), as
    in `imputation`.

    Args:
        x: Floats[rows, columns], covariates, about standardised, no constant.
        counts: Events of each row.
        days: How long they were counted.
        arms: Int64[rows], rows of one arm share a level.
    """
    every = slice(None, None, max(len(x) // _PART, 1))
    slopes = np.zeros(x.shape[1])
    if len(x) > 2 * _PART:
        slopes = _climbed(_Likelihood.of(x[every], counts[every], days[every], arms[every]), slopes)
    told = _Likelihood.of(x, counts, days, arms)
    slopes = _climbed(told, slopes)
    mean = told.at(slopes)[0]
    means, inverse = told.curvature(mean)
    centred = x - means[told.arms]
    turned = centred @ inverse
    leverage = np.einsum("ij,ij->i", turned, centred) * mean
    free = (counts - mean) / np.clip(1 - leverage, 0.5, 1.0)
    return Fit(slopes=slopes, influence=turned * free[:, None])


class _Likelihood(NamedTuple):
    """The likelihood of slopes, the levels of the arms at their best for each."""

    x: Floats
    counts: Floats
    days: Floats
    arms: Int64
    by_arm: csr_array
    seen: Floats

    @classmethod
    def of(cls, x: Floats, counts: Floats, days: Floats, arms: Int64) -> _Likelihood:
        """Return it for some rows; arms are numbered anew."""
        own = np.unique(arms, return_inverse=True)[1].astype(np.int64)
        n = int(own.max()) + 1
        seen: Floats = np.bincount(own, weights=counts, minlength=n).astype(np.float64)
        return cls(x, counts, days, own, sparse_by(own, np.ones(len(own)), n), seen)

    def at(self, slopes: Floats) -> tuple[Floats, float]:
        """Return the expected counts and the log likelihood, up to a constant."""
        eta = np.clip(self.x @ slopes, -FARTHEST, FARTHEST)
        model = np.exp(eta) * self.days
        totals = self.by_arm @ model
        told = float(self.counts @ eta - self.seen @ np.log(totals))
        return model * (self.seen / totals)[self.arms], told

    def curvature(self, mean: Floats) -> tuple[Floats, Floats]:
        """Return the arms' expected covariates, and the inverse information of the slopes."""
        weighed = self.x * mean[:, None]
        sums = self.by_arm @ weighed
        means = sums / np.maximum(self.seen, 1e-12)[:, None]
        information = self.x.T @ weighed - means.T @ sums
        information[np.diag_indices_from(information)] += (
            _RIDGE * np.trace(information) / len(information) + np.finfo(float).tiny
        )
        inverse: Floats = np.linalg.inv(information)
        return means, inverse

    def slope(self, mean: Floats) -> Floats:
        """Return the score; the levels' part of it is 0."""
        return self.x.T @ (self.counts - mean)


def _climbed(told: _Likelihood, slopes: Floats) -> Floats:
    """Return the best slopes: Newton's steps, halved until the likelihood rises."""
    mean, likelihood = told.at(slopes)
    for _ in range(_STEPS):
        step = told.curvature(mean)[1] @ told.slope(mean)
        new_mean, new_likelihood = told.at(slopes + step)
        while new_likelihood < likelihood and np.abs(step).max() > _CLOSE:
            step = step / 2
            new_mean, new_likelihood = told.at(slopes + step)
        gain = new_likelihood - likelihood
        slopes, mean, likelihood = slopes + step, new_mean, new_likelihood
        if gain < _ENOUGH:
            break
    return slopes


def sparse_by(groups: Int64, values: Floats, n_groups: int) -> csr_array:
    """Return a matrix that sums rows weighted by values within groups, [groups, rows]."""
    return csr_array((values, (groups, np.arange(len(groups)))), shape=(n_groups, len(groups)))

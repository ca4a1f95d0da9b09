"""What pushed users would have done, learnt from users who were not pushed.

Source: the imputation (Oaxaca-Blinder) estimator of the effect on the treated; P. Kline (2011),
Oaxaca-Blinder as a reweighting estimator, American Economic Review 101(3), 532-537. The
covariance is the usual linearisation with leave-one-out residuals; W. Lin (2013), Annals of Applied
Statistics 7(1), 295-318, for the randomised case.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from core.measure.ratios import Floats

_RIDGE = 1e-9
_LEAST_FREE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TwoMeans:
    """Mean outcome with and without, and each row's influence on both.

    Attributes:
        post: Mean outcome of the pushed.
        expected: What they would have done.
        psi_pushed: Floats[pushed, 2], influence of the pushed rows on (post, expected).
        psi_others: Floats[others, 2], the same of the comparison rows.
    """

    post: float
    expected: float
    psi_pushed: Floats
    psi_others: Floats


def impute(outcome1: Floats, x1: Floats, outcome0: Floats, x0: Floats) -> TwoMeans:
    """Return the pushed users' mean outcome and the one predicted from the others.

    Regresses the others' outcome on x and predicts at the pushed users' x.

    Args:
        outcome1: Outcomes of the pushed.
        x1: Floats[pushed, columns], their covariates, a constant or full set of dummies included.
        outcome0: Outcomes of the others.
        x0: Floats[others, columns].
    """
    scale = np.sqrt((x0**2).mean(axis=0))
    known = scale > 0
    x0, x1 = x0[:, known] / scale[known], x1[:, known] / scale[known]
    factor = _factor(x0)
    predicted = x1 @ cho_solve(factor, x0.T @ outcome0)
    residual, weight = _free(x0, outcome0, factor), x0 @ cho_solve(factor, x1.mean(axis=0))
    n1 = len(outcome1)
    post, expected = float(outcome1.mean()), float(predicted.mean())
    return TwoMeans(
        post=post,
        expected=expected,
        psi_pushed=np.column_stack([outcome1 - post, predicted - expected]) / n1,
        psi_others=np.column_stack([np.zeros(len(outcome0)), weight * residual]),
    )


def adjust(outcome1: Floats, x1: Floats, outcome0: Floats, x0: Floats) -> TwoMeans:
    """Return both arms' mean outcomes of a randomised comparison, adjusted for x.

    Each arm is regressed on x by itself and both are predicted at the mean x of all (Lin 2013).

    Args:
        outcome1: Outcomes of those assigned to be pushed.
        x1: Floats[assigned, columns], covariates from before, no constant.
        outcome0: Outcomes of those held out.
        x0: Floats[held out, columns].
    """
    everybody = np.concatenate([x1, x0])
    centre, scale = everybody.mean(axis=0), everybody.std(axis=0)
    known = scale > 0
    arms = [((x - centre) / np.where(known, scale, 1.0))[:, known] for x in (x1, x0)]
    n = len(everybody)
    means, psi = [], []
    for x, outcome in zip(arms, (outcome1, outcome0), strict=True):
        design = np.column_stack([np.ones(len(x)), x])
        factor = _factor(design)
        slopes = cho_solve(factor, design.T @ outcome)
        to_mean = np.zeros(design.shape[1])
        to_mean[0] = 1.0
        own = (design @ cho_solve(factor, to_mean)) * _free(design, outcome, factor)
        means.append(float(slopes[0]))
        psi.append((own, [arm @ slopes[1:] / n for arm in arms]))
    pushed = np.column_stack([psi[0][0] + psi[0][1][0], psi[1][1][0]])
    others = np.column_stack([psi[0][1][1], psi[1][0] + psi[1][1][1]])
    return TwoMeans(post=means[0], expected=means[1], psi_pushed=pushed, psi_others=others)


def _factor(x: Floats) -> tuple[Floats, bool]:
    gram = x.T @ x
    gram[np.diag_indices_from(gram)] += _RIDGE * np.trace(gram) / max(len(gram), 1)
    factor: tuple[Floats, bool] = cho_factor(gram)
    return factor


def _free(x: Floats, outcome: Floats, factor: tuple[Floats, bool]) -> Floats:
    """Return residuals divided by what leverage leaves them: as if each were left out (HC3).

    MacKinnon and White (1985), Journal of Econometrics 29(3), 305-325. With the root of it (HC2)
    heavy-tailed counts rejected 7 to 8 % instead of 5.
    """
    residual = outcome - x @ cho_solve(factor, x.T @ outcome)
    leverage = np.einsum("ij,ij->i", x, cho_solve(factor, x.T).T)
    scaled: Floats = residual / np.clip(1 - leverage, _LEAST_FREE, 1)
    return scaled

"""Influence values of many contrasts side by side: sums and covariances over shared people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.measure.contrasts import Contrast, Values
from core.measure.ratios import Floats


def weighted_sum(
    contrasts: Sequence[Contrast], weights: Floats, *, n_persons: int, n_metrics: int
) -> tuple[Floats, Floats]:
    """Return the influence of each person on weighted sums of post and expected rates.

    Args:
        contrasts: Of the pooled campaigns.
        weights: One a contrast, standard-error scales not included.
        n_persons: Persons of the study.
        n_metrics: Metrics.

    Returns:
        Two arrays Floats[persons, metrics]. A person in several campaigns stands once, so the
        covariance of campaigns that share people is counted in full.
    """
    post, expected = np.zeros((n_persons, n_metrics)), np.zeros((n_persons, n_metrics))
    for contrast, weight in zip(contrasts, weights, strict=True):
        post[contrast.persons] += weight * contrast.psi_post
        expected[contrast.persons] += weight * contrast.psi_expected
    return post, expected


def log_ratio_influence(
    contrasts: Sequence[Contrast], metric: int, *, n_persons: int
) -> tuple[Floats, Values]:
    """Return log(post / expected) and each person's influence on it, linearised.

    On the scale of ratios an expectation that came out too high makes the ratio low and precise
    at once, and pooling by precision is drawn down by it (simulated: -5 points of +10 % with
    standard errors of 22 %); logs are free of that to first order.

    Returns:
        Floats[contrasts] and Float32[persons, contrasts].
    """
    psi = np.zeros((n_persons, len(contrasts)), dtype=np.float32)
    logs = np.empty(len(contrasts))
    for place, one in enumerate(contrasts):
        post, expected = one.post[metric], one.expected[metric]
        logs[place] = np.log(post / expected)
        own = one.psi_post[:, metric] / post - one.psi_expected[:, metric] / expected
        psi[one.persons, place] = own
    return logs, psi

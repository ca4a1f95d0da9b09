"""The classic paired comparison in the shape of every other method."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.measure.contrasts import Contrast, missing
from core.measure.panel import Panel, UserRates

CLASSIC = "classic"


def classic(panel: Panel, rates: Sequence[UserRates], campaign: int) -> Contrast:
    """Return each recipient's rate after against the same recipient's rate before.

    It answers "were they more active afterwards", not "because of the push". Influence values of
    a mean of n: (value - mean) / n, times the root of n / (n - 1).

    Args:
        panel: The measured pushes.
        rates: Each push's rates, one entry per metric, all of the same pushes.
        campaign: Which campaign.
    """
    rows = panel.segments[campaign]
    used = np.stack([of_metric.is_used[rows] for of_metric in rates], axis=1)
    some = used.any(axis=1)
    n = used.sum(axis=0)
    if (n < 2).any():
        return missing(CLASSIC, "too_few_users", n_metrics=len(rates), n_users=int(n.max()))
    base = np.stack([of_metric.base[rows] for of_metric in rates], axis=1)
    post = np.stack([of_metric.post[rows] for of_metric in rates], axis=1)
    mean_base, mean_post = (np.where(used, values, 0).sum(axis=0) / n for values in (base, post))
    scale = used / np.sqrt(n * (n - 1.0))
    return Contrast(
        method=CLASSIC,
        post=mean_post,
        expected=mean_base,
        df=n - 1.0,
        persons=panel.persons[rows][some],
        psi_post=((post - mean_post) * scale)[some].astype(np.float32),
        psi_expected=((base - mean_base) * scale)[some].astype(np.float32),
        n_users=int(n.max()),
        n_comparison=0,
    )

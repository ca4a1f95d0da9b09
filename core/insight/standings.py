"""Where campaigns stand: joint draws of their effects, people that campaigns share counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.measure.hierarchy import pool
from core.measure.influence import log_ratio_influence
from core.measure.layered import layered_draws
from core.measure.layers import Member
from core.measure.ratios import Floats

_SEED = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Standing:
    """One metric's campaigns.

    Attributes:
        campaign_ids: Whose effects were drawn: those with a shrunk effect in LIFTS.
        layers: Their layers.
        draws: Joint posterior draws of the relative effects, shape [draws, campaigns].
    """

    campaign_ids: pd.Index
    layers: pd.Index
    draws: Floats


def standings(
    found: Sequence[Member], lifts: pd.DataFrame, campaigns: pd.DataFrame, *, n_persons: int
) -> Mapping[str, Standing]:
    """Return each metric's joint draws; a metric without a pooled campaign is left out.

    Args:
        found: The headline's members; positions are rows of `campaigns`.
        lifts: frames.LIFTS of the same campaigns, metrics in the members' order.
        campaigns: frames.CAMPAIGNS.
        n_persons: Persons of the study.
    """
    heads = lifts[lifts["headline"]]
    shrunk = heads.pivot(
        index="campaign_id", columns="metric", values="shrunk_rel_effect_size"
    ).reindex(campaigns["campaign_id"])
    standing = {}
    for metric, name in enumerate(dict.fromkeys(lifts["metric"])):
        is_drawn = shrunk[name].notna().to_numpy()
        usable = [one for one in found if is_drawn[one.position]]
        if usable:
            standing[str(name)] = _standing(usable, campaigns, metric, n_persons)
    return standing


def _standing(
    usable: Sequence[Member], campaigns: pd.DataFrame, metric: int, n_persons: int
) -> Standing:
    logs, psi = log_ratio_influence([one.contrast for one in usable], metric, n_persons=n_persons)
    exact = psi.astype(np.float64)
    layers = pd.Index([one.layer for one in usable], dtype="str")
    groups = np.unique(layers.to_numpy(), return_inverse=True)[1].astype(np.intp)
    covariance = exact.T @ exact
    # only the posterior of tau is used of them, which no confidence enters
    hierarchies = [
        pool(logs[own], covariance[np.ix_(own, own)], confidence_level=0.95)
        for own in (np.flatnonzero(groups == group) for group in range(groups.max() + 1))
    ]
    drawn = layered_draws(logs, covariance, groups, hierarchies, seed=_SEED)
    return Standing(
        campaign_ids=pd.Index(campaigns["campaign_id"].iloc[[one.position for one in usable]]),
        layers=layers,
        draws=np.expm1(drawn),
    )

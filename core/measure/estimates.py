"""Every method on every campaign, and its self-checks: computed once, whatever is shown of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from core.measure.classic import CLASSIC, classic
from core.measure.comparison import COMPARISON, HOLDOUT, randomised_and_compared
from core.measure.contrasts import Contrast, missing
from core.measure.holes import INCOMPLETE
from core.measure.joint import JOINT, joint
from core.measure.panel import UserRates
from core.measure.placebo import (
    FalsePositives,
    Placebos,
    collected,
    false_positives,
    placebos_of,
    wilson,
)
from core.measure.self_control import SELF_CONTROL, self_control
from core.measure.study import Study
from core.measure.window_control import WINDOW, window

ORDER = (HOLDOUT, COMPARISON, SELF_CONTROL, JOINT, WINDOW, CLASSIC)
"""The best evidence first."""
WIDEN_FROM = 1.2
NEGATIVE_CONTROL = "negative_control"
FEWEST_CHECKS = 10
"""Placebo estimates (campaigns x dates) below which their spread is too uncertain to act on."""
_THREADS = 2
_LOOKING_BACK = (SELF_CONTROL, WINDOW)
"""Methods that look further back than the windows a campaign needs anyway."""
_ONE_BY_ONE = (HOLDOUT, COMPARISON, SELF_CONTROL, WINDOW)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Estimates:
    """What every method says, and how it did where there was nothing to find.

    Attributes:
        study: What was looked at.
        contrasts: Method -> a contrast of each campaign.
        placebos: The same estimates at earlier dates.
        se_scales: (layer, method) -> by what standard errors are multiplied.
    """

    study: Study
    contrasts: Mapping[str, Sequence[Contrast]]
    placebos: Placebos
    se_scales: Mapping[tuple[str, str], float]

    def se_scale(self, campaign: int, method: str) -> float:
        """Return by what the standard errors of a campaign's estimate are multiplied."""
        return self.se_scales.get((self.study.layers[campaign], method), 1.0)


def estimate(
    study: Study,
    rates: Sequence[UserRates],
    *,
    on_progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Estimates:
    """Return every method's contrast of every campaign, with placebos.

    Args:
        study: What there is to look at.
        rates: Each push's rates before and after, for the classic comparison.
        on_progress: Told the step, the campaigns done and all of them.
    """
    n = study.panel.n_campaigns

    def of_campaign(campaign: int) -> tuple[dict[str, Contrast], list[tuple[int, Contrast]]]:
        if study.lacks(campaign):
            return {method: withheld(study, campaign, method) for method in _ONE_BY_ONE}, []
        first, second = randomised_and_compared(study, campaign)
        found = {
            HOLDOUT: first, COMPARISON: second, SELF_CONTROL: self_control(study, campaign),
            WINDOW: window(study, campaign),
        }  # fmt: skip
        if _has_hole_before_end(study, campaign):
            found |= {method: withheld(study, campaign, method) for method in _LOOKING_BACK}
        return found, placebos_of(study, campaign)

    by_campaign = []
    # campaigns run side by side; matrix products that open threads of their own as well take
    # twice the time on the same cores
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(_THREADS) as pool:
        together = None if len(study.holes) else pool.submit(joint, study)
        for done, found in enumerate(pool.map(of_campaign, range(n))):
            by_campaign.append(found)
            on_progress("Comparing with users not pushed", done + 1, n)
    contrasts = {method: [found[method] for found, _ in by_campaign] for method in _ONE_BY_ONE}
    contrasts[JOINT] = _joint(study, together.result() if together else None)
    contrasts[CLASSIC] = [
        withheld(study, campaign, CLASSIC)
        if study.lacks(campaign)
        else classic(study.panel, rates, campaign)
        for campaign in range(n)
    ]
    placebos = collected([checks for _, checks in by_campaign], study.n_metrics)
    return Estimates(
        study=study, contrasts=contrasts, placebos=placebos, se_scales=_scales(study, placebos)
    )


def _has_hole_before_end(study: Study, campaign: int) -> bool:
    """Return whether anything between the first instant read and a campaign's end is missing."""
    last = study.pushed(campaign).instants.max(initial=study.data_since)
    end = np.array([last + study.panel.lengths.post_ms])
    return bool(study.holes.touch(np.array([study.data_since]), end).any())


def withheld(study: Study, campaign: int, method: str) -> Contrast:
    """Return what a method says of a campaign that lacks data: nothing."""
    n_users = len(study.pushed(campaign))
    return missing(method, INCOMPLETE, n_metrics=study.n_metrics, n_users=n_users)


def _joint(study: Study, found: Sequence[Contrast] | None) -> list[Contrast]:
    """Return the joint regression's contrasts, none of them where a part of its days is missing."""
    campaigns = range(study.panel.n_campaigns)
    return [
        withheld(study, c, JOINT) if found is None or study.lacks(c) else found[c]
        for c in campaigns
    ]


def checked(study: Study, placebos: Placebos) -> dict[tuple[str, str], FalsePositives]:
    """Return how often placebos of each layer and method that count were called an effect."""
    found = {}
    layers = np.array(study.layers)[placebos.campaigns] if study.layers else np.empty(0, str)
    for layer in dict.fromkeys(study.layers):
        for method in (HOLDOUT, COMPARISON):
            rows = (layers == layer) & (placebos.methods == method)
            said = false_positives(placebos, rows)
            if said is not None:
                found[layer, method] = said
    return found


def _scales(study: Study, placebos: Placebos) -> dict[tuple[str, str], float]:
    """Return the widening of each layer's comparison where its placebos vary too much.

    A randomised comparison is valid by its design and is never widened.
    """
    n_metrics = max(study.n_metrics, 1)
    return {
        key: said.se_scale
        for key, said in checked(study, placebos).items()
        if key[1] == COMPARISON
        and said.se_scale > WIDEN_FROM
        and said.n_checks >= FEWEST_CHECKS * n_metrics
    }


def checks_table(estimates: Estimates) -> pd.DataFrame:
    """Return frames.CHECKS: how often each layer's placebos were called an effect."""
    said = checked(estimates.study, estimates.placebos)
    return pd.DataFrame(
        {
            "layer": pd.array([layer for layer, _ in said], dtype="str"),
            "method": pd.array([method for _, method in said], dtype="str"),
            "n_checks": np.array([one.n_checks for one in said.values()], dtype=np.int64),
            "n_campaigns": np.array([one.n_campaigns for one in said.values()], dtype=np.int64),
            "false_positive_share": [one.share for one in said.values()],
            "false_positive_share_ci_low": [one.ci_low for one in said.values()],
            "false_positive_share_ci_high": [one.ci_high for one in said.values()],
            "spread": [one.se_scale for one in said.values()],
            "se_scale": [estimates.se_scales.get(key, 1.0) for key in said],
        }
    )


def control_checks(lifts: pd.DataFrame, control: str) -> pd.DataFrame:
    """Return frames.CHECKS of a negative control: how often headlines found it moved, by layer.

    Args:
        lifts: frames.LIFTS.
        control: A metric that pushes cannot move.
    """
    rows = lifts[lifts["headline"] & (lifts["metric"] == control) & lifts["pvalue"].notna()]
    groups = [(str(layer), own) for layer, own in rows.groupby("layer")]
    shares = [float((own["pvalue"] < 0.05).mean()) for _, own in groups]
    limits = [wilson(share, len(own)) for share, (_, own) in zip(shares, groups, strict=True)]
    n = np.array([len(own) for _, own in groups], dtype=np.int64)
    return pd.DataFrame(
        {
            "layer": pd.array([layer for layer, _ in groups], dtype="str"),
            "method": pd.array([NEGATIVE_CONTROL] * len(groups), dtype="str"),
            "n_checks": n,
            "n_campaigns": n,
            "false_positive_share": shares,
            "false_positive_share_ci_low": [max(low, 0.0) for low, _ in limits],
            "false_positive_share_ci_high": [min(high, 1.0) for _, high in limits],
            "spread": [float(np.sqrt((own["statistic"] ** 2).mean())) for _, own in groups],
            "se_scale": 1.0,
        }
    )

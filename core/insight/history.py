"""A period against the one before: what the sends of each did, people of both counted once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from core.frames import LAYERS
from core.insight.frames import HISTORY
from core.measure.contrasts import infer
from core.measure.estimates import Estimates
from core.measure.layers import HEADLINE, Member, pooled_members, pooled_ratio
from core.measure.paired import first_reason
from core.measure.panel import Rules
from core.measure.pooling import ALL
from core.measure.ratios import Floats

NOT_LOADED = "not_loaded"


def history(
    now: Sequence[Member],
    before: Sequence[Member] | None,
    estimates: Estimates,
    rules: Rules,
    *,
    control: str | None = None,
) -> pd.DataFrame:
    """Return how each layer's pooled relative effect differs from that of the period before.

    The difference of two ratios of means over pushes, linearised, its variance from each person's
    influence on both, so that people of both periods count in full; t with as many degrees of
    freedom as there are people less one, as for core/measure/layers.layer_contrasts. It compares
    what was sent then with what was sent now; that other sends might have been chosen is not in
    the interval. Associated: the periods differ in more than the sends.

    Args:
        now: The headline's campaigns of the period.
        before: Those of the period of the same length before; None where it was not read.
        estimates: Of both.
        rules: Confidence.
        control: A metric that pushes cannot move; it is left out.

    Returns:
        HISTORY, a row for each layer that has a campaign in either, and for all.
    """
    layers = [one for one in LAYERS if any(one == m.layer for m in (*now, *(before or ())))]
    parts = [
        _of_layer(
            [one for one in now if layer in (one.layer, ALL)],
            None if before is None else [one for one in before if layer in (one.layer, ALL)],
            estimates, rules,
        ).assign(layer=pd.Series([layer] * estimates.study.n_metrics, dtype="str"))
        for layer in (*layers, ALL)
    ]  # fmt: skip
    rows = pd.concat(parts, ignore_index=True)
    return HISTORY.checked(rows[rows["metric"] != (control or "")].reset_index(drop=True))


def _of_layer(
    now: Sequence[Member], before: Sequence[Member] | None, estimates: Estimates, rules: Rules
) -> pd.DataFrame:
    earlier = before or ()
    pools = [pooled_members(own, estimates, rules, method=HEADLINE) for own in (now, earlier)]
    first, second = pools
    is_bounded = ((first["status"] == "ok") & (second["status"] == "ok")).to_numpy(dtype=bool)
    status = first_reason(
        {
            NOT_LOADED: np.full(len(first), before is None),
            "no_campaigns": np.full(len(first), not now or not earlier),
            "baseline_near_zero": ~is_bounded,
        }
    )
    numbers = _difference(now, earlier, estimates, rules)
    is_known = is_bounded & bool(now) & bool(earlier)
    return pd.DataFrame(
        {
            "metric": first["metric"],
            "now": first["rel_effect_size"],
            "before": second["rel_effect_size"],
            **{name: np.where(is_known, values, np.nan) for name, values in numbers.items()},
            "n_now": len(now),
            "n_before": len(earlier),
            "confidence_level": rules.confidence_level,
            "status": status,
        }
    )


def _difference(
    now: Sequence[Member], before: Sequence[Member], estimates: Estimates, rules: Rules
) -> dict[str, Floats]:
    n_metrics = estimates.study.n_metrics
    names = ("difference", "difference_ci_low", "difference_ci_high", "pvalue")
    if not (now and before):
        return dict.fromkeys(names, np.full(n_metrics, np.nan))
    n_persons = len(estimates.study.signed_up)
    (later, psi_later), (earlier, psi_earlier) = (
        pooled_ratio(own, n_persons=n_persons, n_metrics=n_metrics) for own in (now, before)
    )
    psi, nothing = psi_later - psi_earlier, np.zeros(n_metrics)
    persons = int(np.abs(np.nan_to_num(psi)).any(axis=1).sum())
    said = infer(
        later - earlier, nothing, var_post=(psi**2).sum(axis=0), var_expected=nothing,
        cov=nothing, df=np.full(n_metrics, float(max(persons - 1, 1))),
        confidence_level=rules.confidence_level,
    )  # fmt: skip
    found = (said.effect_size, said.ci_low, said.ci_high, said.pvalue)
    return dict(zip(names, found, strict=True))

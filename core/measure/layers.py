"""Layers by every method: campaigns that share people pooled with their full covariance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core import frames
from core.activity.timelines import MS_PER_DAY
from core.measure.contrasts import VERDICT_EVIDENCE, Contrast, infer
from core.measure.estimates import ORDER, Estimates
from core.measure.hierarchy import Hierarchy, pool
from core.measure.influence import log_ratio_influence, weighted_sum
from core.measure.layered import layered_draws
from core.measure.multiplicity import FALSE_DISCOVERY_RATE
from core.measure.paired import first_reason
from core.measure.panel import Rules
from core.measure.pooling import ALL, can_pool
from core.measure.ranks import ranks
from core.measure.ratios import Floats

HEADLINE = "headline"
"""Stands as the method of a layer's row that pools each campaign's own best evidence."""
_GROUPS = (*frames.LAYERS, ALL)
_DRAWS, _SEED = 4_000, 1
_FEWEST = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Member:
    """One campaign's contrast as it enters a pool.

    Attributes:
        position: The campaign's row in frames.CAMPAIGNS.
        layer: Its layer.
        contrast: By the method that is pooled, standard-error scale included.
        evidence: Its grade.
        n_users: Measured users: its weight.
        baseline: Mean baseline rates, one a metric.
    """

    position: int
    layer: str
    contrast: Contrast
    evidence: str
    n_users: int
    baseline: Floats


def members(
    lifts: pd.DataFrame,
    campaigns: pd.DataFrame,
    estimates: Estimates,
    codes: NDArray[np.int64],
    *,
    method: str,
) -> list[Member]:
    """Return the campaigns that one method can pool: qualified, closed, with a number.

    Args:
        lifts: Of these campaigns, every method.
        campaigns: frames.CAMPAIGNS.
        estimates: Of all campaigns.
        codes: The campaigns' codes in the estimates.
        method: A method, or HEADLINE for each campaign's own.
    """
    chosen = lifts[lifts["headline"] if method == HEADLINE else lifts["method"] == method]
    first = chosen.drop_duplicates("campaign_code").set_index("campaign_code")
    baseline = chosen.pivot_table(
        index="campaign_code", columns="metric_code", values="baseline_rate", dropna=False
    )
    is_pooled = can_pool(campaigns)
    found = []
    for position, code in enumerate(codes):
        row = first.loc[position]
        contrast = estimates.contrasts[str(row["method"])][code]
        is_unknown = method == HEADLINE and row["evidence"] not in VERDICT_EVIDENCE
        if not is_pooled[position] or not contrast.is_known or is_unknown:
            continue
        found.append(
            Member(
                position=position,
                layer=str(campaigns["layer"].iloc[position]),
                contrast=_widened(contrast, float(str(row["se_scale"]))),
                evidence=str(row["evidence"]),
                n_users=int(campaigns["n_measured"].iloc[position]),
                baseline=baseline.loc[position].to_numpy(dtype=float),
            )
        )
    return found


def pooled_layers(
    found: Sequence[Member], estimates: Estimates, rules: Rules, *, method: str
) -> pd.DataFrame:
    """Return a row of each layer, and of all, for every metric, by one method.

    The effect is the mean over pushes, weights the measured users of each campaign; its variance
    is that of the summed influence values, so people in several campaigns count once. Beside it
    stand, for the headline, the effect of a typical campaign and where the next may land: `pool`.
    """
    parts = [
        _of_group(
            [one for one in found if group in (one.layer, ALL)], estimates, rules,
            group=group, method=method,
        )
        for group in _GROUPS
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def _widened(contrast: Contrast, scale: float) -> Contrast:
    if scale == 1.0:
        return contrast
    return replace(
        contrast,
        psi_post=contrast.psi_post * np.float32(scale),
        psi_expected=contrast.psi_expected * np.float32(scale),
    )


def pooled_members(
    found: Sequence[Member], estimates: Estimates, rules: Rules, *, method: str
) -> pd.DataFrame:
    """Return the mean over pushes of some campaigns, a row a metric, shared people counted once.

    Args:
        found: The campaigns.
        estimates: Of all campaigns.
        rules: Confidence.
        method: What is pooled, as it stands in the rows.
    """
    study = estimates.study
    n_metrics, n_persons = study.n_metrics, len(study.signed_up)
    n_users = np.array([one.n_users for one in found], dtype=float)
    weights = n_users / max(n_users.sum(), 1)

    def mean(values: Sequence[Floats]) -> Floats:
        return weights @ np.stack(values) if len(values) else np.full(n_metrics, np.nan)

    contrasts = [one.contrast for one in found]
    psi_post, psi_expected = weighted_sum(
        contrasts, weights, n_persons=n_persons, n_metrics=n_metrics
    )
    persons = int((np.abs(psi_post) + np.abs(psi_expected)).any(axis=1).sum())
    post, expected = mean([c.post for c in contrasts]), mean([c.expected for c in contrasts])
    df = np.full(n_metrics, float(max(persons - 1, 1)))
    said = infer(
        post, expected,
        var_post=(psi_post**2).sum(axis=0), var_expected=(psi_expected**2).sum(axis=0),
        cov=(psi_post * psi_expected).sum(axis=0), df=df,
        confidence_level=rules.confidence_level,
    )  # fmt: skip
    return pd.DataFrame(
        {
            "metric": pd.array(study.panel.metric_names, dtype="str"),
            "method": pd.array([method] * n_metrics, dtype="str"),
            "evidence": pd.array([_lowest(found)] * n_metrics, dtype="str"),
            "n_campaigns": len(found),
            "n_pushes": int(n_users.sum()),
            "n_users": persons,
            "baseline_rate": mean([one.baseline for one in found]),
            "post_rate": post,
            "expected_rate": expected,
            "effect_size": said.effect_size,
            "effect_size_ci_low": said.ci_low,
            "effect_size_ci_high": said.ci_high,
            "rel_effect_size": said.relative.estimate,
            "rel_effect_size_ci_low": said.relative.ci_low,
            "rel_effect_size_ci_high": said.relative.ci_high,
            "statistic": said.statistic,
            "df": df,
            "pvalue": said.pvalue,
            "standard_error": said.standard_error,
            "confidence_level": rules.confidence_level,
            "status": first_reason(
                {
                    "no_campaigns": np.full(n_metrics, not found),
                    "baseline_near_zero": ~said.relative.is_bounded,
                }
            ),
        }
    )


def _of_group(
    found: Sequence[Member], estimates: Estimates, rules: Rules, *, group: str, method: str
) -> pd.DataFrame:
    n_metrics, n_persons = estimates.study.n_metrics, len(estimates.study.signed_up)
    table = pooled_members(found, estimates, rules, method=method)
    table.insert(0, "layer", pd.Series([group] * n_metrics, dtype="str"))
    events = table["n_pushes"] * rules.lengths.post_ms / MS_PER_DAY
    for part in ("", "_ci_low", "_ci_high"):
        table[f"incremental_events{part}"] = table[f"effect_size{part}"] * events
    modelled = [one.contrast for one in found] if method == HEADLINE else []
    typical = [_typical(modelled, m, n_persons, rules) for m in range(n_metrics)]
    for column in typical[0]:
        table[column] = [of_metric[column] for of_metric in typical]
    return table


def _lowest(found: Sequence[Member]) -> str:
    return max((one.evidence for one in found), default="E")


def _typical(
    contrasts: Sequence[Contrast], metric: int, n_persons: int, rules: Rules
) -> dict[str, float]:
    hierarchy = _hierarchy(contrasts, metric, n_persons, rules)[0]
    names = {
        "typical_rel_effect_size": "mean",
        "typical_rel_effect_size_ci_low": "mean_ci_low",
        "typical_rel_effect_size_ci_high": "mean_ci_high",
        "prediction_low": "prediction_low",
        "prediction_high": "prediction_high",
        "heterogeneity": "tau",
    }
    return {
        column: _as_ratio(hierarchy, name) if hierarchy else np.nan
        for column, name in names.items()
    }


def _as_ratio(hierarchy: Hierarchy, name: str) -> float:
    """Return a log ratio as a relative effect; the spread of logs is one already, nearly."""
    value = float(getattr(hierarchy, name))
    return value if name == "tau" else float(np.expm1(value))


def _hierarchy(
    contrasts: Sequence[Contrast], metric: int, n_persons: int, rules: Rules
) -> tuple[Hierarchy | None, NDArray[np.int64]]:
    """Return the pooled model of log ratios, and which contrasts could carry one."""
    usable = np.array([_carries(one, metric) for one in contrasts], dtype=bool)
    places = np.flatnonzero(usable)
    if len(places) < _FEWEST:
        return None, places
    some = [contrasts[place] for place in places.tolist()]
    effects, psi = log_ratio_influence(some, metric, n_persons=n_persons)
    exact = psi.astype(np.float64)
    covariance = exact.T @ exact
    if not (np.diag(covariance) > 0).all():
        return None, places
    return pool(effects, covariance, confidence_level=rules.confidence_level), places


def _carries(one: Contrast, metric: int) -> bool:
    """Say whether the expected rate is far enough from 0 for a percentage."""
    spread = float((one.psi_expected[:, metric].astype(np.float64) ** 2).sum())
    moved = float((one.psi_post[:, metric].astype(np.float64) ** 2).sum())
    is_far = one.expected[metric] > 2 * np.sqrt(spread) and one.post[metric] > 0
    return bool(is_far and moved > 0)


def with_shrinkage(
    lifts: pd.DataFrame, found: Sequence[Member], estimates: Estimates, rules: Rules
) -> pd.DataFrame:
    """Return lifts with shrunk effects and ranks on the headline rows of pooled campaigns.

    Effects are shrunk within their layer. Ranks over all layers come from joint draws in which
    people that layers share count too: `layered_draws`.
    """
    columns = {
        name: np.full(len(lifts), np.nan)
        for name in (
            "shrunk_rel_effect_size", "shrunk_rel_effect_size_ci_low",
            "shrunk_rel_effect_size_ci_high", "rank", "rank_low", "rank_high", "p_best", "p_top10",
        )
    }  # fmt: skip
    heads = lifts[lifts["headline"]]
    row_of = pd.Series(
        heads.index, pd.MultiIndex.from_frame(heads[["campaign_code", "metric_code"]])
    )
    n_persons = len(estimates.study.signed_up)
    for metric in range(estimates.study.n_metrics):
        rows, used, hierarchies = [], [], []
        for layer in frames.LAYERS:
            own = [one for one in found if one.layer == layer]
            contrasts = [one.contrast for one in own]
            hierarchy, places = _hierarchy(contrasts, metric, n_persons, rules)
            if hierarchy is None:
                continue
            at = row_of.loc[[(own[p].position, metric) for p in places]].to_numpy()
            columns["shrunk_rel_effect_size"][at] = np.expm1(hierarchy.shrunk)
            columns["shrunk_rel_effect_size_ci_low"][at] = np.expm1(hierarchy.shrunk_ci_low)
            columns["shrunk_rel_effect_size_ci_high"][at] = np.expm1(hierarchy.shrunk_ci_high)
            rows.append(at)
            used += [contrasts[p] for p in places]
            hierarchies.append(hierarchy)
        if rows:
            logs, psi = log_ratio_influence(used, metric, n_persons=n_persons)
            exact = psi.astype(np.float64)
            groups = np.repeat(np.arange(len(rows)), [len(own) for own in rows])
            drawn = layered_draws(logs, exact.T @ exact, groups, hierarchies, n=_DRAWS, seed=_SEED)
            ranked = ranks(drawn, confidence_level=rules.confidence_level)
            at = np.concatenate(rows)
            for name, values in (
                ("rank", ranked.median_rank), ("rank_low", ranked.rank_low),
                ("rank_high", ranked.rank_high), ("p_best", ranked.p_best),
                ("p_top10", ranked.p_top),
            ):  # fmt: skip
                columns[name][at] = values
    return lifts.assign(**columns)


def layer_contrasts(found: Sequence[Member], estimates: Estimates, rules: Rules) -> pd.DataFrame:
    """Return the difference of each two layers' relative effects, people they share counted.

    The difference of the two ratios of means, linearised; normal interval with as many degrees
    of freedom as there are people less one. Associated only: layers reach different people.

    Returns:
        frames.LAYER_CONTRASTS.
    """
    study = estimates.study
    n_metrics, n_persons = study.n_metrics, len(study.signed_up)
    parts: Mapping[str, tuple[Floats, Floats]] = {}
    for layer in frames.LAYERS:
        own = [one for one in found if one.layer == layer]
        if own:
            parts = {**parts, layer: pooled_ratio(own, n_persons=n_persons, n_metrics=n_metrics)}
    names = list(parts)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    rows = []
    for one, other in pairs:
        difference = parts[one][0] - parts[other][0]
        psi = parts[one][1] - parts[other][1]
        said = infer(
            difference, np.zeros(n_metrics), var_post=(psi**2).sum(axis=0),
            var_expected=np.zeros(n_metrics), cov=np.zeros(n_metrics),
            df=np.full(n_metrics, float(max(int(psi.any(axis=1).sum()) - 1, 1))),
            confidence_level=rules.confidence_level,
        )  # fmt: skip
        rows.append(
            pd.DataFrame(
                {
                    "layer": one, "other_layer": other,
                    "metric": list(study.panel.metric_names),
                    "difference": said.effect_size, "difference_ci_low": said.ci_low,
                    "difference_ci_high": said.ci_high, "pvalue": said.pvalue,
                    "confidence_level": rules.confidence_level,
                }
            )
        )  # fmt: skip
    return pd.concat(rows, ignore_index=True) if rows else frames.LAYER_CONTRASTS.empty()


def pooled_ratio(own: Sequence[Member], *, n_persons: int, n_metrics: int) -> tuple[Floats, Floats]:
    """Return the pooled relative effects of some campaigns and each person's influence on them.

    Args:
        own: The campaigns, one at least, weighted by their users.
        n_persons: Everybody there is, pushed or not.
        n_metrics: Metrics of each contrast.

    Returns:
        Floats[metrics] and Floats[persons, metrics]; NaN or infinite where nothing is expected.
    """
    n_users = np.array([one.n_users for one in own], dtype=float)
    weights = n_users / n_users.sum()
    contrasts = [one.contrast for one in own]
    post = weights @ np.stack([one.post for one in contrasts])
    expected = weights @ np.stack([one.expected for one in contrasts])
    psi_post, psi_expected = weighted_sum(
        contrasts, weights, n_persons=n_persons, n_metrics=n_metrics
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = post / expected
        return ratio - 1, (psi_post - ratio * psi_expected) / expected


def every_layer(
    lifts: pd.DataFrame,
    campaigns: pd.DataFrame,
    estimates: Estimates,
    codes: NDArray[np.int64],
    rules: Rules,
) -> tuple[pd.DataFrame, list[Member]]:
    """Return the layers by every method but the classic one, and the headline's members."""
    heads = members(lifts, campaigns, estimates, codes, method=HEADLINE)
    parts = [pooled_layers(heads, estimates, rules, method=HEADLINE)]
    for method in ORDER[:-1]:
        found = members(lifts, campaigns, estimates, codes, method=method)
        if found:
            parts.append(pooled_layers(found, estimates, rules, method=method))
    return pd.concat(parts, ignore_index=True), heads


def with_clear_counts(layers: pd.DataFrame, lifts: pd.DataFrame) -> pd.DataFrame:
    """Return layers with the campaigns clear above and below zero, by each row's own method.

    A headline that only describes (grades D and E) counts for its method, not for the headline.
    """
    clear = lifts[lifts["qvalue"] <= FALSE_DISCOVERY_RATE]
    is_judged = clear["headline"] & clear["evidence"].isin(VERDICT_EVIDENCE)
    clear = pd.concat([clear, clear[is_judged].assign(method=HEADLINE)])
    clear = pd.concat([clear, clear.assign(layer=ALL)])
    by = ["layer", "metric", "method"]
    keys = pd.MultiIndex.from_frame(layers[by])
    more = {
        column: clear[np.sign(clear["effect_size"]) == sign]
        .groupby(by)
        .size()
        .reindex(keys, fill_value=0)
        .to_numpy(dtype=np.int64)
        for column, sign in (("n_above", 1), ("n_below", -1))
    }
    return layers.assign(**more)

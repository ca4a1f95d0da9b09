"""What effects depend on: patterns over sends, metrics that move together, the cost of the plan.

All rest on one estimate, `core.measure.proportional`: the same method for every campaign, so that
kinds of sends measured by different methods are never compared, and one whose errors are small
enough for the question.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from core import frames
from core.activity.timelines import Int64
from core.insight import labels
from core.insight.cadence import WeeklyPlan
from core.insight.correlation import correlate
from core.insight.groups import FEWEST, Compared, Sample, compare, slope
from core.insight.labels import NO_LABEL, Labels
from core.insight.patterns import (
    Answer,
    Pair,
    correlations_table,
    groups_table,
    patterns_table,
    unanswered,
)
from core.loading import Loaded, milliseconds
from core.measure.comparison import COMPARISON
from core.measure.estimates import Estimates
from core.measure.headline import evidence
from core.measure.pooling import ALL, can_pool
from core.measure.proportional import Effects, Expectation, Rows, effects, expectations, rows_of
from core.measure.ratios import Floats
from core.measure.splits import local_offsets, pushes_before, trigger_lags
from core.measure.study import Study
from core.pipeline import Results
from core.planned import cadence_table, plan_labels, weekly_plans
from core.publish import insight_words
from core.sources.recipients import positions

LAG_HOURS = (0.0, 2.0, 6.0, 12.0)
FATIGUE_HOURS = 48.0
DOSE_DAYS = 14
_DOSES = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0)
_LEAST_DOUBLINGS, _LEAST_DOSES = 0.25, 0.5
"""Audiences whose sizes spread by less (standard deviation, doublings; pushes) say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """The tables of patterns.

    Attributes:
        patterns: core.insight.frames.PATTERNS.
        groups: PATTERN_GROUPS.
        correlations: CORRELATIONS.
        cadence: CADENCE.
    """

    patterns: pd.DataFrame
    groups: pd.DataFrame
    correlations: pd.DataFrame
    cadence: pd.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Layer:
    """One layer's campaigns that can be compared.

    Attributes:
        name: The layer.
        evidence: Weakest grade of their comparisons.
        se_scale: By what the self-checks of the layer's comparisons widen its standard errors.
        campaigns: Their positions in the study.
        rows: Everybody in them; None where there are fewer than two.
        told: What is expected of everybody, by metric.
        whole: Effects of whole campaigns, by metric.
        samples: The same, ready to be compared.
    """

    name: str
    evidence: str
    se_scale: float
    campaigns: Int64
    rows: Rows | None
    told: tuple[Expectation, ...]
    whole: tuple[Effects, ...]
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sends:
    """What the campaigns were, an entry each campaign of the study."""

    content: Labels
    cadence: Labels
    weekday: Labels
    hour: Labels


def patterns_of(loaded: Loaded, estimates: Estimates, results: Results) -> Found:
    """Return patterns, correlations and cadence of the campaigns of a result.

    Args:
        loaded: What was read.
        estimates: Of all campaigns.
        results: Which campaigns are looked at, under which rules.
    """
    study, level = estimates.study, results.rules.confidence_level
    codes = positions(loaded.campaigns["campaign_id"], results.campaigns["campaign_id"])
    plans = weekly_plans(loaded)
    sends = _sends(loaded, study, plans)
    layers = [
        _layer(estimates, results, codes, layer)
        for layer in frames.LAYERS
        if (results.campaigns["layer"] == layer).any()
    ]
    metrics = study.panel.metric_names
    answers = [
        answer for layer in layers for answer in _answers(study, layer, sends, metrics, level)
    ]
    return Found(
        patterns=patterns_table(answers, primary=metrics[0], confidence_level=level),
        groups=groups_table(answers, confidence_level=level),
        correlations=correlations_table(
            list(_pairs(layers, metrics, level)), confidence_level=level
        ),
        cadence=cadence_table(
            loaded,
            plans,
            [layer.samples[0] for layer in layers if layer.rows],
            codes=codes,
            kinds=sends.cadence,
            confidence_level=level,
            say=insight_words.cost_why,
        ),
    )


def _layer(estimates: Estimates, results: Results, codes: Int64, layer: str) -> _Layer:
    study = estimates.study
    usable = [
        code
        for code, is_pooled, own in zip(
            codes.tolist(), can_pool(results.campaigns), results.campaigns["layer"], strict=True
        )
        if own == layer and is_pooled and estimates.contrasts[COMPARISON][code].is_known
    ]
    se_scale = max((estimates.se_scale(code, COMPARISON) for code in usable), default=1.0)
    rows = rows_of(study, usable) if len(usable) >= FEWEST else None
    told = tuple(expectations(rows)) if rows else ()
    whole = tuple(effects(rows, one).widened(se_scale) for one in told) if rows else ()
    return _Layer(
        name=layer, evidence=evidence(COMPARISON, se_scale) if usable else "E",
        se_scale=se_scale, campaigns=np.array(usable, dtype=np.int64), rows=rows, told=told,
        whole=whole, samples=tuple(_sample(one) for one in whole),
    )  # fmt: skip


def _sends(loaded: Loaded, study: Study, plans: Mapping[str, WeeklyPlan]) -> _Sends:
    campaigns = loaded.campaigns
    first = milliseconds(campaigns["first_delivered_at"])
    content = campaigns["content"].fillna(campaigns["automation_id"])
    return _Sends(
        content=labels.of_texts([None if pd.isna(text) else str(text) for text in content]),
        cadence=plan_labels(loaded, plans),
        weekday=labels.of_weekdays(first, study.offsets_ms),
        hour=labels.of_hours(first, study.offsets_ms),
    )


def _sample(found: Effects) -> Sample:
    return Sample(
        values=found.values, covariance=found.covariance(found), campaigns=found.campaigns,
        n_pushes=found.n_pushes, expected=found.expected,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Question:
    """What is asked of a layer: the kind of each campaign, or of each push within campaigns."""

    pattern: str
    labels: Labels
    is_within: bool = False
    is_ordered: bool = False


def _answers(
    study: Study, layer: _Layer, sends: _Sends, metrics: Sequence[str], level: float
) -> Iterator[Answer]:
    """Yield the answer to every question about a layer, for every metric."""
    questions = list(_questions(study, layer, sends))
    doses = _doses(study, layer.rows) if layer.rows else None
    divided = {one.pattern for one in questions if one.is_within} | {"fatigue_dose"}
    for metric, name in enumerate(metrics):
        told = {one.pattern: _told(layer, one, metric, level) for one in questions}
        told["audience_size"] = _of_size(layer, metric, level)
        told["fatigue_dose"] = _of_dose(layer, doses, metric, level)
        for pattern, compared in told.items():
            if not compared.differences:
                compared = unanswered(n_campaigns=len(layer.campaigns))
            yield Answer(
                pattern=pattern, layer=layer.name, metric=name, evidence=layer.evidence,
                compared=compared, is_within=pattern in divided,
            )  # fmt: skip


def _questions(study: Study, layer: _Layer, sends: _Sends) -> Iterator[_Question]:
    """Yield what is asked of a layer, what it cannot answer included."""
    if layer.rows is None or len(np.unique(sends.content.codes[layer.campaigns])) >= FEWEST:
        yield _Question(pattern="content", labels=sends.content)  # one kind alone is no question
    if (sends.cadence.codes[layer.campaigns] != NO_LABEL).any():
        yield _Question(pattern="cadence", labels=sends.cadence)
    yield _Question(pattern="weekday", labels=sends.weekday)
    parts = list(_parts(study, layer.rows)) if layer.rows else []
    if "hour" not in {one.pattern for one in parts}:
        yield _Question(pattern="hour", labels=sends.hour)
    yield from parts


def _told(layer: _Layer, one: _Question, metric: int, level: float) -> Compared:
    if layer.rows is None:
        return unanswered(n_campaigns=len(layer.campaigns))
    sample = layer.samples[metric]
    codes = one.labels.codes[sample.campaigns]
    if one.is_within:
        found = effects(layer.rows, layer.told[metric], one.labels.codes)
        sample, codes = _sample(found.widened(layer.se_scale)), found.labels
    return compare(
        sample, codes, names=one.labels.names, positions=one.labels.positions,
        confidence_level=level, is_within=one.is_within, is_ordered=one.is_ordered,
    )  # fmt: skip


def _parts(study: Study, rows: Rows) -> Iterator[_Question]:
    """Yield the questions that divide campaigns: what pushes of one send differ in."""
    lags = trigger_lags(study, rows)
    if np.isfinite(lags).any():
        bins = labels.of_bins(lags, LAG_HOURS, unit="h")
        yield _Question(pattern="hours_since_trigger", labels=bins, is_within=True, is_ordered=True)
    before = pushes_before(study, rows, hours=FATIGUE_HOURS)
    kinds = labels.of_flags(before > 0, yes="another push in 48 h before", no="none in 48 h before")
    yield _Question(pattern="fatigue", labels=kinds, is_within=True)
    hours = labels.of_hours(rows.moments.instants, local_offsets(study, rows))
    if _divides(rows, hours):
        yield _Question(pattern="hour", labels=hours, is_within=True)


def _divides(rows: Rows, kinds: Labels) -> bool:
    """Say whether the pushes of most campaigns are of several kinds."""
    pushed = rows.is_pushed
    both = np.unique(np.column_stack([rows.campaigns[pushed], kinds.codes[pushed]]), axis=0)
    n_kinds = np.unique(both[:, 0], return_counts=True)[1]
    return bool((n_kinds > 1).mean() > 0.5)


def _of_size(layer: _Layer, metric: int, level: float) -> Compared:
    if layer.rows is None:
        return unanswered(n_campaigns=len(layer.campaigns))
    sample = layer.samples[metric]
    told = slope(
        sample, np.log2(np.maximum(sample.n_pushes, 1)), least_spread=_LEAST_DOUBLINGS,
        names=("recipients", "per doubling"), confidence_level=level,
    )  # fmt: skip
    return Compared(groups=(), differences=(told,))


def _doses(study: Study, rows: Rows) -> Labels:
    """Return bins of the pushes somebody got in the 14 days before, placed at their means."""
    before = pushes_before(study, rows, hours=DOSE_DAYS * 24)
    bins = labels.of_bins(before.astype(float), _DOSES, unit="pushes")
    own = bins.codes[rows.is_pushed]
    n = np.bincount(own, minlength=len(_DOSES))
    total = np.bincount(own, weights=before[rows.is_pushed], minlength=len(_DOSES))
    return replace(bins, positions=tuple((total / np.maximum(n, 1)).tolist()))


def _of_dose(layer: _Layer, doses: Labels | None, metric: int, level: float) -> Compared:
    """Return how the effect changes per push of the 14 days before, within campaigns."""
    if layer.rows is None or doses is None:
        return unanswered(n_campaigns=len(layer.campaigns))
    split = effects(layer.rows, layer.told[metric], doses.codes).widened(layer.se_scale)
    told = slope(
        _sample(split), np.array(doses.positions)[split.labels], least_spread=_LEAST_DOSES,
        names=("pushes in the 14 days before", "per push"), confidence_level=level, is_within=True,
    )  # fmt: skip
    return Compared(groups=(), differences=(told,))


def _pairs(layers: Sequence[_Layer], metrics: Sequence[str], level: float) -> Iterator[Pair]:
    """Yield the correlation of every two metrics, by layer and over all campaigns."""
    for a, b in combinations(range(len(metrics)), 2):
        parts = {layer.name: _both(layer, a, b) for layer in layers}
        parts[ALL] = _Two(
            first=np.concatenate([part.first for part in parts.values()]),
            second=np.concatenate([part.second for part in parts.values()]),
            errors=np.concatenate([part.errors for part in parts.values()]),
        )
        for name, two in parts.items():
            told = correlate(two.first, two.second, two.errors, confidence_level=level)
            yield Pair(layer=name, metric=metrics[a], other_metric=metrics[b], correlation=told)


class _Two(NamedTuple):
    """Two metrics' effects on the campaigns that have both, and their joint errors."""

    first: Floats
    second: Floats
    errors: Floats


def _both(layer: _Layer, a: int, b: int) -> _Two:
    if layer.rows is None:
        return _Two(first=np.empty(0), second=np.empty(0), errors=np.empty((0, 2, 2)))
    one, other = layer.whole[a], layer.whole[b]
    common = np.intersect1d(one.campaigns, other.campaigns)
    one = one.taken(np.isin(one.campaigns, common))
    other = other.taken(np.isin(other.campaigns, common))
    v, c, w = one.joint(one), one.joint(other), other.joint(other)
    errors = np.stack([np.stack([v, c], axis=-1), np.stack([c, w], axis=-1)], axis=-2)
    return _Two(first=one.values, second=other.values, errors=errors)

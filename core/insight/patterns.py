"""From comparisons of kinds of sends to the tables of patterns, many questions allowed for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.frames import Table
from core.insight.correlation import Correlation
from core.insight.frames import CORRELATIONS, PATTERN_GROUPS, PATTERNS
from core.insight.groups import TOO_FEW, Compared, Difference, Group
from core.measure.multiplicity import FALSE_DISCOVERY_RATE, bh_qvalues
from core.measure.regression import Combination

FAMILY_OF_PRIMARY, FAMILY_OF_OTHERS = "patterns, primary metric", "patterns, other metrics"
OK = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was found on one question, in one layer, for one metric.

    Attributes:
        pattern: The question: content, cadence, weekday, ...
        layer: The layer.
        metric: The metric.
        evidence: Weakest grade behind it.
        compared: The answer.
        is_within: Pushes of the same campaigns were compared, not campaigns.
    """

    pattern: str
    layer: str
    metric: str
    evidence: str
    compared: Compared
    is_within: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The correlation of two metrics in a layer."""

    layer: str
    metric: str
    other_metric: str
    correlation: Correlation


def unanswered(status: str = TOO_FEW, *, n_campaigns: int = 0) -> Compared:
    """Return the answer to a question that could not be looked at."""
    nothing = Difference(
        group="sends", other="other sends", n_campaigns=n_campaigns, n_other=0, status=status
    )
    return Compared(groups=(), differences=(nothing,))


def patterns_table(
    answers: Sequence[Answer], *, primary: str, confidence_level: float
) -> pd.DataFrame:
    """Return frames.PATTERNS: everything that was looked for, what was found marked.

    All questions about the primary metric are one family, all about the others another: whatever
    is looked for that is not there, a pattern is found in at most 5 % of analyses. A pattern is
    asked for twice: in sends like these (`is_found`), and in these sends, whatever the next ones
    do (`is_found_in_sends`), each within the same questions.

    Args:
        answers: To all questions.
        primary: The primary metric.
        confidence_level: Of the intervals.
    """
    rows = [
        {
            **_place(answer),
            "group": one.group,
            "other": one.other,
            **_difference(one),
            "family": FAMILY_OF_PRIMARY if answer.metric == primary else FAMILY_OF_OTHERS,
            "n_campaigns": one.n_campaigns,
            "n_other": one.n_other,
            "is_within": answer.is_within,
            "evidence": answer.evidence,
            "status": one.status,
        }
        for answer in answers
        for one in answer.compared.differences
    ]
    if not rows:
        return PATTERNS.empty()
    table = pd.DataFrame(rows).assign(confidence_level=confidence_level)
    for name in ("", "in_sends_"):
        table[f"{name}qvalue"] = table.groupby("family")[f"{name}pvalue"].transform(
            lambda p: bh_qvalues(p.to_numpy(dtype=float))
        )
    table["family"] = table["family"].where(table["pvalue"].notna(), None).astype("str")
    table["is_found"] = _found(table, "difference")
    table["is_found_in_sends"] = _found(table, "in_sends", "in_sends_qvalue") | table["is_found"]
    return _typed(PATTERNS, table)


def clear(patterns: pd.DataFrame) -> pd.DataFrame:
    """Return the clear rows of PATTERNS: sends like these before these alone, surest first."""
    rows = patterns[patterns["is_found_in_sends"]]
    by = ["is_found", "in_sends_qvalue"]
    return rows.sort_values(by, ascending=[False, True], kind="stable")


def groups_table(answers: Sequence[Answer], *, confidence_level: float) -> pd.DataFrame:
    """Return frames.PATTERN_GROUPS: the pooled effect of each kind that patterns compare."""
    rows = [
        {
            **_place(answer),
            "group": group.name,
            "position": group.position,
            "n_campaigns": group.n_campaigns,
            "n_pushes": group.n_pushes,
            **_effect(group),
            "evidence": answer.evidence,
            "status": OK if group.effect else TOO_FEW,
        }
        for answer in answers
        for group in answer.compared.groups
    ]
    if not rows:
        return PATTERN_GROUPS.empty()
    return _typed(PATTERN_GROUPS, pd.DataFrame(rows).assign(confidence_level=confidence_level))


def correlations_table(pairs: Sequence[Pair], *, confidence_level: float) -> pd.DataFrame:
    """Return frames.CORRELATIONS: every two metrics, those that go together marked."""
    rows = [
        {
            "layer": pair.layer,
            "metric": pair.metric,
            "other_metric": pair.other_metric,
            "correlation": pair.correlation.estimate,
            "correlation_ci_low": pair.correlation.ci_low,
            "correlation_ci_high": pair.correlation.ci_high,
            "observed": pair.correlation.observed,
            "n_campaigns": pair.correlation.n,
            "pvalue": pair.correlation.pvalue,
            "status": pair.correlation.status,
        }
        for pair in pairs
    ]
    if not rows:
        return CORRELATIONS.empty()
    table = pd.DataFrame(rows).assign(confidence_level=confidence_level)
    table["qvalue"] = table.groupby("layer")["pvalue"].transform(
        lambda p: bh_qvalues(p.to_numpy(dtype=float))
    )
    table["is_found"] = _found(table, "correlation")
    return _typed(CORRELATIONS, table)


def _place(answer: Answer) -> dict[str, object]:
    return {"pattern": answer.pattern, "layer": answer.layer, "metric": answer.metric}


def _difference(one: Difference) -> dict[str, float]:
    test = one.test
    if test is None:
        names = ("", "_ci_low", "_ci_high")
        told = dict.fromkeys((f"difference{name}" for name in names), np.nan)
        more = ("statistic", "df", "pvalue", "in_sends_ci_low", "in_sends_ci_high")
        return told | dict.fromkeys((*more, "in_sends_pvalue"), np.nan)
    return {
        "difference": one.as_relative(test.estimate),
        "difference_ci_low": one.as_relative(test.ci_low),
        "difference_ci_high": one.as_relative(test.ci_high),
        "statistic": test.statistic,
        "df": float(test.df),
        "pvalue": test.pvalue,
        "in_sends_ci_low": one.as_relative(test.conditional.ci_low),
        "in_sends_ci_high": one.as_relative(test.conditional.ci_high),
        "in_sends_pvalue": test.conditional.pvalue,
    }


def _effect(group: Group) -> dict[str, float]:
    def relative(name: str) -> float:
        effect: Combination | None = group.effect
        return float(np.expm1(getattr(effect, name))) if effect else np.nan

    return {
        "rel_effect_size": relative("estimate"),
        "rel_effect_size_ci_low": relative("ci_low"),
        "rel_effect_size_ci_high": relative("ci_high"),
    }


def _found(table: pd.DataFrame, name: str, qvalue: str = "qvalue") -> pd.Series:
    """Say what is clear: the q-value within its family, and the interval leaves out zero."""
    is_apart = (table[f"{name}_ci_low"] > 0) | (table[f"{name}_ci_high"] < 0)
    return (table[qvalue] <= FALSE_DISCOVERY_RATE) & is_apart


def _typed(table: Table, frame: pd.DataFrame) -> pd.DataFrame:
    kinds = {"text": "str", "integer": "int64", "number": "float64", "flag": "bool"}
    types = {c.name: kinds[c.kind] for c in table.columns}
    return table.checked(frame.astype(types))

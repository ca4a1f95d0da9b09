"""What reports say: no sentence without the number it rests on, or that there is none."""

from __future__ import annotations

import pandas as pd

from core.insight.patterns import clear
from core.publish import formats, insight_words, keys
from core.publish.reports.material import Material

MOST = 12
"""Sentences of one kind a report shows; how many more there are is said."""
DECISIONS = ("repeat", "stop", "retest", "wait")


def decision_counts(material: Material, metric: str) -> dict[str, int]:
    """Return how many campaigns are to be repeated, stopped, retested, waited for."""
    found = material.rows("decisions", metric=metric)["decision"].value_counts()
    return {name: int(found.get(name, 0)) for name in DECISIONS}


def decisions(material: Material, metric: str, *kinds: str) -> list[str]:
    """Return what to do about campaigns, one sentence each, with why."""
    rows = material.rows("decisions", metric=metric)
    names = _campaign_names(material)
    rows = rows[rows["decision"].isin(kinds) & rows["campaign_id"].isin(list(names))]
    return [
        f"{names[row['campaign_id']]}. {insight_words.decision_sentence(row)}"
        for _, row in rows.iterrows()
    ]


def what_if(material: Material, layer: str | None = None) -> list[str]:
    """Return what would change if recommendations were followed, with what has to hold."""
    rows = _of_layer(material.rows("what_if"), layer)
    currency = material.setting.currency
    return [insight_words.what_if_sentence(row, currency=currency) for _, row in rows.iterrows()]


def patterns(material: Material, layer: str | None = None) -> list[str]:
    """Return the patterns found, and among how many they were looked for."""
    rows = _of_layer(material.rows("patterns"), layer)
    found = clear(rows)
    looked = formats.count(len(rows))
    if rows.empty:
        return ["No pattern could be looked for: 0 comparisons had sends of both kinds."]
    if found.empty:
        return [f"No pattern was clear among the {looked} that were looked for."]
    said = [insight_words.pattern_sentence(row) for _, row in found.iterrows()]
    n = int(found["is_found"].sum())
    lead = (
        f"Clear: {formats.count(n)} of {looked} patterns that were looked for, and "
        f"{formats.count(len(found) - n)} in these sends alone."
    )
    return [lead, *shortened(said, "patterns")]


def correlations(material: Material, layer: str) -> list[str]:
    """Return which metrics' effects go together over campaigns, and among how many pairs."""
    rows = material.rows("correlations", layer=layer)
    found = rows[rows["is_found"]]
    if rows.empty:
        return ["No two metrics could be compared over campaigns: 0 pairs."]
    lead = f"Clear: {formats.count(len(found))} of {formats.count(len(rows))} pairs of metrics."
    return [lead, *[insight_words.correlation_sentence(row) for _, row in found.iterrows()]]


def history(material: Material, layer: str | None = None) -> list[str]:
    """Return the primary metric of the period against the one before."""
    insight = material.insight
    rows = _of_layer(material.rows("history", metric=material.setting.primary), layer)
    if insight is None or rows.empty:
        return ["No earlier period was read: 0 comparisons."]
    return [
        insight_words.history_sentence(
            row, period=insight.period, before=insight.before, zone=material.setting.zone
        )
        for _, row in rows.iterrows()
    ]


def trends(material: Material, layer: str) -> list[str]:
    """Return how the primary metric's effect of a layer's automations went over time."""
    campaigns = material.campaigns
    own = set(campaigns["automation_id"][campaigns["layer"] == layer].dropna())
    rows = material.rows("automation_trends", metric=material.setting.primary)
    names = _automation_names(material)
    return [
        insight_words.trend_sentence(row, name=names.get(row["automation_id"]))
        for _, row in rows[rows["automation_id"].isin(own)].iterrows()
    ]


def cadence_counts(material: Material, layer: str | None = None) -> str:
    """Return how many planned sends went when."""
    rows = _cadence(material, layer)
    if rows.empty:
        return "No automation has a weekly schedule: 0 planned sends."
    counts = rows["state"].value_counts()
    said = [f"{formats.count(n)} {keys.said(str(state))}" for state, n in counts.items()]
    return f"Of {formats.count(len(rows))} planned sends: {', '.join(said)}."


def cadence(material: Material, layer: str | None = None) -> list[str]:
    """Return the planned sends that moved or were missed, and what that cost."""
    rows = _cadence(material, layer)
    names, setting = _automation_names(material), material.setting
    said = [
        insight_words.cadence_sentence(
            row, metric=setting.primary, name=names.get(row["automation_id"]), zone=setting.zone
        )
        for _, row in rows[rows["state"].isin(["moved", "missed"])].iterrows()
    ]
    return shortened(said, "planned sends")


def advice(material: Material, *, level: str | None = None, of: str | None = None) -> list[str]:
    """Return what is short in the data and what to do about it, the largest first."""
    rows = material.rows("quality_advice")
    if level is not None:
        rows = rows[(rows["level"] == level) & (rows["of"] == of)]
    return [str(said) for said in dict.fromkeys(rows["words"])]


def shortened(sentences: list[str], what: str) -> list[str]:
    """Return the first sentences, and how many more there are."""
    more = len(sentences) - MOST
    if more <= 0:
        return sentences
    last = f"{formats.count(more)} more {what} are in analysis.json and the workbook."
    return [*sentences[:MOST], last]


def combined(material: Material, level: str = "all", of: str = "all") -> str:
    """Return the combined quality score against its threshold, or that there is none."""
    rows = material.rows("quality_scores", level=level, of=of, side="combined", part="total")
    if rows.empty:
        return formats.missing("no_data")
    row = rows.iloc[0]
    if formats.is_missing(row["score"]):
        return formats.missing(str(row["status"]))
    return f"{formats.share(row['score'])} (threshold {formats.share(row['threshold'])})"


def _cadence(material: Material, layer: str | None) -> pd.DataFrame:
    rows, campaigns = material.rows("cadence"), material.campaigns
    if layer is None:
        return rows
    own = campaigns["automation_id"][campaigns["layer"] == layer].dropna()
    return rows[rows["automation_id"].isin(set(own))]


def _of_layer(rows: pd.DataFrame, layer: str | None) -> pd.DataFrame:
    return rows if layer is None else rows[rows["layer"] == layer]


def _campaign_names(material: Material) -> dict[str, str]:
    """Return what each campaign is called, with its day, since sends of one automation share it."""
    zone = material.setting.zone
    return {
        str(row["campaign_id"]): f"{row['name']} ({formats.day(row['first_delivered_at'], zone)})"
        for _, row in material.campaigns.iterrows()
    }


def _automation_names(material: Material) -> dict[str, str]:
    campaigns = material.campaigns.dropna(subset=["automation_id"])
    first = campaigns.drop_duplicates("automation_id")
    return dict(zip(first["automation_id"], first["name"], strict=True))


__all__ = [
    "DECISIONS", "advice", "cadence", "cadence_counts", "combined", "correlations",
    "decision_counts", "decisions", "history", "patterns", "shortened", "trends", "what_if",
]  # fmt: skip

"""What the figures of insight say, in words, for those who cannot see them."""

from __future__ import annotations

import pandas as pd

from core.publish import figures_cadence, figures_grids, figures_insight, formats, keys, words
from core.publish.figures_cadence import automation_names, late, states_said
from core.publish.figures_grids import HOURS, coefficients
from core.publish.figures_insight import (
    behind,
    difference,
    events,
    in_scale_order,
    relative,
    series_names,
    then_and_now,
)
from core.publish.theme import flat

_MOST = 40
"""Rows that are read out; how many are left is said."""


def pattern_groups(frame: pd.DataFrame, *, title: str) -> str:
    """Return each kind of send with its effect and what it rests on."""
    if frame.empty:
        return _none(title, figures_insight.NOTHING["pattern_groups"])
    rows = in_scale_order(frame)
    several = len(rows[["pattern", "layer"]].drop_duplicates()) > 1
    said = [
        f"{_part(row) if several else ''}{keys.said(row['group'])} {relative(row)}, {behind(row)}"
        for _, row in rows.iterrows()
    ]
    return f"{lead(title)}Dots with intervals, {len(rows)} kinds of sends: {listed(said)}."


def ranking_dots(frame: pd.DataFrame, *, title: str) -> str:
    """Return each place with its campaign, effect, and rank with interval."""
    if frame.empty:
        return _none(title, figures_insight.NOTHING["ranking_dots"])
    rows = frame.sort_values("place")
    name = "label" if "label" in rows else "campaign_id"
    said = [
        f"{row['place']}. {row[name]} {relative(row, 'shrunk_rel_effect_size')}, {_rank(row)}"
        f"{', clear' if row['is_clear'] else ''}"
        for _, row in rows.iterrows()
    ]
    return f"{lead(title)}Dots with intervals, the {len(rows)} best: {listed(said)}."


def what_if_ranges(frame: pd.DataFrame, *, title: str) -> str:
    """Return each recommendation with what it may bring a week."""
    if frame.empty:
        return _none(title, figures_insight.NOTHING["what_if_ranges"])
    said = [
        f"{keys.said(row['recommendation'])} {events(row, 'events_per_week')} "
        f"{words.label(row['metric'])} a week"
        for _, row in frame.iterrows()
    ]
    return f"{lead(title)}Ranges, {len(frame)} recommendations: {listed(said)}."


def history_dots(frame: pd.DataFrame, *, title: str) -> str:
    """Return each row's numbers before and now, and their difference."""
    if frame.empty:
        return _none(title, figures_insight.NOTHING["history_dots"])
    said = [
        f"{name} {then_and_now(row)}, difference {difference(row)}"
        for name, (_, row) in zip(series_names(frame), frame.iterrows(), strict=True)
    ]
    return f"{lead(title)}Now against before: {listed(said)}."


def trend_lines(frame: pd.DataFrame, *, title: str) -> str:
    """Return each automation with the change of its effect a week."""
    if frame.empty:
        return _none(title, figures_insight.NOTHING["trend_lines"])
    said = [
        f"{name} {difference(row, 'slope_per_week')} a week, {row['n_campaigns']} sends"
        for name, (_, row) in zip(automation_names(frame), frame.iterrows(), strict=True)
    ]
    return f"{lead(title)}Change of the lift a week, {len(frame)} automations: {listed(said)}."


def cadence_calendar(frame: pd.DataFrame, *, title: str, zone: str = "UTC") -> str:
    """Return how many planned sends came to what, and which were moved or missed."""
    if frame.empty:
        return _none(title, figures_cadence.NOTHING["cadence_calendar"])
    astray = frame[frame["state"].isin(["moved", "missed"])]
    names = automation_names(astray)
    said = [
        f"{name} {formats.instant(row['planned_at'], zone)} "
        f"{keys.said(row['state'])} {late(row['hours_late'])}".strip()
        for name, (_, row) in zip(names, astray.iterrows(), strict=True)
    ]
    more = f" Not on plan: {listed(said)}." if said else ""
    return f"{lead(title)}Calendar of planned sends: {states_said(frame['state'])}.{more}"


def correlation_grid(frame: pd.DataFrame, *, title: str) -> str:
    """Return each pair of metrics with its correlation."""
    if frame.empty:
        return _none(title, figures_grids.NOTHING["correlation_grid"])
    said = [
        f"{words.label(row['metric'])} and {words.label(row['other_metric'])} {coefficients(row)}"
        f"{', clear' if row['is_found'] else ''}"
        for _, row in frame.iterrows()
    ]
    return f"{lead(title)}Correlations of effects over campaigns: {listed(said)}."


def weekday_hours(frame: pd.DataFrame, *, title: str) -> str:
    """Return each day of the week and block of hours with its effect and n."""
    shown = frame[frame["pattern"].isin({"weekday", *HOURS})]
    if shown.empty:
        return _none(title, figures_grids.NOTHING["weekday_hours"])
    said = [
        f"{_part(row)}{keys.said(row['group'])} {relative(row)}, n {row['n_campaigns']}"
        for _, row in in_scale_order(shown).iterrows()
    ]
    return f"{lead(title)}Grid by day of the week and hour: {listed(said)}."


def lead(title: str) -> str:
    """Return a takeaway as the first sentence of what a figure says."""
    text = flat(title, limit=240)
    return f"{text.rstrip('.')}. " if text else ""


def listed(said: list[str]) -> str:
    """Return what is read out, safe to stand in an attribute, as far as it is not too long."""
    first = [flat(text, limit=160) for text in said[:_MOST]]
    rest = len(said) - len(first)
    return "; ".join(first) + (f"; and {rest} more" if rest else "")


def _none(title: str, sentence: str) -> str:
    return f"{lead(title)}{sentence}"


def _part(row: pd.Series) -> str:
    return f"{words.layer(row['layer']).partition(',')[0].lower()}, "


def _rank(row: pd.Series) -> str:
    if formats.is_missing(row["rank"]):
        return "not ranked"
    ends = formats.interval((row["rank_low"], row["rank_high"]), decimals=0)
    return f"rank {formats.count(row['rank'])} {ends}"

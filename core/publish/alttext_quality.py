"""What the figures of quality and health say, in words, for those who cannot see them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from core.publish import figures_days, figures_quality, formats, words
from core.publish.alttext_insight import lead, listed
from core.publish.figures_quality import MEASURES, in_order, part_name, run_said, scored
from core.publish.strips import local_days, named


def score_bars(frame: pd.DataFrame, *, title: str, level: str = "all", of: str = "all") -> str:
    """Return each score with what it should reach."""
    rows = in_order(frame, level, of)
    if rows.empty:
        return f"{lead(title)}{figures_quality.NOTHING['score_bars']}"
    said = [
        f"{part_name(row).lower()} {scored(row)} (mark {formats.share(row['threshold'])})"
        for _, row in rows.iterrows()
    ]
    return f"{lead(title)}Bars of scores: {listed(said)}."


def event_days_heat(frame: pd.DataFrame, *, title: str, zone: str = "UTC") -> str:
    """Return for each event its total and the days that are gaps or not whole."""
    if frame.empty:
        return f"{lead(title)}{figures_days.NOTHING['event_days_heat']}"
    days = local_days(frame["day"], zone)
    said = []
    for event in dict.fromkeys(frame["event"]):
        part = frame[frame["event"] == event]
        gaps = named(sorted(days[part.index[part["is_gap"]]]), most=6)
        torn = int((~part["is_whole"]).sum())
        total = f"{event} {formats.count(part['n_events'].sum())} events"
        said.append(f"{total}, gaps: {gaps or 'none'}, days not whole: {torn}")
    span = f"{days.min():%Y-%m-%d} to {days.max():%Y-%m-%d}"
    return f"{lead(title)}Events by day, {span}: {listed(said)}."


def push_days(frame: pd.DataFrame, *, title: str, zone: str = "UTC") -> str:
    """Return for each layer the share of pushes with activity near them, and its odd days."""
    if frame.empty:
        return f"{lead(title)}{figures_days.NOTHING['push_days']}"
    days = local_days(frame["day"], zone)
    said = []
    for layer in sorted(set(frame["layer"])):
        part = frame[frame["layer"] == layer]
        odd = part[part["is_odd"]]
        share = formats.share(part["n_active"].sum() / max(1, part["n_pushes"].sum()))
        which = ", ".join(
            f"{day:%Y-%m-%d} {formats.share(one)}"
            for day, one in zip(days[odd.index], odd["active_share"], strict=True)
        )
        name = words.layer(layer).partition(",")[0].lower()
        said.append(f"{name} {share} on {len(part)} days, odd days: {which or 'none'}")
    return f"{lead(title)}Share of pushes with any activity near them: {listed(said)}."


def native_difference(frame: pd.DataFrame, *, title: str, zone: str = "UTC") -> str:
    """Return for each event on how many days totals agree, and those that differ."""
    if frame.empty:
        return f"{lead(title)}{figures_days.NOTHING['native_difference']}"
    days = local_days(frame["day"], zone)
    said = []
    for event in dict.fromkeys(frame["event"]):
        part = frame[frame["event"] == event]
        differs = part[~part["agrees"]]
        which = ", ".join(
            f"{day:%Y-%m-%d} {formats.count(ours)} against {formats.count(theirs)}"
            for day, ours, theirs in zip(
                days[differs.index], differs["ours"], differs["native"], strict=True
            )
        )
        agree = f"{formats.count(part['agrees'].sum())} of {len(part)} days agree"
        said.append(f"{event} {agree}, not: {which or 'none'}")
    return f"{lead(title)}Our totals against PostHog's own: {listed(said)}."


def runs_trend(
    frame: pd.DataFrame, *, title: str, what: Sequence[str] = MEASURES, zone: str = "UTC"
) -> str:
    """Return for each measure its last number and its range over runs."""
    if frame.empty:
        return f"{lead(title)}{figures_quality.NOTHING['runs_trend']}"
    said = [run_said(frame.sort_values("started_at"), name) for name in what]
    ends = (formats.instant(at, zone) for at in (frame["started_at"].min(),
                                                 frame["started_at"].max()))  # fmt: skip
    first, last = ends
    return f"{lead(title)}{len(frame)} runs, {first} to {last}: {listed(said)}."

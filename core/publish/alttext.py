"""What each figure says, in words, for those who cannot see it."""

from __future__ import annotations

from typing import Literal

import pandas as pd

from core.publish import formats, words
from core.publish.dots import effect_rows, need
from core.publish.theme import flat
from core.publish.words import Scale


def forest(frame: pd.DataFrame, *, title: str, scale: Scale = "relative") -> str:
    """Return what a forest plot shows: how many rows lie where, the highest and the lowest.

    Args:
        frame: As `figures.forest` takes it.
        title: The takeaway.
        scale: As drawn.

    Raises:
        DataError: A column is missing.
    """
    rows = effect_rows(frame, scale=scale, order="effect")
    return f"{_lead(title)}Dots with intervals, {len(rows)} rows: {_sides(rows)}.{_extremes(rows)}"


def metrics_dots(frame: pd.DataFrame, *, title: str, scale: Scale = "relative") -> str:
    """Return what the dots of one campaign's metrics show: each metric with its number.

    Args:
        frame: As `figures.metrics_dots` takes it.
        title: The takeaway.
        scale: As drawn.

    Raises:
        DataError: A column is missing.
    """
    need(frame, "metric")
    said = [
        f"{words.label(metric)} {words.effect(row, scale)}"
        for metric, (_, row) in zip(frame["metric"], frame.iterrows(), strict=True)
    ]
    return f"{_lead(title)}Dots with intervals: {'; '.join(said) or 'no metrics'}."


def lift_by_week(frame: pd.DataFrame, *, title: str, scale: Scale = "relative") -> str:
    """Return what the weeks show: how many, the first and the last number, where they lie.

    Args:
        frame: As `figures.lift_by_week` takes it.
        title: The takeaway.
        scale: As drawn.

    Raises:
        DataError: A column is missing.
    """
    need(frame, "week")
    weeks = frame.sort_values("week").assign(label=lambda f: f["week"].dt.strftime("%Y-%m-%d"))
    rows = effect_rows(weeks, scale=scale, order="given")
    known = rows[rows["side"] != "missing"]
    ends = [f"week of {_named(known.iloc[at])}" for at in ((0, -1) if len(known) > 1 else ())]
    span = f" From {ends[0]} to {ends[1]}." if ends else ""
    return f"{_lead(title)}Lift by week, {len(rows)} weeks: {_sides(rows)}.{span}"


def activity_around(
    frame: pd.DataFrame, *, title: str, unit: Literal["hour", "day"] = "hour"
) -> str:
    """Return what activity around the push shows: the mean rate before and after it.

    Args:
        frame: As `figures.activity_around` takes it.
        title: The takeaway.
        unit: Length of a bin.

    Raises:
        DataError: A column is missing.
    """
    need(frame, "offset", "rate")
    after = frame["offset"] >= 0
    parts = [(f"{int((~after).sum())} {unit}s before", frame[~after]["rate"].mean())]
    parts += [(f"{int(after.sum())} {unit}s after", frame[after]["rate"].mean())]
    if "expected" in frame and frame.loc[after, "expected"].notna().any():
        parts += [("expected after", frame.loc[after, "expected"].mean())]
    said = ", ".join(f"{name} {formats.rate(mean)}" for name, mean in parts)
    return f"{_lead(title)}Mean events per user per {unit} around the push: {said}."


def ledger_bars(frame: pd.DataFrame, *, title: str) -> str:
    """Return what the ledger shows: every step with its number, and the share that is left.

    Args:
        frame: As `figures.ledger_bars` takes it.
        title: The takeaway.

    Raises:
        DataError: A column is missing.
    """
    need(frame, "step", "n")
    steps = zip(frame["step"], frame["n"], strict=True)
    said = ", ".join(f"{flat(str(step))} {formats.count(n)}" for step, n in steps)
    if frame.empty or not frame["n"].iloc[0]:
        return f"{_lead(title)}Steps: {said or 'none'}."
    left = formats.share(frame["n"].iloc[-1] / frame["n"].iloc[0])
    return f"{_lead(title)}Steps: {said}; {left} are left."


def _lead(title: str) -> str:
    text = flat(title, limit=200)
    return f"{text.rstrip('.')}. " if text else ""


def _sides(rows: pd.DataFrame) -> str:
    counts = rows["side"].value_counts()
    said = {"above": "above zero", "below": "below zero", "unclear": "including zero"}
    parts = [f"{counts.get(side, 0)} {where}" for side, where in said.items()]
    absent = int(counts.get("missing", 0))
    return ", ".join(parts + ([f"{absent} without a number"] if absent else []))


def _extremes(rows: pd.DataFrame) -> str:
    known = rows[rows["side"] != "missing"]
    if len(known) < 2:
        return f" {_named(known.iloc[0])}." if len(known) else ""
    return f" Highest: {_named(known.iloc[0])}; lowest: {_named(known.iloc[-1])}."


def _named(row: pd.Series) -> str:
    return f"{row['label']}, {row['number']}"

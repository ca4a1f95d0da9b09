"""Events read by Pushlift against PostHog's own totals, per tracked event and day."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.activity.source import Period
from core.activity.timelines import Int64, Timelines
from core.frames import Column, Table
from core.measure.holes import Holes
from core.quality.frames import NATIVE

TOLD = Table(
    "told_totals",
    ("event", "day"),
    (
        Column("event", "text", "the tracked event"),
        Column("day", "instant", "its midnight in PostHog's project time zone"),
        Column("until", "instant", "the next midnight there"),
        Column("n", "integer", "what PostHog's own insight says"),
    ),
)
"""What PostHog says: one row per event and day it was asked for."""

RELATIVE, LEAST = 0.01, 2.0
"""Tolerance of a settled day: this share of PostHog's total, and at least so many events."""
RELATIVE_YOUNG, LEAST_YOUNG = 0.05, 10.0
"""The same where events of the day may still have come after it was read."""


def native_totals(
    timelines: Timelines,
    told: pd.DataFrame,
    *,
    period: Period,
    settled_until: int,
    holes: Holes | None = None,
    rows: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return NATIVE: each tracked event and whole day of what was read.

    Days that were read in part, at either end of the period, are left out: a part cannot be
    compared with a total. They agree where they differ by at most max(1 %, 2 events), on days
    that had not settled max(5 %, 10 events), of PostHog's total.

    Args:
        timelines: What was read, each event once.
        told: TOLD.
        period: What of the timelines was read, milliseconds since 1970 UTC.
        settled_until: Days that end later may have had more events since they were read.
        holes: Stretches of the period that could not be read.
        rows: How many rows PostHog's table holds, as `Insights.rows_by_day` gives them over
            `day_starts` of these days, to tell the reason of differences by; None where it was
            not asked.
    """
    table = whole_days(told, period)
    if table.empty:
        return NATIVE.empty()
    ours = _ours(timelines, table)
    young = _ms(table["until"]) > settled_until
    native = table["n"].to_numpy()
    tolerance = np.where(
        young,
        np.maximum(RELATIVE_YOUNG * native, LEAST_YOUNG),
        np.maximum(RELATIVE * native, LEAST),
    )
    agrees = np.abs(native - ours) <= tolerance
    starts, ends = _ms(table["day"]), _ms(table["until"])
    is_torn = np.zeros(len(table), dtype=bool) if holes is None else holes.touch(starts, ends)
    frame = pd.DataFrame(
        {
            "event": table["event"],
            "day": table["day"],
            "ours": ours,
            "native": native,
            "tolerance": tolerance,
            "agrees": agrees,
        }
    )
    why = _why(frame, rows, is_young=young, is_torn=is_torn)
    return NATIVE.checked(frame.assign(why=pd.Series(why, dtype="str")))


def whole_days(told: pd.DataFrame, period: Period) -> pd.DataFrame:
    """Return the rows of TOLD whose day lies within a period, by event and day."""
    told = TOLD.checked(told)
    is_whole = (_ms(told["day"]) >= period.start) & (_ms(told["until"]) <= period.end)
    return told[is_whole].sort_values(["event", "day"], ignore_index=True)


def day_starts(table: pd.DataFrame) -> Int64:
    """Return the instants at which a table's days begin, each once, ascending, milliseconds."""
    return np.unique(_ms(table["day"]))


def _ours(timelines: Timelines, table: pd.DataFrame) -> Int64:
    """Return how many events of the timelines fall on each row's event and day."""
    starts = day_starts(table)
    ends = np.unique(_ms(table["until"]))
    day = np.searchsorted(starts, timelines.instants, side="right") - 1
    is_inside = (day >= 0) & (timelines.instants < ends[np.maximum(day, 0)])
    codes = timelines.events[is_inside].astype(np.int64) * len(starts) + day[is_inside]
    counts = np.bincount(codes, minlength=len(timelines.event_names) * len(starts))
    place = {name: at for at, name in enumerate(timelines.event_names)}
    event = table["event"].map(place).to_numpy(dtype=np.int64)
    found: Int64 = counts[event * len(starts) + np.searchsorted(starts, _ms(table["day"]))]
    return found.astype(np.int64)


def _why(
    frame: pd.DataFrame,
    rows: pd.DataFrame | None,
    *,
    is_young: NDArray[np.bool_],
    is_torn: NDArray[np.bool_],
) -> list[str | None]:
    """Return a reason for each difference beyond the tolerance, None where they agree."""
    copies, late = _taken_apart(frame, rows)
    said: list[str | None] = []
    for at in range(len(frame)):
        if frame["agrees"].iloc[at]:
            said.append(None)
            continue
        parts = [
            _torn(is_torn=bool(is_torn[at])),
            _copies(copies[at]),
            _late(late[at], is_young=bool(is_young[at]), is_torn=bool(is_torn[at])),
        ]
        reason = " ".join(part for part in parts if part)
        said.append(reason or _unknown(frame.iloc[at], is_young=bool(is_young[at])))
    return said


def _taken_apart(
    frame: pd.DataFrame, rows: pd.DataFrame | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return copies of events, and events there now less ours; NaN where PostHog was not asked."""
    if rows is None:
        nothing = np.full(len(frame), np.nan)
        return nothing, nothing
    starts = day_starts(frame)
    known = frame.assign(place=np.searchsorted(starts, _ms(frame["day"])))
    merged = known.merge(
        rows.rename(columns={"day": "place", "n": "n_rows"}), on=["event", "place"], how="left"
    )
    n_rows = merged["n_rows"].fillna(0).to_numpy(dtype=np.float64)
    n_once = merged["n_once"].fillna(0).to_numpy(dtype=np.float64)
    return n_rows - n_once, n_once - frame["ours"].to_numpy()


def _torn(*, is_torn: bool) -> str:
    return "Part of this day could not be read." if is_torn else ""


def _copies(n: float) -> str:
    if not n > 0:  # NaN too
        return ""
    return (
        f"PostHog holds {n:,.0f} copies of events recorded more than once; its insight counts each "
        "copy, Pushlift one."
    )


def _late(n: float, *, is_young: bool, is_torn: bool) -> str:
    if n > 0 and not is_torn:
        when = "the day had not settled" if is_young else "they came after the day had settled"
        return f"PostHog holds {n:,.0f} events now that it did not when they were read: {when}."
    if n < 0:
        return f"{-n:,.0f} events that were read are no longer in PostHog, or are on another day."
    return ""


def _unknown(row: pd.Series, *, is_young: bool) -> str:
    if is_young:
        return "The day had not settled when it was read: PostHog may have had more events since."
    if row["native"] > row["ours"]:
        return "Not known: copies of events that PostHog counts each, or events that came late."
    return "Not known: events deleted from PostHog since they were read."


def _ms(instants: pd.Series) -> Int64:
    milliseconds: Int64 = pd.DatetimeIndex(instants).as_unit("ms").asi8
    return milliseconds

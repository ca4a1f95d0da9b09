"""What could not be had, and what it touches: no number may silently rest on part of the data."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.activity.source import Hole
from core.activity.timelines import MS_PER_DAY, Int64
from core.loading import Loaded, milliseconds
from core.measure.holes import INCOMPLETE, Holes
from core.measure.state import HISTORY_DAYS
from core.measure.windows import WindowLengths
from core.sources.recipients import positions

_MOST_NAMED = 5


def holes_of(loaded: Loaded) -> Holes:
    """Return the stretches of time whose activity is missing."""
    return Holes.of((hole.start, hole.end) for hole in loaded.holes)


def touched_pushes(loaded: Loaded, lengths: WindowLengths) -> NDArray[np.bool_]:
    """Return which measured pushes have a hole in their baseline or post window, bool[pushes]."""
    at = milliseconds(loaded.pushes["delivered_at"])
    ends = np.minimum(at + lengths.post_ms, loaded.span.as_of_ms)
    return holes_of(loaded).touch(at - lengths.baseline_ms, ends)


def incomplete_campaigns(loaded: Loaded, lengths: WindowLengths) -> NDArray[np.bool_]:
    """Return which campaigns' numbers would rest on a hole or lack recipients, bool[campaigns].

    A campaign needs its people's activity from the baseline, or the history that they are
    compared by, to the end of the last post window; and to know of everybody it names who they
    are.
    """
    first, last = _extents(loaded)
    before = max(lengths.baseline_ms, HISTORY_DAYS * MS_PER_DAY)
    ends = np.minimum(last + lengths.post_ms, loaded.span.as_of_ms)
    lacks_people = loaded.campaigns["n_unresolved"].to_numpy() > 0
    touched: NDArray[np.bool_] = holes_of(loaded).touch(first - before, ends) | lacks_people
    return touched


def sentences(loaded: Loaded, campaigns: pd.DataFrame) -> list[str]:
    """Return what is missing and what it touches; nothing where everything was had.

    Args:
        loaded: What was read.
        campaigns: frames.CAMPAIGNS, judged; any selection.
    """
    if not loaded.is_partial:
        return []
    said = [f"Activity {_stretch(hole)} is missing: {hole.why}" for hole in loaded.holes]
    if loaded.n_unresolved:
        said.append(
            f"{loaded.n_unresolved:,} users could not be matched with a person: "
            f"{loaded.why_unresolved}"
        )
    return [*said, _affected(campaigns)]


def described(loaded: Loaded, campaigns: pd.DataFrame) -> dict[str, object]:
    """Return the same in plain values, for files.

    Args:
        loaded: What was read.
        campaigns: frames.CAMPAIGNS, judged; any selection.
    """
    return {
        "is_partial": loaded.is_partial,
        "activity": [
            {"since": _instant(hole.start), "until": _instant(hole.end), "why": hole.why}
            for hole in loaded.holes
        ],
        "n_unresolved_users": loaded.n_unresolved,
        "why_unresolved": loaded.why_unresolved or None,
        "campaigns": list(campaigns["campaign_id"][campaigns["status"] == INCOMPLETE]),
    }


def _extents(loaded: Loaded) -> tuple[Int64, Int64]:
    """Return the first and last instant of each campaign, held out people included; 0, 0: none."""
    ids = loaded.campaigns["campaign_id"]
    pushes, others = loaded.pushes, loaded.others
    codes = np.concatenate(
        [positions(ids, pushes["campaign_id"]), positions(ids, others["campaign_id"])]
    )
    at = np.concatenate([milliseconds(pushes["delivered_at"]), milliseconds(others["assigned_at"])])
    first = np.full(len(ids), np.iinfo(np.int64).max)
    last = np.full(len(ids), np.iinfo(np.int64).min)
    np.minimum.at(first, codes, at)
    np.maximum.at(last, codes, at)
    is_empty = first > last
    return np.where(is_empty, 0, first), np.where(is_empty, 0, last)


def _affected(campaigns: pd.DataFrame) -> str:
    names = list(campaigns["name"][campaigns["status"] == INCOMPLETE])
    if not names:
        return "No campaign shown rests on it, but methods that need the whole period are left out."
    listed = "; ".join(names[:_MOST_NAMED])
    more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
    return (
        f"Withheld for that reason: {len(names):,} campaign{'s' if len(names) > 1 else ''} "
        f"({listed}{more}), and of the others those methods that need the whole period."
    )


def _stretch(hole: Hole) -> str:
    return f"from {_instant(hole.start):%Y-%m-%d %H:%M} to {_instant(hole.end):%Y-%m-%d %H:%M} UTC"


def _instant(milliseconds_: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds_)

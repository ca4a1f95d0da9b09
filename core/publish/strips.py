"""Small multiples along time: a strip a series, its name and numbers above it, days below all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import pandas as pd
import plotly.graph_objects as go

from core.publish.stacked import HEAD, NOTE
from core.publish.theme import Theme, safe

_ABOVE, _PLOT, _GAP = 40, 62, 14
_DAY = pd.Timedelta(days=1)
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """One series.

    Attributes:
        label: What it is.
        number: What matters most, as text, at the right.
        note: A quiet line below.
        traces: What is drawn.
        low: Lower end of its axis.
        high: Upper end of its axis.
    """

    label: str
    number: str
    note: str
    traces: tuple[go.Scatter, ...]
    low: float
    high: float


def strips(parts: Sequence[Strip], look: Theme) -> tuple[go.Figure, int]:
    """Return a figure of strips below each other, and the pixels they take.

    Args:
        parts: The strips, from the top.
        look: The theme.
    """
    height = (_ABOVE + _PLOT) * len(parts) + _GAP * (len(parts) - 1)
    figure, texts = go.Figure(), []
    for at, part in enumerate(parts):
        name = f"y{at + 1}" if at else "y"
        top = at * (_ABOVE + _PLOT + _GAP)
        figure.add_traces([trace.update(yaxis=name) for trace in part.traces])
        room = 0.08 * (part.high - part.low) or 1.0
        figure.update_layout(
            {
                name.replace("y", "yaxis"): {
                    "domain": _domain(top + _ABOVE, height),
                    "zeroline": bool(part.low <= 0 <= part.high),
                    "range": [part.low - room, part.high + room], "visible": True,
                    "showticklabels": False, "showgrid": False, "fixedrange": True,
                    "showline": False,
                }
            }
        )  # fmt: skip
        texts += _texts(part, 1 - top / height, look)
    last = f"y{len(parts)}" if len(parts) > 1 else "y"
    figure.update_layout(annotations=texts, xaxis={"anchor": last})
    return figure, height


def days_axis(figure: go.Figure) -> None:
    """Give a figure's days an axis that stays readable on a phone."""
    figure.update_xaxes(
        type="date", tickformat="%b %-d", nticks=5, showgrid=True, zeroline=False,
        fixedrange=True, ticklabeloverflow="hide past div",
    )  # fmt: skip


def local_days(instants: pd.Series, zone: str) -> pd.Series:
    """Return the days instants fall on in a zone, without one of their own."""
    days: pd.Series = instants.dt.tz_convert(zone).dt.tz_localize(None).dt.normalize()
    return days


def named(days: Sequence[pd.Timestamp], *, most: int = _MOST_NAMED) -> str:
    """Return days as people say them, runs of days joined, "Sep 23 to Sep 24, Oct 2 and 4 more".

    Args:
        days: Days in their order, without a zone.
        most: How many runs are named before the rest is counted.
    """
    if not days:
        return ""
    breaks = [at for at, (a, b) in enumerate(pairwise(days), start=1) if b - a > _DAY]
    runs = [days[a:b] for a, b in pairwise([0, *breaks, len(days)])]
    said = [
        _said(run[0]) if len(run) == 1 else f"{_said(run[0])} to {_said(run[-1])}"
        for run in runs[:most]
    ]
    rest = sum(len(run) for run in runs[most:])
    return ", ".join(said) + (f" and {rest} more" if rest else "")


def _said(day: pd.Timestamp) -> str:
    return f"{day:%b} {day.day}"


def _domain(top: int, height: int) -> list[float]:
    return [max(0.0, 1 - (top + _PLOT) / height), 1 - top / height]


def _texts(part: Strip, top: float, look: Theme) -> list[dict[str, object]]:
    room = max(12, HEAD - len(part.number))
    lines = [
        (safe(part.label, limit=room), 0, 8, 12, look.text),
        (safe(part.number, limit=HEAD), 1, 8, 12, look.text),
        (safe(part.note, limit=NOTE), 0, 25, 11, look.muted),
    ]
    return [
        {
            "text": text, "showarrow": False, "font": {"size": size, "color": colour},
            "x": x, "xref": "paper", "xanchor": "right" if x else "left", "borderpad": 0,
            "y": top, "yref": "paper", "yanchor": "middle", "yshift": -down,
        }
        for text, x, down, size, colour in lines
        if text
    ]  # fmt: skip

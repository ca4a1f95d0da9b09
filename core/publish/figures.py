"""The figures of pages and reports, as plotly figures that need nothing around them.

Each takes a table and a takeaway title; colour says status and nothing else. Beside each stands
a function of `alttext` that says the same in words.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.publish import formats, words
from core.publish.dots import (
    LABEL_LENGTH,
    SIDES,
    Order,
    arrows,
    effect_rows,
    level_of,
    need,
    reading,
    span,
    texts_beside,
    trace,
)
from core.publish.theme import (
    EXPORT_CONFIG,
    TEMPLATES,
    THEMES,
    Theme,
    ThemeName,
    flat,
    heading,
    safe,
)
from core.publish.words import Scale

_ORDERS: dict[Order, str] = {
    "given": "",
    "effect": "sorted by effect, largest first",
    "lower": "sorted by the lower end of the interval, largest first",
}
_ROW_HEIGHT = 24
_CHARACTER_WIDTH = 7
_FOOT = 76
_BARE_FOOT = 12


def forest(
    frame: pd.DataFrame,
    *,
    theme: ThemeName,
    title: str,
    scale: Scale = "relative",
    order: Order = "effect",
) -> go.Figure:
    """Return a forest plot: a dot and its interval a row, n and the number at the right.

    Rows without a number stay, with the reason. An interval without a bound, or one that would
    crush the others, ends in an arrow; hollow marks are provisional.

    Args:
        frame: Rows of LIFTS or LAYER_LIFTS of one metric; a column `label` names them (else
            `name`, the campaign's id or the layer), a column `window_complete` may be there.
        theme: Light or dark.
        title: The takeaway.
        scale: Relative effects (percent) or absolute ones (events per user per day).
        order: How rows are sorted; the figure says so.

    Raises:
        DataError: A column is missing.
    """
    rows = effect_rows(frame, scale=scale, order=order)
    note = "; ".join(part for part in (_ORDERS[order], reading(rows)) if part)
    return _dots(rows, theme=theme, title=title, note=note, scale=scale, level=level_of(frame))


def metrics_dots(
    frame: pd.DataFrame, *, theme: ThemeName, title: str, scale: Scale = "relative"
) -> go.Figure:
    """Return all metrics of one campaign as dots and intervals, in the order given.

    Args:
        frame: Rows of LIFTS of one campaign, one a metric.
        theme: Light or dark.
        title: The takeaway.
        scale: Relative effects (percent) or absolute ones (events per user per day).

    Raises:
        DataError: A column is missing.
    """
    need(frame, "metric")
    named = frame.assign(label=[words.label(metric) for metric in frame["metric"]])
    rows = effect_rows(named, scale=scale, order="given")
    note = "; ".join(
        part for part in ("intervals unadjusted for the number of metrics", reading(rows)) if part
    )
    return _dots(rows, theme=theme, title=title, note=note, scale=scale, level=level_of(frame))


def lift_by_week(
    frame: pd.DataFrame, *, theme: ThemeName, title: str, scale: Scale = "relative"
) -> go.Figure:
    """Return the lift week by week: a dot and its interval a week, n below.

    Args:
        frame: One row a week: `week` (instant of its start), `n_users`, `status` and the effect
            columns of LIFTS.
        theme: Light or dark.
        title: The takeaway.
        scale: Relative effects (percent) or absolute ones (events per user per day).

    Raises:
        DataError: A column is missing.
    """
    need(frame, "week")
    weeks = frame.sort_values("week")
    named = weeks.assign(label=[f"{week:%b} {week.day}" for week in weeks["week"]])
    rows = effect_rows(named, scale=scale, order="given")
    low, high = span(rows)
    figure = go.Figure([trace(rows, side, low=low, high=high, along="y") for side in SIDES])
    figure.add_traces(arrows(rows, low=low, high=high, along="y"))
    absent = rows[rows["side"] == "missing"]
    for why, at in zip(absent["number"], absent["at"], strict=True):
        _say(figure, why, x=at, y=0.02, yref="paper", yanchor="bottom", textangle=-90)
    ticks = [f"{safe(week)}<br>n {n}" for week, n in zip(rows["label"], rows["n"], strict=True)]
    figure.update_xaxes(tickvals=rows["at"], ticktext=ticks, range=[-0.5, len(rows) - 0.5])
    figure.update_xaxes(showgrid=False, zeroline=False)
    figure.update_yaxes(**_effect_axis(scale), range=[low, high])
    _finish(figure, theme, title=title, note=reading(rows), height=320, right=16)
    return figure


def activity_around(
    frame: pd.DataFrame,
    *,
    theme: ThemeName,
    title: str,
    unit: Literal["hour", "day"] = "hour",
) -> go.Figure:
    """Return what recipients did around the push: a bar a bin, what was expected as a line.

    Args:
        frame: One row a bin: `offset` (integer hours or days from the delivery to the bin's
            start), `rate` (events per user in the bin), and, where there is an expectation,
            `expected`, `expected_low`, `expected_high` (NaN outside its reach).
        theme: Light or dark.
        title: The takeaway.
        unit: Length of a bin.

    Raises:
        DataError: A column is missing.
    """
    need(frame, "offset", "rate")
    look = THEMES[theme]
    bins = frame.sort_values("offset")
    figure = go.Figure(_bars(bins, look, unit=unit))
    if "expected" in bins and bins["expected"].notna().any():
        figure.add_traces(_expectation(bins[bins["expected"].notna()], look))
    figure.add_vline(x=0, line={"color": look.text, "width": 1.5})
    _say(figure, "push", x=0, y=1, yref="paper", xanchor="left", yanchor="top", xshift=4)
    figure.update_xaxes(title_text=f"{unit}s from the push", showgrid=False, zeroline=False)
    figure.update_yaxes(title_text=f"events per user per {unit}", rangemode="tozero")
    figure.update_layout(bargap=0.08, showlegend=True)
    _finish(figure, theme, title=title, note="", height=340, right=16)
    return figure


def ledger_bars(frame: pd.DataFrame, *, theme: ThemeName, title: str) -> go.Figure:
    """Return the way from rows to measured users: a bar a step, number and share at its end.

    Args:
        frame: One row a step, in order: `step`, `n`, and where it helps `reason` (why the rest
            was lost at this step).
        theme: Light or dark.
        title: The takeaway.

    Raises:
        DataError: A column is missing.
    """
    need(frame, "step", "n")
    look = THEMES[theme]
    at = np.arange(len(frame))
    whole = max(1, int(frame["n"].iloc[0])) if len(frame) else 1
    texts = [f"{formats.count(n)} · {formats.share(n / whole)}" for n in frame["n"]]
    reasons = frame["reason"] if "reason" in frame else pd.Series("", index=frame.index)
    ends = [
        f"{text}  {flat(why, limit=70)}" if isinstance(why, str) and why else text
        for text, why in zip(texts, reasons, strict=True)
    ]
    labels = [flat(str(step), limit=LABEL_LENGTH) for step in frame["step"]]
    colours = [look.before] * max(0, len(frame) - 1) + [look.after] * min(1, len(frame))
    bars = go.Bar(
        x=frame["n"].to_numpy(),
        y=at,
        orientation="h",
        marker={"color": colours, "line": {"width": 0}},
        text=[safe(end, limit=120) for end in ends],
        textposition="none",
        customdata=[safe(label) for label in labels],
        hovertemplate="%{customdata}: %{text}<extra></extra>",
        cliponaxis=False,
    )
    figure = go.Figure(bars)
    for position, n, text in zip(at, frame["n"], ends, strict=True):
        _say(figure, text, x=n, y=position, xanchor="left", xshift=6)
    figure.update_xaxes(visible=False, range=[0, whole])
    figure.update_layout(showlegend=False)
    figure.update_yaxes(**_row_axis(labels))
    height = _ROW_HEIGHT * max(1, len(frame))
    _finish(figure, theme, title=title, note="", height=height, right=_width(ends))
    return figure


def _dots(
    rows: pd.DataFrame,
    *,
    theme: ThemeName,
    title: str,
    note: str,
    scale: Scale,
    level: str,
) -> go.Figure:
    low, high = span(rows)
    figure = go.Figure([trace(rows, side, low=low, high=high, along="x") for side in SIDES])
    figure.add_traces(arrows(rows, low=low, high=high, along="x"))
    texts, right = texts_beside(rows, level)
    figure.update_layout(annotations=texts)
    figure.update_xaxes(**_effect_axis(scale), range=[low, high])
    figure.update_yaxes(**_row_axis(list(rows["label"]), above=1.5))
    height = _ROW_HEIGHT * (max(1, len(rows)) + 1)
    _finish(figure, theme, title=title, note=note, height=height, right=right)
    return figure


def _bars(bins: pd.DataFrame, look: Theme, *, unit: str) -> list[go.Bar]:
    """Return one bar a bin, over the whole of it, before the push lighter than after."""
    sides = [
        ("before", bins["offset"] < 0, look.before),
        ("after", bins["offset"] >= 0, look.after),
    ]
    return [
        go.Bar(
            x=bins["offset"][mask].to_numpy() + 0.5,
            y=bins["rate"][mask].to_numpy(),
            width=0.92,
            name=f"{name} the push",
            marker={"color": colour, "line": {"width": 0}},
            customdata=bins["offset"][mask].to_numpy(),
            text=[formats.rate(rate) for rate in bins["rate"][mask]],
            textposition="none",
            hovertemplate=f"{unit} %{{customdata:+d}}: %{{text}} events per user<extra></extra>",
        )
        for name, mask, colour in sides
    ]


def _expectation(bins: pd.DataFrame, look: Theme) -> list[go.Scatter]:
    """Return the expected line, with its band where there is one."""
    at = bins["offset"].to_numpy() + 0.5
    line = {"color": look.text, "width": 2, "dash": "dot"}
    expected = go.Scatter(
        x=at,
        y=bins["expected"].to_numpy(),
        mode="lines",
        name="expected without the push",
        line=line,
        text=[formats.rate(rate) for rate in bins["expected"]],
        hovertemplate="expected %{text}<extra></extra>",
    )
    if "expected_low" not in bins or "expected_high" not in bins:
        return [expected]
    banded = bins[bins["expected_low"].notna() & bins["expected_high"].notna()]
    middle = banded["offset"].to_numpy() + 0.5
    band = go.Scatter(
        x=np.concatenate([middle, middle[::-1]]),
        y=np.concatenate([banded["expected_high"], banded["expected_low"][::-1]]),
        mode="lines",
        line={"width": 0, "color": look.band},
        fill="toself",
        fillcolor=look.band,
        name="interval of the expectation",
        hoverinfo="skip",
    )
    return [band, expected]


def _effect_axis(scale: Scale) -> dict[str, object]:
    is_relative = scale == "relative"
    unit = "lift, relative to what was expected" if is_relative else "events per user per day"
    return {
        "title_text": unit,
        "ticksuffix": " %" if is_relative else "",
        "zeroline": True,
        "zerolinewidth": 1.5,
    }


def _row_axis(labels: list[str], *, above: float = 0.5) -> dict[str, object]:
    return {
        "tickvals": list(range(len(labels))),
        "ticktext": [safe(label) for label in labels],
        "range": [len(labels) - 0.5, -above],
        "ticklabelstandoff": 8,
        "showgrid": False,
        "zeroline": False,
    }


def _say(figure: go.Figure, text: str, **place: object) -> None:
    figure.add_annotation(text=safe(text, limit=120), showarrow=False, font={"size": 12}, **place)


def _width(texts: list[str]) -> int:
    """Return the pixels the longest text takes at most."""
    return 20 + _CHARACTER_WIDTH * max([0, *map(len, texts)])


def _finish(
    figure: go.Figure, theme: ThemeName, *, title: str, note: str, height: int, right: int
) -> None:
    """Give a figure its template, title, size and legend."""
    foot = _FOOT if figure.layout.showlegend is not False else _BARE_FOOT
    head, top = heading(title, note, below=height + foot)
    figure.update_layout(
        template=TEMPLATES[theme],
        title=head,
        height=top + height + foot,
        margin={"l": 8, "r": right, "t": top, "b": foot},
        legend={
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 0,
            "yref": "container",
            "yanchor": "bottom",
        },
    )


__all__ = [
    "EXPORT_CONFIG",
    "Order",
    "activity_around",
    "forest",
    "ledger_bars",
    "lift_by_week",
    "metrics_dots",
]

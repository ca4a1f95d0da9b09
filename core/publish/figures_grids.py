"""Grids of insight: which effects go together, and effects by day of the week and hour."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from core.publish import formats, keys, words
from core.publish.dots import need
from core.publish.figures_cadence import DAYS, drawn_at
from core.publish.figures_insight import in_scale_order, relative
from core.publish.stacked import finish, hover, one_of, said_text, sentence
from core.publish.theme import THEMES, Theme, ThemeName, safe
from core.publish.words import Direction

NOTHING = {
    "correlation_grid": "No two metrics can be compared: there are too few campaigns.",
    "weekday_hours": "Days of the week and hours cannot be compared: there are too few campaigns.",
}
"""What each figure says where its table has no rows."""
HOURS = frozenset({"hour", "hour_of_day"})
"""What the pattern of hours of the day may be called."""
_HOURS = re.compile(r"(\d{1,2}):00 to (\d{1,2}):00")
_CELL, _STRIP = 52, 102
_MOST_WITH_INTERVALS = 4
_TINTS: dict[Direction, str] = {
    "above": "rgba(0,114,178,0.20)",
    "below": "rgba(213,94,0,0.20)",
    "unclear": "rgba(107,114,128,0.10)",
    "missing": "rgba(0,0,0,0)",
}
_SIGNS: dict[Direction, str] = {"above": "▲ ", "below": "▼ ", "unclear": "", "missing": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
    """A tinted rectangle with a number: its edges (pixels downwards), status and texts."""

    x0: float
    x1: float
    y0: float
    y1: float
    side: Direction
    number: str
    below: str
    label: str
    hover: str
    is_clear: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Strip:
    """A line of cells under a caption."""

    caption: str
    top: float
    cells: tuple[_Cell, ...]


def correlation_grid(frame: pd.DataFrame, *, theme: ThemeName, title: str) -> go.Figure:
    """Return how effects on metrics go together over campaigns, each pair once, as numbers.

    Args:
        frame: Rows of CORRELATIONS of one layer.
        theme: Light or dark.
        title: The takeaway.

    Raises:
        DataError: A column is missing, or there is more than one layer.
    """
    need(frame, "layer", "metric", "other_metric", "correlation", "is_found", "n_campaigns")
    if frame.empty:
        return sentence(NOTHING["correlation_grid"], theme, title=title)
    one_of(frame, "layer")
    metrics = list(dict.fromkeys([*frame["metric"], *frame["other_metric"]]))
    cells = [_pair_cell(row, metrics) for _, row in frame.iterrows()]
    look, is_wide = THEMES[theme], len(metrics) <= _MOST_WITH_INTERVALS
    figure = go.Figure(_points(cells, look))
    figure.update_layout(
        shapes=[_box(cell) for cell in cells],
        annotations=[
            *(text for cell in cells for text in _pair_texts(cell, look, is_wide=is_wide)),
            *_diagonal(metrics, look),
        ],
    )
    figure.update_xaxes(range=[0, len(metrics) + 0.25], visible=False, fixedrange=True)
    feet = ["bold and tinted: clear (q at most 5 %); faint: not clear"]
    if is_wide:
        feet.append("brackets: interval of the correlation of true effects")
    height = _CELL * len(metrics)
    finish(figure, theme, title=title, feet=feet, height=height, below=6)
    return figure


def weekday_hours(frame: pd.DataFrame, *, theme: ThemeName, title: str) -> go.Figure:
    """Return the effect by day of the week and by hour of the day, a cell each, with n below.

    Args:
        frame: Rows of PATTERN_GROUPS of one metric; those of weekday and hour are drawn, a line
            a layer.
        theme: Light or dark.
        title: The takeaway.

    Raises:
        DataError: A column is missing, or there is more than one metric.
    """
    need(frame, "pattern", "layer", "metric", "group", "position", "n_campaigns")
    shown = frame[frame["pattern"].isin({"weekday", *HOURS})]
    if shown.empty:
        return sentence(NOTHING["weekday_hours"], theme, title=title)
    one_of(shown, "metric")
    look = THEMES[theme]
    strips = _strips(in_scale_order(shown))
    cells = [cell for strip in strips for cell in strip.cells]
    figure = go.Figure(_points(cells, look))
    figure.update_layout(
        shapes=[_box(cell) for cell in cells],
        annotations=[text for strip in strips for text in _strip_texts(strip, look)],
    )
    figure.update_xaxes(range=[0, 1], visible=False, fixedrange=True)
    feet = [
        "▲ interval above zero, ▼ below zero; n: campaigns",
        "intervals are not widened for looking at many",
    ]
    height = _STRIP * len(strips)
    finish(figure, theme, title=title, feet=feet, height=height, below=6)
    return figure


def coefficient(value: float) -> str:
    """Return a correlation with two decimals, "0.84", or the em dash."""
    if formats.is_missing(value):
        return formats.MISSING
    return f"{value:.2f}".replace("-", formats.MINUS)


def coefficients(row: pd.Series) -> str:
    """Return a correlation with its interval, "0.84 [0.52, 0.95]", or why there is none."""
    if formats.is_missing(row["correlation"]):
        return formats.missing("no_data" if row["status"] == "ok" else row["status"])
    ends = (row["correlation_ci_low"], row["correlation_ci_high"])
    return f"{coefficient(row['correlation'])} {formats.interval(ends, decimals=2)}"


def _pair_cell(pair: pd.Series, metrics: list[str]) -> _Cell:
    """Return the cell of two metrics below the diagonal."""
    column, line = sorted(metrics.index(pair[name]) for name in ("metric", "other_metric"))
    ends = (pair["correlation_ci_low"], pair["correlation_ci_high"])
    side = words.direction(*ends, estimate=pair["correlation"]) if pair["is_found"] else "unclear"
    is_known = not formats.is_missing(pair["correlation"])
    names = " and ".join(words.label(pair[name]) for name in ("metric", "other_metric"))
    more = f"as estimated {coefficient(pair['observed'])}, {pair['n_campaigns']} campaigns"
    return _Cell(
        x0=column + 0.02, x1=column + 0.98, y0=line * _CELL + 2, y1=(line + 1) * _CELL - 2,
        side=side if is_known else "missing", number=coefficient(pair["correlation"]),
        below=formats.interval(ends, decimals=2) if is_known else "", label="",
        hover=hover(names, coefficients(pair), more), is_clear=bool(pair["is_found"]),
    )  # fmt: skip


def _pair_texts(cell: _Cell, look: Theme, *, is_wide: bool) -> list[dict[str, object]]:
    middle = (cell.x0 + cell.x1) / 2, (cell.y0 + cell.y1) / 2
    number = f"<b>{safe(cell.number)}</b>" if cell.is_clear else safe(cell.number)
    font = {
        "size": 15 if cell.is_clear else 13,
        "color": look.text if cell.is_clear else look.muted,
    }
    has_more = is_wide and bool(cell.below)
    texts = [
        {**drawn_at("", middle[0], middle[1] - 7 * has_more, look), "text": number, "font": font}
    ]
    if has_more:
        small = {"font": {"size": 10, "color": look.muted}}
        texts.append({**drawn_at(cell.below, middle[0], middle[1] + 12, look), **small})
    return texts


def _diagonal(metrics: list[str], look: Theme) -> list[dict[str, object]]:
    """Return the metrics' names where rows and columns meet, a word a line."""
    font = {"size": 11, "color": look.text}
    return [
        {
            **drawn_at("", at + 0.06, (at + 0.5) * _CELL, look),
            "text": "<br>".join(safe(word) for word in words.label(metric).split(" ")[:3]),
            "xanchor": "left", "align": "left", "font": font,
        }
        for at, metric in enumerate(metrics)
    ]  # fmt: skip


def _strips(groups: pd.DataFrame) -> list[_Strip]:
    """Return a line of cells for each pattern and layer, one below the other."""
    kinds = dict.fromkeys(zip(groups["pattern"], groups["layer"], strict=True))
    parts = [
        (kind, groups[(groups["pattern"] == kind[0]) & (groups["layer"] == kind[1])])
        for kind in kinds
    ]
    return [
        _Strip(
            caption=f"{words.layer(layer).partition(',')[0]}, {keys.said(pattern)}",
            top=float(at * _STRIP),
            cells=_strip_cells(part, top=at * _STRIP),
        )
        for at, ((pattern, layer), part) in enumerate(parts)
    ]


def _strip_cells(part: pd.DataFrame, *, top: float) -> tuple[_Cell, ...]:
    width = 1 / len(part)
    return tuple(
        _Cell(
            x0=(at + 0.03) * width, x1=(at + 0.97) * width, y0=top + 28, y1=top + 90,
            side=_side(row), number=formats.percent(row["rel_effect_size"]),
            below=f"n {formats.count(row['n_campaigns'])}", label=_short(row["group"]),
            hover=hover(keys.titled(row["group"]), relative(row),
                        f"{row['n_campaigns']} campaigns, {formats.count(row['n_pushes'])} pushes"),
            is_clear=_side(row) in {"above", "below"},
        )
        for at, (_, row) in enumerate(part.iterrows())
    )  # fmt: skip


def _side(row: pd.Series) -> Direction:
    ends = (float(row[f"rel_effect_size_ci_{end}"]) for end in ("low", "high"))
    return words.direction(*ends, estimate=float(row["rel_effect_size"]))


def _short(group: str) -> str:
    """Return a day in three letters, a block of hours as "6–12 h", the rest as people say it."""
    hours = _HOURS.fullmatch(group)
    if hours is not None:
        return f"{int(hours[1])}–{int(hours[2])} h"
    days = [day for day in DAYS if group.lower().startswith(day.lower())]
    return days[0] if days and group.isalpha() else keys.said(group)


def _strip_texts(strip: _Strip, look: Theme) -> list[dict[str, object]]:
    texts = [said_text(strip.caption, strip.top + 12, x=0, look=look, is_quiet=False)]
    for cell in strip.cells:
        middle = (cell.x0 + cell.x1) / 2
        mark = _SIGNS[cell.side]
        texts.append(drawn_at(f"{mark}{cell.label}", middle, cell.y0 + 13, look))
        strong = {"font": {"size": 11, "color": look.text}}
        texts.append({**drawn_at(cell.number, middle, cell.y0 + 32, look), **strong})
        small = {"font": {"size": 10, "color": look.muted}}
        texts.append({**drawn_at(cell.below, middle, cell.y0 + 50, look), **small})
    return texts


def _points(cells: list[_Cell], look: Theme) -> go.Scatter:
    """Return a point nobody sees in each cell, for what hovering says."""
    return go.Scatter(
        x=[(cell.x0 + cell.x1) / 2 for cell in cells],
        y=[(cell.y0 + cell.y1) / 2 for cell in cells],
        mode="markers",
        marker={"color": look.muted, "opacity": 0, "size": 34},
        customdata=[cell.hover for cell in cells],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _box(cell: _Cell) -> dict[str, object]:
    return {
        "type": "rect", "x0": cell.x0, "x1": cell.x1, "y0": cell.y0, "y1": cell.y1,
        "fillcolor": _TINTS[cell.side], "line": {"width": 0}, "layer": "below",
    }  # fmt: skip

"""Figures that stay readable on a phone: labels and numbers above their marks, not beside them.

Vertical places are pixels from the top of the plot, so that a row is as tall on every screen;
only the width follows it. What explains the marks stands below the plot, in short lines.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from core.errors import DataError
from core.publish import words
from core.publish.dots import SIDES, arrows, span, trace
from core.publish.theme import TEMPLATES, THEMES, Theme, ThemeName, flat, safe

NOTE, HEAD = 57, 52
"""Characters of a quiet line and of a usual one that 344 pixels hold."""
_SHORTEST_LABEL = 12
_SMALL = 0.9
"""Width of a character of a quiet line, in those of a usual one."""
ROW = 64
_CAPTION = 30
_AT = {"label": 11, "note": 28, "mark": 49}
_TITLE_LENGTH, _FOOT_LENGTH, _HOVER_LENGTH = 40, 58, 56
_LINE, _AXIS, _AXIS_TITLE, _SIDE = 16, 26, 18, 8
_BARE_TOP = 24
"""What `figures_pages.untitled` takes off a figure without a title, and the 8 pixels it leaves."""


def stacked_dots(
    rows: pd.DataFrame, *, theme: ThemeName, title: str, feet: Sequence[str], axis: str, suffix: str
) -> go.Figure:
    """Return dots with intervals, a row each, its label and number above them.

    Args:
        rows: As `dot_rows`.
        theme: Light or dark.
        title: The takeaway.
        feet: What explains the marks, below the plot.
        axis: What is measured.
        suffix: Unit behind the numbers of the axis.
    """
    look, placed, height = THEMES[theme], *place(rows)
    low, high = span(placed)
    figure = go.Figure(_dots(placed, low=low, high=high))
    figure.add_traces(arrows(placed, low=low, high=high, along="x"))
    figure.update_layout(shapes=_rules(placed, look), annotations=row_texts(placed, look))
    figure.update_xaxes(
        title={"text": axis, "standoff": 6}, ticksuffix=suffix, range=[low, high],
        showgrid=False, zeroline=False, nticks=6, fixedrange=True,
        ticklabeloverflow="hide past div",
    )  # fmt: skip
    finish(figure, theme, title=title, feet=feet, height=height, below=_AXIS + _AXIS_TITLE)
    return figure


def dot_rows(
    frame: pd.DataFrame,
    name: str,
    *,
    factor: float,
    labels: Sequence[str],
    numbers: Sequence[str],
    notes: Sequence[str],
    captions: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return rows as `stacked_dots` draws them, in the order given.

    Args:
        frame: Holds `name`, `name`_ci_low and `name`_ci_high.
        name: The estimate.
        factor: What all three are multiplied by, 100 for percent.
        labels: What each row is.
        numbers: The estimate and its interval as text.
        notes: What stands below a label, quietly.
        captions: What each row belongs to, if to anything; drawn above the first row of it.
    """
    rows = pd.DataFrame(
        {
            "caption": list(captions or [""] * len(frame)),
            "label": list(labels),
            "number": list(numbers),
            "n": list(notes),
            "basis": "",
            "estimate": factor * _finite(frame[name]),
            "low": factor * _finite(frame[f"{name}_ci_low"]),
            "high": factor * _finite(frame[f"{name}_ci_high"]),
            "is_open": False,
        }
    )
    ends = zip(rows["low"], rows["high"], rows["estimate"], strict=True)
    rows["side"] = [words.direction(low, high, estimate=mid) for low, high, mid in ends]
    rows["has_interval"] = rows["estimate"].notna() & rows[["low", "high"]].notna().any(axis=1)
    return rows


def place(rows: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Return rows with `top` and `at` (pixels from the top of the plot), and the plot's height."""
    caption = rows["caption"].to_numpy(dtype=object)
    before = np.concatenate([[""], caption[:-1]])
    is_first = (caption != before) & (caption != "")
    top = ROW * np.arange(len(rows)) + _CAPTION * np.cumsum(is_first)
    placed = rows.assign(is_first=is_first, top=top, at=(top + _AT["mark"]).astype(float))
    return placed, int(ROW * len(rows) + _CAPTION * is_first.sum())


def row_texts(placed: pd.DataFrame, look: Theme) -> list[dict[str, object]]:
    """Return each row's label, number and note, and captions where a new part begins.

    The number stands at the right of the label; of the note, where labels need the whole line.
    """
    rows = placed.to_dict("records")
    is_below = _is_below(placed)
    texts = []
    for row in rows:
        top, number = float(row["top"]), str(row["number"])
        if row["is_first"]:
            head = f"<b>{safe(row['caption'], limit=HEAD)}</b>"
            texts.append(_drawn(head, top - _CAPTION / 2 + 2, x=0, color=look.text))
        room = HEAD if is_below else max(_SHORTEST_LABEL, HEAD - len(number))
        label = safe(row["label"], limit=room)
        texts.append(_drawn(label, top + _AT["label"], x=0, color=look.text))
        beside = _AT["note" if is_below else "label"]
        texts.append(_drawn(safe(number, limit=HEAD), top + beside, x=1, color=look.text))
        note = safe(row["n"], limit=NOTE)
        texts.append(_drawn(note, top + _AT["note"], x=0, color=look.muted, size=11))
    return [text for text in texts if text["text"]]


def _is_below(placed: pd.DataFrame) -> bool:
    """Say whether numbers fit beside the notes and not beside the labels."""
    label, number, note = (placed[name].str.len() for name in ("label", "number", "n"))
    return bool((label + number > HEAD).any() and (_SMALL * note + number <= HEAD).all())


def finish(
    figure: go.Figure,
    theme: ThemeName,
    *,
    title: str,
    feet: Sequence[str],
    height: int,
    below: int = _AXIS,
    is_pixels: bool = True,
) -> None:
    """Give a figure its template, title, size and the lines below it.

    Args:
        figure: Whose annotations, if any, stand already.
        theme: Light or dark.
        title: The takeaway.
        feet: What explains the marks, below the plot.
        height: Pixels of the plot.
        below: Pixels the axis below it takes.
        is_pixels: Whether the vertical axis counts pixels from the top.
    """
    lines = [flat(line, limit=_TITLE_LENGTH) for line in textwrap.wrap(title, _TITLE_LENGTH)]
    top = 20 + 21 * len(lines) if lines else _BARE_TOP
    under = [line for foot in feet for line in textwrap.wrap(foot, _FOOT_LENGTH)]
    bottom = below + _LINE * len(under) + _SIDE
    whole = top + height + bottom
    figure.update_layout(
        template=TEMPLATES[theme],
        title={
            "text": "<br>".join(map(safe, lines)), "xref": "container", "yref": "container",
            # plotly.js 4 moves a title of several lines up by half a line, out of the figure
            "y": 1 - (12 if len(lines) < 2 else 24) / whole, "yanchor": "top",
            "pad": {"l": _SIDE},
        },
        height=whole,
        margin={"l": _SIDE, "r": _SIDE, "t": top, "b": bottom},
        showlegend=False,
    )  # fmt: skip
    # the room is kept above: margins that follow the labels would move texts against marks
    figure.update_xaxes(automargin=False)
    figure.update_yaxes(automargin=False)
    if is_pixels:
        figure.update_yaxes(visible=False, range=[max(1, height), 0], fixedrange=True)
    look = THEMES[theme]
    figure.layout.annotations += tuple(
        go.layout.Annotation(
            text=safe(line, limit=_FOOT_LENGTH + 2), showarrow=False, align="left",
            font={"size": 11, "color": look.muted}, xref="paper", x=0, xanchor="left",
            yref="paper", y=0, yanchor="top", yshift=-(below + _LINE * at),
        )
        for at, line in enumerate(under)
    )  # fmt: skip


def sentence(text: str, theme: ThemeName, *, title: str) -> go.Figure:
    """Return a figure that says why there is nothing to draw, without axes."""
    figure = go.Figure()
    lines = textwrap.wrap(text, HEAD)
    look = THEMES[theme]
    figure.update_layout(
        annotations=[
            _drawn(safe(line), 12 + 20 * at, x=0, color=look.muted) for at, line in enumerate(lines)
        ]
    )
    figure.update_xaxes(visible=False, range=[0, 1])
    finish(figure, theme, title=title, feet=(), height=20 * len(lines) + 8, below=0)
    return figure


def one_of(frame: pd.DataFrame, *names: str) -> None:
    """Raise DataError unless each of the columns holds one value alone."""
    several = [name for name in names if len(frame[name].unique()) > 1]
    if several:
        raise DataError(
            f"The figure shows one {' and '.join(several)} at a time; choose the rows of one."
        )


def hover(*parts: str) -> str:
    """Return lines of a hover text, what comes from outside broken into lines and made safe."""
    lines = [line for part in parts for line in textwrap.wrap(flat(part, limit=280), _HOVER_LENGTH)]
    return "<br>".join(safe(line) for line in lines)


def said_text(text: str, at: float, *, x: float, look: Theme, is_quiet: bool) -> dict[str, object]:
    """Return a line of text at a pixel from the top, at the left (x 0) or right (x 1) edge."""
    colour, size = (look.muted, 11) if is_quiet else (look.text, 12)
    return _drawn(safe(text, limit=NOTE), at, x=x, color=colour, size=size)


def _drawn(text: str, at: float, *, x: float, color: str, size: int = 12) -> dict[str, object]:
    return {
        "text": text, "showarrow": False, "font": {"size": size, "color": color},
        "x": x, "xref": "paper", "xanchor": "left" if x == 0 else "right",
        "y": at, "yref": "y", "yanchor": "middle", "xshift": 0, "borderpad": 0,
    }  # fmt: skip


def _dots(placed: pd.DataFrame, *, low: float, high: float) -> list[go.Scatter]:
    """Return the dots of each side of zero; hovering says the whole row."""
    drawn = []
    for side in SIDES:
        part = placed[placed["side"] == side]
        texts = [
            hover(row["label"], row["number"], row["n"], row["caption"])
            for row in part.to_dict("records")
        ]
        dots = trace(placed, side, low=low, high=high, along="x")
        drawn.append(dots.update(customdata=texts, hovertemplate="%{customdata}<extra></extra>"))
    return drawn


def _rules(placed: pd.DataFrame, look: Theme) -> list[dict[str, object]]:
    """Return a quiet line each dot lies on, crossed by zero."""
    shapes: list[dict[str, object]] = []
    for at in placed["at"]:
        along = {"xref": "paper", "x0": 0, "x1": 1, "y0": at, "y1": at}
        zero = {"x0": 0, "x1": 0, "y0": at - 8, "y1": at + 8}
        shapes.append({**along, "type": "line", "layer": "below", "line": _line(look.grid, 1)})
        shapes.append({**zero, "type": "line", "layer": "below", "line": _line(look.zero, 1.5)})
    return shapes


def _line(colour: str, width: float) -> dict[str, object]:
    return {"color": colour, "width": width}


def _finite(values: pd.Series) -> NDArray[np.float64]:
    numbers = values.to_numpy(dtype=float)
    return np.where(np.isfinite(numbers), numbers, np.nan)

"""What tests look for in any figure: its texts, its colours, and whether it stays readable."""

from __future__ import annotations

import re

import plotly.graph_objects as go

from core.publish.theme import ABOVE, BELOW

NARROW = 344
"""Pixels a phone of 360 leaves to a figure."""
_OURS = re.compile(r"</?b>|<br>|<extra></extra>")
_WIDTH = 6.6 / 12
"""Of a character, per pixel of its size; wider than most fonts are."""


def texts(figure: go.Figure) -> list[str]:
    """Return the text of every annotation."""
    return [note.text for note in figure.layout.annotations]


def hovers(figure: go.Figure) -> list[str]:
    """Return what hovering says, of every mark."""
    found: list[str] = []
    for trace in figure.data:
        if trace.customdata is not None:
            flat = trace.customdata[0] if trace.type == "heatmap" else trace.customdata
            found += [str(text) for text in flat]
    return found


def assert_no_markup(figure: go.Figure) -> None:
    """Fail where anything is live but the line breaks and bold type that figures write."""
    ticks = [axis.ticktext or () for axis in (figure.layout.xaxis, figure.layout.yaxis)]
    title = figure.layout.title.text or ""
    for text in (*texts(figure), *hovers(figure), *(one for tick in ticks for one in tick), title):
        rest = _OURS.sub("", text)
        assert not set("<>$") & set(re.sub(r"&#\d+;|&[a-z]+;", "", rest)), text
        assert not re.search(r"[\u202a-\u202e\x00-\x1f]", text), text


def assert_narrow(figure: go.Figure) -> None:
    """Fail where a line at an edge is longer than a phone is wide, or two of a row meet."""
    lines: dict[float, float] = {}
    for note in figure.layout.annotations:
        if note.xref != "paper":
            continue
        plain = re.sub(r"&#?\w+;", "x", _OURS.sub("", note.text))
        width = len(plain) * note.font.size * _WIDTH
        place = (note.yref, note.y, note.yshift)
        lines[place] = lines.get(place, 0.0) + width
        assert lines[place] <= NARROW + 12, (note.text, lines[place])


def status_colours(figure: go.Figure) -> set[str]:
    """Return which of the two colours of status any mark has."""
    used: set[str] = set()
    for trace in figure.data:
        marker = getattr(trace, "marker", None)
        colour = getattr(marker, "color", None)
        used |= {colour} if isinstance(colour, str) else set(colour if colour is not None else ())
        used |= {trace.line.color} if trace.type == "scatter" and trace.line.color else set()
    return used & {ABOVE, BELOW}

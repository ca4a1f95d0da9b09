"""How every figure looks: two templates, the colours of status, and text that stays text."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import plotly.graph_objects as go

from core.publish.words import Direction

ThemeName = Literal["light", "dark"]

EXPORT_CONFIG = MappingProxyType({"showSendToCloud": False, "displaylogo": False})
"""For `fig.to_html(config=dict(EXPORT_CONFIG))`: plotly.js 4 else offers to upload the chart."""

ABOVE = "#0072B2"
BELOW = "#D55E00"
UNCLEAR = "#6B7280"
COLOURS: MappingProxyType[Direction, str] = MappingProxyType(
    {"above": ABOVE, "below": BELOW, "unclear": UNCLEAR, "missing": UNCLEAR}
)
"""Status only; each at least 3.4:1 on both backgrounds and apart for colour-blind eyes."""
SYMBOLS: MappingProxyType[Direction, str] = MappingProxyType(
    {"above": "circle", "below": "diamond", "unclear": "square", "missing": "x"}
)
MEANINGS: MappingProxyType[Direction, str] = MappingProxyType(
    {
        "above": "interval above zero",
        "below": "interval below zero",
        "unclear": "interval includes zero",
        "missing": "no number",
    }
)
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
_TITLE_LENGTH = 90
_NOTE_LENGTH = 120
CLEAR = "rgba(0,0,0,0)"
_HIDDEN = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\x00-\x1f\x7f-\x9f]+")
_LIVE = MappingProxyType(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;", "{": "&#123;", "}": "&#125;"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """The colours of one theme that do not say status."""

    text: str
    muted: str
    grid: str
    zero: str
    before: str
    after: str
    band: str
    surface: str


THEMES: MappingProxyType[ThemeName, Theme] = MappingProxyType(
    {
        "light": Theme(
            text="#1F2328",
            muted="#57606A",
            grid="#E5E7EB",
            zero="#8B929C",
            before="#C9CED6",
            after="#8B95A5",
            band="rgba(31,35,40,0.22)",
            surface="#FFFFFF",
        ),
        "dark": Theme(
            text="#E8E8E4",
            muted="#A9A9A2",
            grid="#34332F",
            zero="#85847C",
            before="#4A4943",
            after="#85847C",
            band="rgba(232,232,228,0.25)",
            surface="#171614",
        ),
    }
)


def _template(theme: Theme) -> go.layout.Template:
    axis = {
        "gridcolor": theme.grid,
        "linecolor": theme.zero,
        "zerolinecolor": theme.zero,
        "tickfont": {"color": theme.muted, "size": 12},
        "title": {"font": {"color": theme.muted, "size": 12}},
        "automargin": True,
    }
    layout = go.Layout(
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
        font={"family": FONT, "size": 13, "color": theme.text},
        title={"font": {"size": 16, "color": theme.text}, "x": 0, "xanchor": "left"},
        colorway=[theme.after, ABOVE, BELOW, UNCLEAR],
        xaxis=axis,
        yaxis=axis,
        hoverlabel={
            "bgcolor": theme.surface,
            "bordercolor": theme.zero,
            "font": {"family": FONT, "size": 13, "color": theme.text},
        },
        legend={"font": {"color": theme.muted, "size": 12}, "bgcolor": CLEAR},
    )
    return go.layout.Template(layout=layout)


TEMPLATES: MappingProxyType[ThemeName, go.layout.Template] = MappingProxyType(
    {name: _template(theme) for name, theme in THEMES.items()}
)


def flat(text: str, *, limit: int = 60) -> str:
    """Return text on one line, without control and direction characters, shortened."""
    line = " ".join(_HIDDEN.sub(" ", text).split())
    return line if len(line) <= limit else f"{line[: limit - 1].rstrip()}…"


def safe(text: str, *, limit: int = 60) -> str:
    """Return text that plotly shows as it is: no tag, link, formula or template in it is live.

    Args:
        text: Anything, from outside included.
        limit: Characters after which it is shortened with an ellipsis.
    """
    return "".join(_LIVE.get(char, char) for char in flat(text, limit=limit))


def heading(title: str, note: str, *, below: int = 320) -> tuple[dict[str, object], int]:
    """Return a figure's title with a quieter line under it, and the pixels both take at the top.

    Args:
        title: The takeaway; broken into lines.
        note: How to read the figure.
        below: Pixels of the figure under its title, for the distance from its upper edge.
    """
    lines = [safe(line, limit=_TITLE_LENGTH) for line in textwrap.wrap(title, _TITLE_LENGTH)]
    notes = [safe(line, limit=_NOTE_LENGTH) for line in textwrap.wrap(note, _NOTE_LENGTH)]
    top = 16 + 22 * len(lines) + (14 + 17 * len(notes) if notes else 0)
    # plotly.js 4 moves a title of several lines up by half a line, out of the figure.
    offset = 12 if len(lines) < 2 else 24
    parts: dict[str, object] = {
        "text": "<br>".join(lines),
        "subtitle": {"text": "<br>".join(notes), "font": {"size": 12}},
        "xref": "container",
        "yref": "container",
        "y": 1 - offset / (top + below),
        "yanchor": "top",
    }
    return parts, top

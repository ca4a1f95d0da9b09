"""Days on the data quality page: events by day, pushes against events, PostHog's own totals.

Each takes a declared table and a takeaway title, in the looks of `figures`; beside each stands a
function of `alttext_quality` that says the same in words. No effect is shown here, so no colour
says status: what needs a look is crossed or ringed, and named. A table without rows gives a
sentence.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from core.publish import formats, words
from core.publish.dots import need
from core.publish.stacked import HEAD, finish, hover, said_text, sentence
from core.publish.strips import Strip, days_axis, local_days, named, strips
from core.publish.theme import THEMES, Theme, ThemeName, flat

NOTHING = {
    "event_days_heat": "No day of activity was read, so there is nothing to look for gaps in.",
    "push_days": "No push was delivered, so there is no day to hold against events.",
    "native_difference": "PostHog's own totals were not asked for.",
}
"""What each figure says where its table has no rows."""
_LABEL, _HEAT, _GAPS, _APART = 20, 24, 20, 10
_FEW_DAYS = 45
_MOST = 2.0
_STEADY = 3.0
_KEY = 46
_DAY_MS = 86_400_000
_SHADES: MappingProxyType[ThemeName, list[list[object]]] = MappingProxyType(
    {
        "light": [[0, "#E6EBF2"], [0.5, "#7F9CC0"], [1, "#1B3A63"]],
        "dark": [[0, "#262B33"], [0.5, "#5E80AA"], [1, "#D8E6F8"]],
    }
)
"""From nothing to twice what is expected; lightness alone tells them, so every eye can."""


def event_days_heat(
    frame: pd.DataFrame, *, theme: ThemeName, title: str, zone: str = "UTC"
) -> go.Figure:
    """Return events by day: a strip an event, shaded by the share of what was expected.

    Gaps carry a cross and are named below their strip; days that were not wholly read are hatched.

    Args:
        frame: Rows of EVENT_DAYS.
        theme: Light or dark.
        title: The takeaway.
        zone: Days are those of this zone.

    Raises:
        DataError: A column is missing.
    """
    need(frame, "event", "day", "n_events", "expected", "is_whole", "is_gap", "why")
    if frame.empty:
        return sentence(NOTHING["event_days_heat"], theme, title=title)
    look = THEMES[theme]
    days = local_days(frame["day"], zone)
    every = pd.date_range(days.min(), days.max(), freq="D")
    events = list(dict.fromkeys(frame["event"]))
    parts = {event: _whole_range(frame[frame["event"] == event], days, every) for event in events}
    figure, texts = go.Figure(), []
    height = 0
    for event, part in parts.items():
        top = height + _LABEL
        height = top + _HEAT + _APART + _GAPS * bool(part["is_gap"].any())
        figure.add_traces([_shades(part, event, top), *_shortfalls(part, top, look)])
        texts += _event_texts(part, event, top, look)
    figure.update_layout(annotations=texts, coloraxis=_shading(theme, look), barmode="overlay")
    days_axis(figure)
    figure.update_xaxes(showgrid=False)
    feet = ["✕ gap; hatched: not wholly read, or not over yet", f"days in {zone}"]
    finish(figure, theme, title=title, feet=feet, height=height, below=26 + _KEY)
    return figure


def push_days(frame: pd.DataFrame, *, theme: ThemeName, title: str, zone: str = "UTC") -> go.Figure:
    """Return, day by day and layer by layer, the share of pushes with any activity near them.

    Args:
        frame: Rows of PUSH_DAYS.
        theme: Light or dark.
        title: The takeaway.
        zone: Days are those of this zone.

    Raises:
        DataError: A column is missing.
    """
    need(frame, "layer", "day", "n_pushes", "n_active", "active_share", "expected_share", "is_odd")
    if frame.empty:
        return sentence(NOTHING["push_days"], theme, title=title)
    look = THEMES[theme]
    parts = [
        _push_strip(frame[frame["layer"] == layer].sort_values("day"), layer, look, zone)
        for layer in sorted(set(frame["layer"]))
    ]
    figure, height = strips(parts, look)
    days_axis(figure)
    feet = [
        "dotted: usual in the layer; ringed: far from it",
        f"a dot a day in {zone}, from 0 to 100 %",
    ]
    finish(figure, theme, title=title, feet=feet, height=height, is_pixels=False)
    return figure


def native_difference(
    frame: pd.DataFrame, *, theme: ThemeName, title: str, zone: str = "UTC"
) -> go.Figure:
    """Return by how much our totals differ from PostHog's own, an event a strip, days along.

    Args:
        frame: Rows of NATIVE.
        theme: Light or dark.
        title: The takeaway.
        zone: Time zone of the PostHog project, whose days they are.

    Raises:
        DataError: A column is missing.
    """
    need(frame, "event", "day", "ours", "native", "tolerance", "agrees", "why")
    if frame.empty:
        return sentence(NOTHING["native_difference"], theme, title=title)
    look = THEMES[theme]
    parts = [
        _native_strip(frame[frame["event"] == event].sort_values("day"), event, look, zone)
        for event in dict.fromkeys(frame["event"])
    ]
    figure, height = strips(parts, look)
    days_axis(figure)
    feet = [
        "Pushlift less PostHog, in percent; band: tolerance",
        f"ringed: beyond it; days in {zone}",
    ]
    finish(figure, theme, title=title, feet=feet, height=height, is_pixels=False)
    return figure


def expected_share(part: pd.DataFrame) -> NDArray[np.float64]:
    """Return each day's events as a share of what was expected of it.

    Three events are added to both, so that a rare event's day without one does not look like a
    fault. Where too few days tell what to expect, it is the middle of the event's whole days.
    """
    usual = part.loc[part["is_whole"], "n_events"].median()
    expected = part["expected"].fillna(usual).to_numpy(dtype=float)
    return (part["n_events"].to_numpy(dtype=float) + _STEADY) / (expected + _STEADY)


def _whole_range(rows: pd.DataFrame, days: pd.Series, every: pd.DatetimeIndex) -> pd.DataFrame:
    """Return an event's rows with a day each of the range, none left out."""
    part = rows.assign(local=days.loc[rows.index], share=expected_share(rows))
    whole = part.set_index("local").reindex(every)
    is_gap, is_torn = whole["is_gap"].eq(other=True), whole["is_whole"].eq(other=False)
    return whole.assign(is_gap=is_gap, is_torn=is_torn)


def _shades(part: pd.DataFrame, event: str, top: int) -> go.Heatmap:
    texts = [
        hover(
            f"{event}, {day:%a} {day:%Y-%m-%d}",
            f"{formats.count(row['n_events'])} events, {_expected_said(row['expected'])}",
            str(row["why"]) if row["is_gap"] else "",
        )
        if not pd.isna(row["n_events"])
        else ""
        for day, row in zip(part.index, part.to_dict("records"), strict=True)
    ]
    return go.Heatmap(
        x=part.index, y=[top, top + _HEAT], z=[np.minimum(part["share"].to_numpy(), _MOST)],
        coloraxis="coloraxis", xgap=1 if len(part) <= _FEW_DAYS else 0, customdata=[texts],
        hovertemplate="%{customdata}<extra></extra>", name=event,
    )  # fmt: skip


def _expected_said(expected: float) -> str:
    if formats.is_missing(expected):
        return "too few days to say what to expect"
    return f"{formats.count(expected)} expected"


def _shortfalls(part: pd.DataFrame, top: int, look: Theme) -> list[go.Bar | go.Scatter]:
    """Return hatching over days that are not whole, and a cross on each gap."""
    torn = part.index[part["is_torn"]]
    gaps = part.index[part["is_gap"]]
    hatch = go.Bar(
        x=torn, y=np.full(len(torn), _HEAT), base=top, width=_DAY_MS, hoverinfo="skip",
        marker={"color": look.before, "line": {"width": 0},
                "pattern": {"shape": "/", "size": 4, "fgcolor": look.muted, "solidity": 0.35}},
    )  # fmt: skip
    cross = go.Scatter(
        x=gaps, y=np.full(len(gaps), top + _HEAT / 2), mode="markers", hoverinfo="skip",
        marker={"symbol": "x-thin", "size": 8, "color": look.text,
                "line": {"width": 2, "color": look.text}},
    )  # fmt: skip
    return [one for one, days in ((hatch, torn), (cross, gaps)) if len(days)]


def _event_texts(part: pd.DataFrame, event: str, top: int, look: Theme) -> list[dict[str, object]]:
    total = f"{formats.count(part['n_events'].sum())} events"
    texts = [
        said_text(
            flat(event, limit=HEAD - len(total)),
            top - 10,
            x=0,
            look=look,
            is_quiet=False,
        ),
        said_text(total, top - 10, x=1, look=look, is_quiet=True),
    ]
    gaps = list(part.index[part["is_gap"]])
    if gaps:
        said = f"gap: {named(gaps)}"
        texts.append(said_text(said, top + _HEAT + 10, x=0, look=look, is_quiet=False))
    return texts


def _shading(theme: ThemeName, look: Theme) -> dict[str, object]:
    return {
        "colorscale": _SHADES[theme], "cmin": 0, "cmax": _MOST,
        "colorbar": {
            "orientation": "h", "thickness": 8, "len": 0.62, "x": 0, "xanchor": "left",
            "y": 0, "yanchor": "top", "ypad": 28, "xpad": 0, "outlinewidth": 0,
            "tickvals": [0.12, 1, 1.82], "ticktext": ["none", "as expected", "twice"],
            "tickfont": {"size": 11, "color": look.muted}, "ticks": "",
        },
    }  # fmt: skip


def _push_strip(part: pd.DataFrame, layer: str, look: Theme, zone: str) -> Strip:
    days = local_days(part["day"], zone)
    odd = part["is_odd"].to_numpy()
    texts = [
        hover(
            f"{day:%a} {day:%Y-%m-%d}",
            f"{formats.share(row['active_share'])} of {formats.count(row['n_pushes'])} pushes, "
            f"usual {formats.share(row['expected_share'])}",
        )
        for day, row in zip(days, part.to_dict("records"), strict=True)
    ]
    share = part["n_active"].sum() / max(1, part["n_pushes"].sum())
    said = f"odd: {named(list(days[odd]))}" if odd.any() else "no odd day"
    pushes = f"{formats.count(part['n_pushes'].sum())} pushes"
    return Strip(
        label=words.layer(layer).partition(",")[0],
        number=f"{formats.share(share)} of {pushes}",
        note=said,
        traces=(
            _usual(days, part["expected_share"], look),
            _day_dots(days, part["active_share"], odd, texts, look),
        ),
        low=0.0,
        high=1.0,
    )


def _native_strip(part: pd.DataFrame, event: str, look: Theme, zone: str) -> Strip:
    days = local_days(part["day"], zone)
    base = part["native"].clip(lower=1).to_numpy(dtype=float)
    gap = 100 * (part["ours"] - part["native"]).to_numpy() / base
    reach = 100 * part["tolerance"].to_numpy() / base
    differs = ~part["agrees"].to_numpy()
    texts = [
        hover(
            f"{day:%a} {day:%Y-%m-%d}",
            f"Pushlift {formats.count(row['ours'])}, PostHog {formats.count(row['native'])}",
            "" if pd.isna(row["why"]) else str(row["why"]),
        )
        for day, row in zip(days, part.to_dict("records"), strict=True)
    ]
    said = f"differs: {named(list(days[differs]))}" if differs.any() else "every day agrees"
    high = float(max(np.abs(gap).max(), reach.max()))
    return Strip(
        label=event,
        number=f"{formats.count((~differs).sum())} of {formats.count(len(part))} days agree",
        note=f"{said}; axis ±{high:.3g} %",
        traces=(
            _band(days, reach, look),
            _day_dots(days, pd.Series(gap, index=part.index), differs, texts, look),
        ),
        low=-high,
        high=high,
    )


def _day_dots(
    days: pd.Series, values: pd.Series, is_odd: NDArray[np.bool_], texts: list[str], look: Theme
) -> go.Scatter:
    """Return a dot a day, those that need a look large, dark and ringed."""
    colours = np.where(is_odd, look.surface, look.after)
    edges = np.where(is_odd, look.text, look.after)
    return go.Scatter(
        x=days, y=values.to_numpy(dtype=float), mode="markers",
        marker={"opacity": 1, "color": colours.tolist(), "size": np.where(is_odd, 9, 5).tolist(),
                "line": {"width": np.where(is_odd, 2.5, 0).tolist(), "color": edges.tolist()}},
        customdata=texts, hovertemplate="%{customdata}<extra></extra>", cliponaxis=False,
    )  # fmt: skip


def _usual(days: pd.Series, expected: pd.Series, look: Theme) -> go.Scatter:
    return go.Scatter(
        x=days, y=expected.to_numpy(dtype=float), mode="lines", hoverinfo="skip",
        line={"color": look.muted, "width": 1.5, "dash": "dot"},
    )  # fmt: skip


def _band(days: pd.Series, reach: NDArray[np.float64], look: Theme) -> go.Scatter:
    """Return the room between less and more by the tolerance."""
    return go.Scatter(
        x=[*days, *days[::-1]], y=[*reach, *-reach[::-1]], mode="lines", fill="toself",
        line={"width": 0, "color": look.band}, fillcolor=look.band, hoverinfo="skip",
    )  # fmt: skip

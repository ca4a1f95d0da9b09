"""Figures and takeaways that only the pages draw, in the looks of `figures`."""

from __future__ import annotations

from itertools import pairwise

import pandas as pd
import plotly.graph_objects as go

from core.publish import formats, words
from core.publish.dots import (
    SIDES,
    arrows,
    effect_rows,
    level_of,
    need,
    reading,
    span,
    texts_beside,
    ticks,
    trace,
)
from core.publish.theme import TEMPLATES, THEMES, Theme, ThemeName, heading, safe
from core.publish.words import Direction

_CELL_HEIGHT = 44
_HEAD = 34
_ROW_HEIGHT = 24
_BELOW = 76
_NO_TITLE, _NOTE = 8, 8
_TINTS: dict[Direction, str] = {
    "above": "rgba(0,114,178,0.20)",
    "below": "rgba(213,94,0,0.20)",
    "unclear": "rgba(107,114,128,0.10)",
    "missing": "rgba(0,0,0,0)",
}
_SIGNS: dict[Direction, str] = {"above": "▲ ", "below": "▼ ", "unclear": "", "missing": ""}


def metric_layers(frame: pd.DataFrame, *, theme: ThemeName, title: str) -> go.Figure:
    """Return metrics by layers as a grid of numbers, tinted by where the interval lies.

    Args:
        frame: Rows of LAYER_LIFTS, one a metric and layer, in the order to draw, with a `label`
            for each layer.
        theme: Light or dark.
        title: The takeaway.

    Raises:
        DataError: A column is missing.
    """
    need(frame, "label", "metric", "rel_effect_size", "rel_effect_size_ci_low", "status")
    metrics, layers = list(dict.fromkeys(frame["metric"])), list(dict.fromkeys(frame["label"]))
    places = [
        (layers.index(layer), metrics.index(metric))
        for layer, metric in zip(frame["label"], frame["metric"], strict=True)
    ]
    sides = [side_of(row) for _, row in frame.iterrows()]
    numbers = [words.effect(row) for _, row in frame.iterrows()]
    figure = go.Figure()
    figure.update_xaxes(
        **_cell_axis([safe(layer) for layer in layers]), range=[0, max(1, len(layers))], side="top"
    )
    figure.update_yaxes(
        **_cell_axis([safe(words.label(metric)) for metric in metrics]),
        range=[max(1, len(metrics)), 0],
    )
    head, top = heading(title, "▲ interval above zero, ▼ below zero; unmarked includes zero")
    figure.update_layout(
        template=TEMPLATES[theme],
        title=head,
        height=_CELL_HEIGHT * max(1, len(metrics)) + top + _HEAD,
        margin={"l": 8, "r": 8, "t": top + _HEAD, "b": 8},
        showlegend=False,
        shapes=[_tint(place, side) for place, side in zip(places, sides, strict=True)],
        annotations=[
            _text(f"{_SIGNS[side]}{number}", x=x + 0.5, y=y + 0.5)
            for (x, y), side, number in zip(places, sides, numbers, strict=True)
        ],
    )
    return figure


def metric_layers_alt(frame: pd.DataFrame, *, title: str) -> str:
    """Return what the grid of metrics by layers shows, cell by cell."""
    said = [
        f"{row['label']}, {words.label(row['metric'])}: {words.effect(row)}"
        for _, row in frame.iterrows()
    ]
    return f"{title}. {'; '.join(said)}."


def event_study(frame: pd.DataFrame, *, theme: ThemeName, title: str) -> go.Figure:
    """Return the days around the push: difference to what was expected, with a band for all.

    Args:
        frame: One row a day: `day`, `effect_size`, `ci_low`, `ci_high`, `band_low`, `band_high`
            (events per user per day; NaN where a day is not wholly observed), `is_reference`.
        theme: Light or dark.
        title: The takeaway.

    Raises:
        DataError: A column is missing.
    """
    need(frame, "day", "effect_size", "ci_low", "ci_high", "band_low", "band_high", "is_reference")
    look, rows = THEMES[theme], frame[frame["effect_size"].notna()]
    at = rows["day"].to_numpy() + 0.5
    effect = rows["effect_size"].to_numpy()
    after = rows["day"].to_numpy() >= 0
    bars = {
        "type": "data", "symmetric": False, "array": rows["ci_high"].to_numpy() - effect,
        "arrayminus": effect - rows["ci_low"].to_numpy(), "width": 0, "thickness": 2,
        "color": look.after,
    }  # fmt: skip
    said = [
        formats.signed(row["effect_size"], (row["band_low"], row["band_high"]))
        for _, row in rows.iterrows()
    ]
    figure = go.Figure(
        [
            go.Scatter(
                x=[*at, *at[::-1]], y=[*rows["band_high"], *rows["band_low"][::-1]],
                mode="lines", line={"width": 0, "color": look.band}, fill="toself",
                fillcolor=look.band, name="band for all days at once", hoverinfo="skip",
            ),
            go.Scatter(
                x=at, y=effect, mode="markers", error_y=bars,
                name="difference to what was expected, interval of the day",
                marker={
                    "size": 8, "color": [look.text if one else look.after for one in after],
                    "symbol": ["circle" if one else "circle-open" for one in after],
                },
                customdata=[
                    [f"{day:+d}", text] for day, text in zip(rows["day"], said, strict=True)
                ],
                hovertemplate="day %{customdata[0]}: %{customdata[1]}<extra></extra>",
            ),
        ]
    )  # fmt: skip
    figure.add_vline(x=0, line={"color": look.text, "width": 1.5})
    figure.add_hline(y=0, line={"color": look.zero, "width": 1.5})
    figure.update_xaxes(title_text="days from the push", showgrid=False, zeroline=False)
    figure.update_yaxes(title_text="events per user per day")
    note = "days −14 to −3 are the reference: on average they are zero"
    head, top = heading(title, note, below=300 + _BELOW)
    figure.update_layout(
        template=TEMPLATES[theme], title=head, height=300 + top + _BELOW,
        margin={"l": 8, "r": 16, "t": top, "b": _BELOW},
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 0, "yref": "container",
                "yanchor": "bottom"},
    )  # fmt: skip
    return figure


def event_study_alt(frame: pd.DataFrame, *, title: str) -> str:
    """Return what the days around the push show, those after it one by one."""
    after = frame[(frame["day"] >= 0) & frame["effect_size"].notna()]
    said = [
        f"day {row['day']:+d} "
        f"{formats.signed(row['effect_size'], (row['band_low'], row['band_high']))}"
        for _, row in after.iterrows()
    ]
    return f"{title}. Events per user per day against what was expected: {'; '.join(said)}."


def untitled(figure: go.Figure) -> go.Figure:
    """Return a figure whose title stands outside of it, its quieter line moved up."""
    note = figure.layout.title.subtitle.text or ""
    saved = _NO_TITLE if note else _NO_TITLE + _NOTE
    figure.update_layout(
        title={"text": note, "subtitle": {"text": ""}, "font": {"size": 12}, "pad": {"t": 2}},
        margin={"t": max(8, figure.layout.margin.t - saved)},
        height=figure.layout.height - saved,
    )
    figure.update_yaxes(title={"standoff": 12})
    return figure


def takeaway(rows: pd.DataFrame, noun: str) -> str:
    """Return how many rows lie where, "2 of 3 layers above zero, none below".

    Args:
        rows: Rows of LIFTS or LAYER_LIFTS of one metric.
        noun: What a row is, in the plural.
    """
    sides = [side_of(row) for _, row in rows.iterrows()]
    known = len(sides) - sides.count("missing")
    if not known:
        return f"No number yet for any of the {formats.count(len(sides))} {noun}"
    above, below = sides.count("above"), sides.count("below")
    high = "none" if not above else formats.count(above)
    low = "none" if not below else formats.count(below)
    return f"{high} of {formats.count(known)} {noun} with an interval above zero, {low} below"


def layers_sentence(rows: pd.DataFrame, metric: str) -> str:
    """Return the layers' effects in a sentence, the highest first, those without a number last.

    Args:
        rows: Rows of LAYER_LIFTS of one metric, one a layer.
        metric: The metric.
    """
    ordered = rows.sort_values("rel_effect_size", ascending=False, na_position="last")
    is_plain = bool((rows["method"] == "classic").all())
    said_as = "after the push, associated with it" if is_plain else "because of the pushes"
    said = [
        f"{words.layer(row['layer']).partition(',')[0].lower()} {words.effect(row)}"
        for _, row in ordered.iterrows()
    ]
    name = words.label(metric)
    return f"{name[:1].upper()}{name[1:]} {said_as}: {', '.join(said)}."


def side_of(row: pd.Series) -> Direction:
    """Return where the interval of a row lies, the relative one where there is one."""
    name = "effect_size" if formats.is_missing(row["rel_effect_size"]) else "rel_effect_size"
    low, high = float(row[f"{name}_ci_low"]), float(row[f"{name}_ci_high"])
    return words.direction(low, high, estimate=float(row[name]))


def grouped_forest(frame: pd.DataFrame, *, theme: ThemeName, title: str) -> go.Figure:
    """Return a forest plot of many rows in the order given, with a line between layers.

    It looks as `figures.forest`; where effects drawn towards their layer are known, a tick shows
    each beside the effect as measured.

    Args:
        frame: As `figures.forest` takes it, sorted by `layer` first.
        theme: Light or dark.
        title: The takeaway.

    Raises:
        DataError: A column is missing.
    """
    need(frame, "layer")
    rows = effect_rows(frame, scale="relative", order="given")
    low, high = span(rows)
    figure = go.Figure([trace(rows, side, low=low, high=high, along="x") for side in SIDES])
    figure.add_traces(arrows(rows, low=low, high=high, along="x"))
    figure.add_traces(ticks(rows, THEMES[theme], low=low, high=high))
    figure.update_xaxes(
        title_text="lift, relative to what was expected", ticksuffix=" %", zeroline=True,
        zerolinewidth=1.5, range=[low, high],
    )  # fmt: skip
    figure.update_yaxes(
        tickvals=rows["at"], ticktext=[safe(label) for label in rows["label"]],
        range=[len(rows) - 0.5, -1.5], showgrid=False, zeroline=False,
    )  # fmt: skip
    texts, right = texts_beside(rows, level_of(frame))
    below = _ROW_HEIGHT * (max(1, len(rows)) + 1) + _BELOW
    head, top = heading(title, reading(rows), below=below)
    figure.update_layout(
        template=TEMPLATES[theme],
        title=head,
        height=top + below,
        margin={"l": 8, "r": right, "t": top, "b": _BELOW},
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 0, "yref": "container",
                "yanchor": "bottom"},
        shapes=_lines(frame["layer"].tolist(), THEMES[theme]),
        annotations=texts,
    )  # fmt: skip
    return figure


def _lines(layers: list[str], look: Theme) -> list[dict[str, object]]:
    """Return a line wherever one layer ends and the next begins."""
    line = {"color": look.zero, "width": 1, "dash": "dot"}
    return [
        {
            "type": "line",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": at - 0.5,
            "y1": at - 0.5,
            "line": line,
        }
        for at, (before, after) in enumerate(pairwise(layers), start=1)
        if before != after
    ]


def _tint(place: tuple[int, int], side: Direction) -> dict[str, object]:
    column, line = place
    return {
        "type": "rect", "x0": column + 0.02, "x1": column + 0.98, "y0": line + 0.06,
        "y1": line + 0.94, "fillcolor": _TINTS[side], "line": {"width": 0}, "layer": "below",
    }  # fmt: skip


def _text(text: str, **place: object) -> dict[str, object]:
    return {"text": safe(text), "showarrow": False, "font": {"size": 12}, **place}


def _cell_axis(names: list[str]) -> dict[str, object]:
    return {
        "tickvals": [at + 0.5 for at in range(len(names))],
        "ticktext": names,
        "showgrid": False,
        "zeroline": False,
        "fixedrange": True,
    }


__all__ = [
    "event_study",
    "event_study_alt",
    "grouped_forest",
    "layers_sentence",
    "metric_layers",
    "metric_layers_alt",
    "side_of",
    "takeaway",
    "untitled",
]

"""The figures of quality and health: scores and their parts, and what runs measured.

Each takes a declared table and a takeaway title, in the looks of `figures`; beside each stands a
function of `alttext_quality` that says the same in words. Nothing here is an effect but the
headline of runs, so all else is grey: what needs a look is stronger or crossed. A table without
rows gives a sentence. Days of events and pushes are in `figures_days`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.publish import dots, formats, keys, words
from core.publish.dots import need
from core.publish.stacked import finish, hover, place, row_texts, sentence
from core.publish.strips import Strip, days_axis, strips
from core.publish.theme import COLOURS, SYMBOLS, THEMES, Theme, ThemeName
from core.publish.words import Direction

NOTHING = {
    "score_bars": "Nothing was scored: no campaign was sent.",
    "runs_trend": "No run has left a record yet.",
}
"""What each figure says where its table has no rows."""
SIDES = ("combined", "database", "activity")
MEASURES = ("quality", "mapped_share", "headline", "seconds", "requests")
"""What `runs_trend` can show."""
_BAR = 10
_HEADLINE = "primary_rel_effect_size"


def score_bars(
    frame: pd.DataFrame, *, theme: ThemeName, title: str, level: str = "all", of: str = "all"
) -> go.Figure:
    """Return the scores of both sides and their parts as bars against the mark they should reach.

    What is short of the mark is stronger and says by how much; what cannot be told has no bar.

    Args:
        frame: Rows of SCORES.
        theme: Light or dark.
        title: The takeaway.
        level: Which level: all, layer or campaign.
        of: Which layer or campaign.

    Raises:
        DataError: A column is missing.
    """
    need(frame, "level", "of", "side", "part", "weight", "score", "threshold", "inputs", "status")
    shown = in_order(frame, level, of)
    if shown.empty:
        return sentence(NOTHING["score_bars"], theme, title=title)
    look = THEMES[theme]
    placed, height = place(_score_rows(shown))
    figure = go.Figure(_score_marks(placed, look))
    figure.update_layout(annotations=row_texts(placed, look), barmode="overlay")
    figure.update_xaxes(range=[0, 1], visible=False, fixedrange=True)
    marks = shown["threshold"].unique()
    mark = f" ({formats.share(marks[0])})" if len(marks) == 1 else ""
    feet = [
        f"upright line: what each should reach{mark}",
        "stronger: short of it; behind a part: its weight",
    ]
    finish(figure, theme, title=title, feet=feet, height=height, below=4)
    return figure


def runs_trend(
    frame: pd.DataFrame,
    *,
    theme: ThemeName,
    title: str,
    what: Sequence[str] = MEASURES,
    zone: str = "UTC",
) -> go.Figure:
    """Return what runs measured, one after another: a strip a measure, failed runs crossed.

    Args:
        frame: Rows of RUNS.
        theme: Light or dark.
        title: The takeaway.
        what: Which of MEASURES, in the order to draw.
        zone: Times are those of this zone.

    Raises:
        DataError: A column is missing.
    """
    need(
        frame, "run_id", "started_at", "status", "error", *{_MEASURES[name].column for name in what}
    )
    if frame.empty:
        return sentence(NOTHING["runs_trend"], theme, title=title)
    look = THEMES[theme]
    ordered = frame.sort_values("started_at")
    parts = [_run_strip(ordered, name, look, zone) for name in what]
    figure, height = strips(parts, look)
    days_axis(figure)
    feet = ["✕ the run failed; right: the last number and where it lies"]
    finish(figure, theme, title=title, feet=feet, height=height, is_pixels=False)
    return figure


def in_order(scores: pd.DataFrame, level: str, of: str) -> pd.DataFrame:
    """Return one place's scores, both sides first, then each side's total and parts."""
    rows = scores[(scores["level"] == level) & (scores["of"] == of)]
    place_of = {side: at for at, side in enumerate(SIDES)}
    keyed = rows.assign(_side=rows["side"].map(place_of), _part=rows["part"] != "total")
    ordered = keyed.sort_values(["_side", "_part"], kind="stable")
    return ordered.drop(columns=["_side", "_part"]).reset_index(drop=True)


def part_name(row: pd.Series) -> str:
    """Return what is scored, "Mapping" or, of a total, "Database side"."""
    return keys.titled(row["side"] if row["part"] == "total" else row["part"])


def short(row: pd.Series) -> str:
    """Return how far a score is below its mark, "3.7 pp short", else nothing."""
    if formats.is_missing(row["score"]) or row["score"] >= row["threshold"]:
        return ""
    gap = formats.points(row["threshold"] - row["score"])
    return f"{gap.removeprefix('+')} short"


def _score_rows(shown: pd.DataFrame) -> pd.DataFrame:
    """Return rows as `stacked.place` and `stacked.row_texts` take them."""
    return pd.DataFrame(
        {
            "caption": ["" if side == "combined" else keys.titled(side) for side in shown["side"]],
            "label": [_weighted(row) for _, row in shown.iterrows()],
            "number": [scored(row) for _, row in shown.iterrows()],
            "n": [_first_clause(str(text)) for text in shown["inputs"]],
            "inputs": shown["inputs"].to_numpy(),
            "score": shown["score"].to_numpy(dtype=float),
            "threshold": shown["threshold"].to_numpy(dtype=float),
            "is_short": [bool(short(row)) for _, row in shown.iterrows()],
        }
    )


def _first_clause(inputs: str) -> str:
    """Return the numbers before the details; hovering and the table hold the rest."""
    first = inputs.replace(";", ":").partition(":")[0]
    return first if any(char.isdigit() for char in first) else inputs


def _weighted(row: pd.Series) -> str:
    if row["part"] == "total":
        return "Both sides together" if row["side"] == "combined" else "Total"
    return f"{keys.titled(row['part'])} · {100 * row['weight']:.0f} %"


def scored(row: pd.Series) -> str:
    """Return a score with how far it is short, or the em dash with the reason."""
    if formats.is_missing(row["score"]):
        return formats.missing(row["status"])
    return ", ".join(filter(None, [formats.share(row["score"]), short(row)]))


def _score_marks(placed: pd.DataFrame, look: Theme) -> list[go.Bar | go.Scatter]:
    """Return a track, a bar and the mark it should reach for each score."""
    known = placed[placed["score"].notna()]
    texts = [hover(row["label"], row["number"], row["inputs"]) for row in known.to_dict("records")]
    common = {"orientation": "h", "width": _BAR, "y": known["at"].to_numpy()}
    track = go.Bar(
        x=np.ones(len(known)), marker={"color": look.grid, "line": {"width": 0}},
        hoverinfo="skip", **common,
    )  # fmt: skip
    colours = [look.text if is_short else look.after for is_short in known["is_short"]]
    bars = go.Bar(
        x=known["score"].to_numpy(), marker={"color": colours, "line": {"width": 0}},
        customdata=texts, hovertemplate="%{customdata}<extra></extra>", **common,
    )  # fmt: skip
    marks = go.Scatter(
        x=known["threshold"].to_numpy(), y=known["at"].to_numpy(), mode="markers",
        marker={"symbol": "line-ns-open", "size": 18, "color": look.text,
                "line": {"width": 2, "color": look.text}},
        hoverinfo="skip", cliponaxis=False,
    )  # fmt: skip
    return [track, bars, marks]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measure:
    """What a strip of runs shows: its column, its name and how its numbers read."""

    column: str
    label: str
    said: Callable[[float], str]


_MEASURES = {
    "quality": _Measure(column="quality", label="Quality", said=formats.share),
    "mapped_share": _Measure(column="mapped_share", label="Recipients mapped", said=formats.share),
    "headline": _Measure(column=_HEADLINE, label="Lift, all layers", said=formats.percent),
    "seconds": _Measure(column="seconds", label="Seconds", said="{:,.1f}".format),
    "requests": _Measure(column="n_requests", label="Requests", said=formats.count),
}


def run_said(runs: pd.DataFrame, name: str) -> str:
    """Return one of MEASURES in words: the last number and the range.

    Args:
        runs: Rows of RUNS, the earliest first.
        name: The measure.
    """
    measure = _MEASURES[name]
    known = runs[measure.column].astype(float).where(runs["status"] != "failed").dropna()
    last = _last(runs, known, measure, is_headline=name == "headline")
    return f"{measure.label.lower()} last {last}, {_range_said(runs, known, measure)}"


def _run_strip(runs: pd.DataFrame, name: str, look: Theme, zone: str) -> Strip:
    measure = _MEASURES[name]
    at = runs["started_at"].dt.tz_convert(zone).dt.tz_localize(None)
    values = runs[measure.column].astype(float).where(runs["status"] != "failed")
    known = values.dropna()
    is_headline = name == "headline"
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    if is_headline:
        ends = runs.loc[known.index, [f"{_HEADLINE}_ci_low", f"{_HEADLINE}_ci_high"]]
        low, high = _span([low, high, 0.0, *ends.to_numpy(dtype=float).ravel()])
    drawn = (
        _headline_marks(runs, at, values) if is_headline else _line_marks(at, values, measure, look)
    )
    return Strip(
        label=measure.label,
        number=_last(runs, known, measure, is_headline=is_headline),
        note=_range_said(runs, known, measure),
        traces=(*drawn, *_failed_marks(runs, at, low, look)),
        low=low,
        high=high,
    )


def _span(values: Sequence[float]) -> tuple[float, float]:
    finite = [value for value in values if np.isfinite(value)]
    return min(finite), max(finite)


def _last(runs: pd.DataFrame, known: pd.Series, measure: _Measure, *, is_headline: bool) -> str:
    if known.empty:
        return formats.MISSING
    if not is_headline:
        return measure.said(known.iloc[-1])
    row = runs.loc[known.index[-1]]
    ends = (row[f"{_HEADLINE}_ci_low"], row[f"{_HEADLINE}_ci_high"])
    return formats.percent(row[_HEADLINE], ends)


def _range_said(runs: pd.DataFrame, known: pd.Series, measure: _Measure) -> str:
    failed = int((runs["status"] == "failed").sum())
    more = f", {formats.count(failed)} failed" if failed else ""
    if known.empty:
        return f"not known in any of {formats.count(len(runs))} runs{more}"
    ends = f"{measure.said(known.min())} to {measure.said(known.max())}"
    return f"{ends} in {formats.count(len(known))} runs{more}"


def _line_marks(
    at: pd.Series, values: pd.Series, measure: _Measure, look: Theme
) -> list[go.Scatter]:
    texts = [
        hover(f"{when:%Y-%m-%d %H:%M}", f"{measure.label}: {measure.said(value)}")
        for when, value in zip(at, values, strict=True)
    ]
    last = [6 if is_last else 4 for is_last in values.index == values.last_valid_index()]
    return [
        go.Scatter(
            x=at, y=values.to_numpy(), mode="lines+markers", connectgaps=False,
            line={"color": look.after, "width": 1.5},
            marker={"color": look.text, "size": last, "opacity": 1}, customdata=texts,
            hovertemplate="%{customdata}<extra></extra>",
        )
    ]  # fmt: skip


def _headline_marks(runs: pd.DataFrame, at: pd.Series, values: pd.Series) -> list[go.Scatter]:
    low, high = (runs[f"{_HEADLINE}_ci_{end}"].astype(float) for end in ("low", "high"))
    ends = zip(low, high, values, strict=True)
    sides = pd.Series(
        [words.direction(a, b, estimate=mid) for a, b, mid in ends], index=runs.index, dtype="str"
    )
    return [
        _headline_dots(at[sides == side], values[sides == side], low, high, side)
        for side in dots.SIDES
        if (sides == side).any()
    ]


def _headline_dots(
    at: pd.Series, values: pd.Series, low: pd.Series, high: pd.Series, side: Direction
) -> go.Scatter:
    """Return the runs whose interval lies on one side of zero; an open end has no bar."""
    lows, highs = low[values.index], high[values.index]
    texts = [
        hover(f"{when:%Y-%m-%d %H:%M}", formats.percent(mid, (a, b)))
        for when, mid, a, b in zip(at, values, lows, highs, strict=True)
    ]
    bars = {
        "type": "data", "symmetric": False, "array": (highs - values).fillna(0).to_numpy(),
        "arrayminus": (values - lows).fillna(0).to_numpy(), "width": 0, "thickness": 1.5,
        "color": COLOURS[side],
    }  # fmt: skip
    return go.Scatter(
        x=at, y=values.to_numpy(), mode="markers", error_y=bars,
        marker={"color": COLOURS[side], "symbol": SYMBOLS[side], "size": 6},
        customdata=texts, hovertemplate="%{customdata}<extra></extra>",
    )  # fmt: skip


def _failed_marks(runs: pd.DataFrame, at: pd.Series, low: float, look: Theme) -> list[go.Scatter]:
    is_failed = runs["status"] == "failed"
    if not is_failed.any():
        return []
    texts = [
        hover(f"{when:%Y-%m-%d %H:%M}: failed", str(error))
        for when, error in zip(at[is_failed], runs.loc[is_failed, "error"], strict=True)
    ]
    return [
        go.Scatter(
            x=at[is_failed], y=np.full(len(texts), low), mode="markers",
            marker={"symbol": "x-thin", "size": 9, "color": look.text,
                    "line": {"width": 2, "color": look.text}},
            customdata=texts, hovertemplate="%{customdata}<extra></extra>", cliponaxis=False,
        )
    ]  # fmt: skip

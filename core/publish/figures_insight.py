"""The figures of insight: kinds of sends, rankings, what if, history and trends.

Each takes a declared table and a takeaway title, in the looks of `figures`; beside each stands a
function of `alttext_insight` that says the same in words. Colour says where an interval lies and
nothing else. A table without rows gives a sentence. Calendars and grids are in `figures_grids`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.publish import formats, keys, words
from core.publish.dots import level_of, need, reading
from core.publish.stacked import dot_rows, hover, one_of, place, sentence, stacked_dots
from core.publish.theme import COLOURS, THEMES, Theme, ThemeName

NOTHING = {
    "pattern_groups": "No kind of send can be compared: there are too few campaigns of each.",
    "ranking_dots": "No campaign can be ranked yet: none qualifies and has its windows closed.",
    "what_if_ranges": "No recommendation has evidence for what it would bring.",
    "history_dots": "There is no period before this one to compare with.",
    "trend_lines": "No automation has sent often enough to show a trend.",
}
"""What each figure says where its table has no rows."""
_LIFT = "lift, relative to what was expected"
_BEFORE_SIZE = 10
_FEW_EVENTS = 10


def pattern_groups(frame: pd.DataFrame, *, theme: ThemeName, title: str) -> go.Figure:
    """Return the pooled effect of each kind of send, in order of its place on a scale.

    Args:
        frame: Rows of PATTERN_GROUPS of one metric; several patterns or layers stand apart.
        theme: Light or dark.
        title: The takeaway.

    Raises:
        DataError: A column is missing, or there is more than one metric.
    """
    need(frame, "pattern", "layer", "metric", "group", "position", "n_campaigns", "n_pushes")
    if frame.empty:
        return sentence(NOTHING["pattern_groups"], theme, title=title)
    one_of(frame, "metric")
    ordered = in_scale_order(frame)
    rows = dot_rows(
        ordered,
        "rel_effect_size",
        factor=100,
        labels=[keys.titled(group) for group in ordered["group"]],
        numbers=[relative(row) for _, row in ordered.iterrows()],
        notes=[behind(row) for _, row in ordered.iterrows()],
        captions=_captions(ordered),
    )
    feet = _feet(ordered, reading(rows))
    return stacked_dots(rows, theme=theme, title=title, feet=feet, axis=_LIFT, suffix=" %")


def ranking_dots(
    frame: pd.DataFrame, *, theme: ThemeName, title: str, currency: str = ""
) -> go.Figure:
    """Return the best campaigns by place: effect and interval, rank and its interval beside.

    Args:
        frame: Rows of RANKINGS of one layer and metric; a column `label` names the campaigns,
            else their ids.
        theme: Light or dark.
        title: The takeaway.
        currency: What money is counted in; where it is given, money stands for events.

    Raises:
        DataError: A column is missing, or there is more than one layer or metric.
    """
    need(frame, "layer", "metric", "place", "campaign_id", "rank", "rank_low", "rank_high")
    if frame.empty:
        return sentence(NOTHING["ranking_dots"], theme, title=title)
    one_of(frame, "layer", "metric")
    ordered = frame.sort_values("place")
    named = ordered["label" if "label" in ordered else "campaign_id"]
    rows = dot_rows(
        ordered,
        "shrunk_rel_effect_size",
        factor=100,
        labels=[f"{place}. {name}" for place, name in zip(ordered["place"], named, strict=True)],
        numbers=[relative(row, "shrunk_rel_effect_size") for _, row in ordered.iterrows()],
        notes=[_placing(row, currency) for _, row in ordered.iterrows()],
    )
    feet = _feet(
        ordered,
        "effects are drawn towards their layer",
        "✓ clear: as measured, above zero, q at most 5 %",
        reading(rows),
    )
    return stacked_dots(rows, theme=theme, title=title, feet=feet, axis=_LIFT, suffix=" %")


def what_if_ranges(
    frame: pd.DataFrame, *, theme: ThemeName, title: str, currency: str = ""
) -> go.Figure:
    """Return what each recommendation may bring a week, as a range.

    Args:
        frame: Rows of WHAT_IF of one metric.
        theme: Light or dark.
        title: The takeaway.
        currency: What money is counted in; without it none is shown.

    Raises:
        DataError: A column is missing, or there is more than one metric.
    """
    need(frame, "recommendation", "layer", "metric", "events_per_week", "n_campaigns", "words")
    if frame.empty:
        return sentence(NOTHING["what_if_ranges"], theme, title=title)
    one_of(frame, "metric")
    rows = dot_rows(
        frame,
        "events_per_week",
        factor=1,
        labels=[keys.titled(name) for name in frame["recommendation"]],
        numbers=[events(row, "events_per_week") for _, row in frame.iterrows()],
        notes=[_reach(row, currency) for _, row in frame.iterrows()],
    )
    metric = words.label(str(frame["metric"].iloc[0]))
    feet = _feet(frame, "each by itself: they do not add up", reading(rows))
    axis = f"more {metric} a week, if it is followed"
    return stacked_dots(rows, theme=theme, title=title, feet=feet, axis=axis, suffix="")


def history_dots(frame: pd.DataFrame, *, theme: ThemeName, title: str) -> go.Figure:
    """Return now against before: a ring where it was, a mark where it is, a line between.

    The colour and shape say where the interval of the difference lies.

    Args:
        frame: Rows of HISTORY of one metric, one a layer; or of one layer, one a metric.
        theme: Light or dark.
        title: The takeaway.

    Raises:
        DataError: A column is missing.
    """
    need(frame, "layer", "metric", "now", "before", "difference", "n_now", "n_before", "status")
    if frame.empty:
        return sentence(NOTHING["history_dots"], theme, title=title)
    rows = dot_rows(
        frame,
        "difference",
        factor=100,
        labels=series_names(frame),
        numbers=[difference(row) for _, row in frame.iterrows()],
        notes=[then_and_now(row) for _, row in frame.iterrows()],
    )
    level = f"{level_of(frame)} interval".strip()
    feet = ["ring: the period before; filled: now", f"right: the difference and its {level}"]
    then, now = (100 * frame[name].to_numpy(dtype=float) for name in ("before", "now"))
    placed = rows.assign(
        estimate=now, low=np.fmin(then, now), high=np.fmax(then, now), has_interval=False,
        side=np.where(np.isnan(now), "missing", rows["side"].replace("missing", "unclear")),
    )  # fmt: skip
    figure = stacked_dots(placed, theme=theme, title=title, feet=feet, axis=_LIFT, suffix=" %")
    figure.add_traces(_before(placed.assign(was=then), THEMES[theme]))
    return figure


def trend_lines(frame: pd.DataFrame, *, theme: ThemeName, title: str) -> go.Figure:
    """Return how each automation's effect moves from week to week, with intervals.

    Args:
        frame: Rows of TRENDS of one metric; a column `label` names the automations, else their
            ids.
        theme: Light or dark.
        title: The takeaway.

    Raises:
        DataError: A column is missing, or there is more than one metric.
    """
    need(frame, "automation_id", "metric", "n_campaigns", "slope_per_week", "qvalue", "status")
    if frame.empty:
        return sentence(NOTHING["trend_lines"], theme, title=title)
    one_of(frame, "metric")
    rows = dot_rows(
        frame,
        "slope_per_week",
        factor=100,
        labels=list(frame["label" if "label" in frame else "automation_id"]),
        numbers=[difference(row, "slope_per_week") for _, row in frame.iterrows()],
        notes=[_sends(row) for _, row in frame.iterrows()],
    )
    feet = _feet(frame, reading(rows))
    axis = "change of the lift a week, percentage points"
    return stacked_dots(rows, theme=theme, title=title, feet=feet, axis=axis, suffix="")


def in_scale_order(groups: pd.DataFrame) -> pd.DataFrame:
    """Return rows of PATTERN_GROUPS by pattern and layer as given, then along their scale."""
    place = {name: at for at, name in enumerate(dict.fromkeys(groups["pattern"]))}
    by = groups.assign(_place=groups["pattern"].map(place))
    ordered = by.sort_values(["_place", "layer", "position"], kind="stable", na_position="last")
    return ordered.drop(columns="_place").reset_index(drop=True)


def relative(row: pd.Series, name: str = "rel_effect_size") -> str:
    """Return a relative effect with its interval, or the em dash with the reason."""
    if formats.is_missing(row[name]):
        return _absent(row)
    return formats.percent(row[name], (row[f"{name}_ci_low"], row[f"{name}_ci_high"]))


def difference(row: pd.Series, name: str = "difference") -> str:
    """Return a difference of relative effects in points, or the em dash with the reason."""
    if formats.is_missing(row[name]):
        return _absent(row)
    return formats.points(row[name], (row[f"{name}_ci_low"], row[f"{name}_ci_high"]))


def events(row: pd.Series, name: str) -> str:
    """Return a number of events with its interval, or the em dash with the reason."""
    if formats.is_missing(row[name]):
        return _absent(row)
    ends = (row[f"{name}_ci_low"], row[f"{name}_ci_high"])
    if abs(row[name]) < _FEW_EVENTS:
        return formats.signed(row[name], ends)
    return f"{event_count(row[name])} {formats.interval(ends, decimals=0)}"


def event_count(value: float) -> str:
    """Return a number of events with its sign, a whole one unless there are few, "+532"."""
    if formats.is_missing(value) or abs(value) < _FEW_EVENTS:
        return formats.signed(value)
    return f"{'+' if value > 0 else ''}{formats.count(value)}"


def behind(row: pd.Series) -> str:
    """Return what a kind of send rests on, "7 campaigns, 2,310 pushes, grade B"."""
    grade = "" if formats.is_missing(row["rel_effect_size"]) else f", grade {row['evidence']}"
    pushes = _plural(row["n_pushes"], "push", "pushes")
    return f"{_campaigns(row['n_campaigns'])}, {pushes}{grade}"


def then_and_now(row: pd.Series) -> str:
    """Return both periods in numbers, "before +8.2 % (12 campaigns), now +11.3 % (15)"."""
    before, now = (formats.percent(row[name]) for name in ("before", "now"))
    return f"before {before} ({_campaigns(row['n_before'])}), now {now} ({row['n_now']})"


def series_names(frame: pd.DataFrame) -> list[str]:
    """Return what tells rows of layers and metrics apart, as far as they differ."""
    layers = [words.layer(name).partition(",")[0] for name in frame["layer"]]
    metrics = [words.label(metric) for metric in frame["metric"]]
    if len(frame["metric"].unique()) == 1:
        return layers
    if len(frame["layer"].unique()) == 1:
        return [f"{name[:1].upper()}{name[1:]}" for name in metrics]
    return [f"{layer}, {metric}" for layer, metric in zip(layers, metrics, strict=True)]


def money(value: float, currency: str) -> str:
    """Return an amount of money, whole, "+1,560 USD"; nothing where there is none."""
    if not currency or formats.is_missing(value):
        return ""
    sign = "+" if value >= 0.5 else ""
    return f"{sign}{formats.count(value)} {currency}"


def _placing(row: pd.Series, currency: str) -> str:
    said = "not ranked"
    if not formats.is_missing(row["rank"]):
        ends = formats.interval((row["rank_low"], row["rank_high"]), decimals=0)
        said = f"rank {formats.count(row['rank'])} {ends}"
    worth = money(row["value"], currency)
    if not worth and not formats.is_missing(row["incremental_events"]):
        worth = f"{event_count(row['incremental_events'])} events"
    return " · ".join(filter(None, [said, "✓" if row["is_clear"] else "", worth]))


def _reach(row: pd.Series, currency: str) -> str:
    layer = words.layer(row["layer"]).partition(",")[0]
    amount = money(row["value_per_week"], currency)
    return " · ".join(filter(None, [layer, _campaigns(row["n_campaigns"]), amount]))


def _sends(row: pd.Series) -> str:
    clear = "" if formats.is_missing(row["qvalue"]) else f", q {formats.pvalue(row['qvalue'])}"
    return f"{_plural(row['n_campaigns'], 'send', 'sends')}{clear}"


def _before(rows: pd.DataFrame, look: Theme) -> list[go.Scatter]:
    """Return a ring where each row was, and the line from there to where it is."""
    shown, _ = place(rows)
    shown = shown[shown["was"].notna()]
    lines = [
        go.Scatter(
            x=[row["was"], row["estimate"]], y=[row["at"]] * 2, mode="lines", hoverinfo="skip",
            line={"color": COLOURS[row["side"]], "width": 2},
        )
        for row in shown[shown["estimate"].notna()].to_dict("records")
    ]  # fmt: skip
    rings = go.Scatter(
        x=shown["was"].to_numpy(), y=shown["at"].to_numpy(), mode="markers",
        marker={"symbol": "circle", "size": _BEFORE_SIZE, "color": look.surface,
                "line": {"width": 2, "color": look.text}},
        customdata=[hover(row["label"], row["n"]) for row in shown.to_dict("records")],
        hovertemplate="%{customdata}<extra></extra>",
    )  # fmt: skip
    return [*lines, rings]


def _captions(ordered: pd.DataFrame) -> list[str] | None:
    """Return what each group belongs to, where there is more than one pattern or layer."""
    several = ordered[["pattern", "layer"]].nunique()
    if (several < 2).all():
        return None
    names = [
        ("pattern", [keys.titled(name) for name in ordered["pattern"]]),
        ("layer", [words.layer(name).partition(",")[0] for name in ordered["layer"]]),
    ]
    used = [said for column, said in names if several[column] > 1]
    return [", ".join(parts) for parts in zip(*used, strict=True)]


def _feet(frame: pd.DataFrame, *said: str) -> list[str]:
    level = level_of(frame)
    return [f"bars: {level} intervals", *(text for text in said if text)] if level else list(said)


def _absent(row: pd.Series) -> str:
    status = row.get("status", "no_data")
    return formats.missing("no_data" if status == "ok" else status)


def _campaigns(n: int) -> str:
    return _plural(n, "campaign", "campaigns")


def _plural(n: int, one: str, many: str) -> str:
    return f"{formats.count(n)} {one if n == 1 else many}"


__all__ = [
    "NOTHING",
    "difference",
    "history_dots",
    "pattern_groups",
    "ranking_dots",
    "trend_lines",
    "what_if_ranges",
]

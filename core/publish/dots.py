"""Dots and intervals: what every figure of effects is drawn from."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from core.errors import DataError
from core.publish import formats, words
from core.publish.theme import COLOURS, MEANINGS, SYMBOLS, Theme, flat, safe
from core.publish.words import Direction, Scale

Order = Literal["given", "effect", "lower"]
Along = Literal["x", "y"]
LABEL_LENGTH = 44
_CHARACTER = 7
_GAP, _GRADE = 22, 44
_HOVER_BASIS = "<br>evidence %{customdata[3]}"
SIDES: tuple[Direction, ...] = ("above", "below", "unclear")


def effect_rows(frame: pd.DataFrame, *, scale: Scale, order: Order) -> pd.DataFrame:
    """Return what a figure of effects draws: one row a dot, in the order of drawing.

    Args:
        frame: Rows of LIFTS or LAYER_LIFTS, with a label as `forest` takes it.
        scale: Relative effects (percent) or absolute ones (events per user per day).
        order: How rows are sorted; those without a number come last.

    Returns:
        `label`, `number`, `n`, `grade`, `basis` (text, not yet safe to draw; empty where the
        frame names no evidence), `at`, `estimate`, `low`, `high` (percent where relative; NaN:
        no bound), `shrunk` (the same; NaN where the frame has none), `side`, `has_interval`,
        `is_open`.

    Raises:
        DataError: A column is missing.
    """
    name = "rel_effect_size" if scale == "relative" else "effect_size"
    need(frame, "n_users", "status", "effect_size", "effect_size_ci_low", "effect_size_ci_high")
    need(frame, name, f"{name}_ci_low", f"{name}_ci_high")
    factor = 100 if scale == "relative" else 1
    rows = pd.DataFrame(
        {
            "label": [flat(text, limit=LABEL_LENGTH) for text in _labels(frame)],
            "number": [words.effect(row, scale) for _, row in frame.iterrows()],
            "n": [formats.count(n) for n in frame["n_users"]],
            "grade": _grades(frame),
            "basis": [words.basis(row) if _is_known(row) else "" for _, row in frame.iterrows()],
            "shrunk": factor * _shrunk(frame, scale),
            "estimate": factor * frame[name].to_numpy(dtype=float),
            "low": factor * _bound(frame[f"{name}_ci_low"]),
            "high": factor * _bound(frame[f"{name}_ci_high"]),
            "has_interval": _has_interval(frame),
            "is_open": _is_open(frame),
        }
    )
    ends = zip(rows["low"], rows["high"], rows["estimate"], strict=True)
    rows["side"] = [words.direction(low, high, estimate=mid) for low, high, mid in ends]
    by = {"given": None, "effect": "estimate", "lower": "low"}[order]
    if by is not None:
        rows = rows.sort_values([by, "estimate"], ascending=False, kind="stable")
    return rows.reset_index(drop=True).assign(at=np.arange(len(rows), dtype=float))


def trace(
    rows: pd.DataFrame, side: Direction, *, low: float, high: float, along: Along
) -> go.Scatter:
    """Return the dots on one side of zero, provisional ones hollow, with their intervals."""
    part = rows[rows["side"] == side]
    ends = part["low"].fillna(low).clip(low, high), part["high"].fillna(high).clip(low, high)
    back = (part["estimate"] - ends[0]).where(part["has_interval"], 0).clip(lower=0)
    ahead = (ends[1] - part["estimate"]).where(part["has_interval"], 0).clip(lower=0)
    bars = {
        "type": "data",
        "symmetric": False,
        "array": ahead.to_numpy(),
        "arrayminus": back.to_numpy(),
        "width": 0,
        "thickness": 2,
        "color": COLOURS[side],
    }
    shapes = np.where(part["is_open"], f"{SYMBOLS[side]}-open", SYMBOLS[side])
    said = [part[name] for name in ("label", "number", "n", "basis")]
    across = "y" if along == "x" else "x"
    return go.Scatter(
        {along: part["estimate"].to_numpy(), across: part["at"].to_numpy(), f"error_{along}": bars},
        mode="markers",
        name=MEANINGS[side],
        showlegend=bool(len(part)),
        marker={
            "color": COLOURS[side],
            "symbol": shapes.tolist(),
            "size": 10,
            "line": {"color": COLOURS[side], "width": 2},
        },
        customdata=[[safe(text) for text in texts] for texts in zip(*said, strict=True)],
        hovertemplate=(
            "<b>%{customdata[0]}</b><br>%{customdata[1]}<br>n %{customdata[2]}"
            f"{_HOVER_BASIS if part['basis'].any() else ''}<extra></extra>"
        ),
    )


def ticks(rows: pd.DataFrame, look: Theme, *, low: float, high: float) -> list[go.Scatter]:
    """Return a tick where each effect lies once drawn towards its layer, if any is known."""
    part = rows[rows["shrunk"].between(low, high)]
    if part.empty:
        return []
    return [
        go.Scatter(
            x=part["shrunk"].to_numpy(),
            y=part["at"].to_numpy(),
            mode="markers",
            name="drawn towards its layer: the best guess of the true effect",
            marker={
                "symbol": "line-ns-open",
                "size": 15,
                "color": look.text,
                "line": {"width": 2.5, "color": look.text},
            },
            customdata=[formats.percent(value / 100) for value in part["shrunk"]],
            hovertemplate="drawn towards its layer: %{customdata}<extra></extra>",
        )
    ]


def texts_beside(rows: pd.DataFrame, level: str) -> tuple[list[dict[str, object]], int]:
    """Return n, evidence grade and effect at the right of each row, and the pixels they take.

    All texts of a figure are set at once: added one by one, each is checked against all others,
    and the 132 of 66 campaigns took three seconds.
    """
    has_grades = bool(rows["grade"].any())
    at_n = _GAP + _CHARACTER * max([1, *map(len, rows["n"])])
    at_grade = at_n + (_GRADE if has_grades else 0)
    heads: dict[Hashable, object] = {
        "at": -1.0,
        "n": "n",
        "grade": "grade",
        "number": f"effect [{level} interval]",
    }
    lines = [*rows.to_dict("records"), heads]
    texts = []
    for line in lines:
        texts.append(_text(line["n"], line["at"], xanchor="right", xshift=at_n - 6))
        if has_grades:
            texts.append(
                _text(line["grade"], line["at"], xanchor="center", xshift=at_n + _GRADE // 2)
            )
        texts.append(_text(line["number"], line["at"], xanchor="left", xshift=at_grade + 6))
    longest = max(len(str(line["number"])) for line in lines)
    return texts, at_grade + 20 + _CHARACTER * longest


def arrows(rows: pd.DataFrame, *, low: float, high: float, along: Along) -> list[go.Scatter]:
    """Return arrow heads at the edges, where an interval goes on beyond them."""
    shown = rows[(rows["side"] != "missing") & rows["has_interval"]]
    onward = shown[shown["high"].isna() | (shown["high"] > high)]
    backward = shown[shown["low"].isna() | (shown["low"] < low)]
    heads = {"x": ("triangle-right", "triangle-left"), "y": ("triangle-up", "triangle-down")}
    across = "y" if along == "x" else "x"
    return [
        go.Scatter(
            {along: np.full(len(part), edge), across: part["at"].to_numpy()},
            mode="markers",
            marker={"symbol": head, "size": 9, "color": [COLOURS[side] for side in part["side"]]},
            cliponaxis=False,
            showlegend=False,
            hoverinfo="skip",
        )
        for part, edge, head in zip((onward, backward), (high, low), heads[along], strict=True)
        if len(part)
    ]


def span(rows: pd.DataFrame) -> tuple[float, float]:
    """Return the axis's range: zero, every estimate, and the intervals that are not far wider."""
    shown = rows[rows["side"] != "missing"]
    if shown.empty:
        return -1.0, 1.0
    estimate, lows, highs = shown["estimate"], shown["low"], shown["high"]
    usual = pd.concat([highs - estimate, estimate - lows]).median()
    usual = 0.0 if pd.isna(usual) else float(usual)
    limit = 4 * max(usual, float(estimate.abs().max()))
    low = float(np.nanmin([0.0, estimate.min(), lows.clip(lower=-limit).min()]))
    high = float(np.nanmax([0.0, estimate.max(), highs.clip(upper=limit).max()]))
    is_open = shown["has_interval"]
    low -= usual * float((lows.isna() & is_open).any())
    high += usual * float((highs.isna() & is_open).any())
    room = 0.05 * (high - low) or 1.0
    return low - room, high + room


def reading(rows: pd.DataFrame) -> str:
    """Return how marks are to be read, as far as they occur."""
    shown = rows[rows["side"] != "missing"]
    low, high = span(rows)
    beyond = (shown["low"].fillna(low - 1) < low) | (shown["high"].fillna(high + 1) > high)
    said = []
    if (beyond & shown["has_interval"]).any():
        said.append("arrow: the interval goes on")
    if shown["is_open"].any():
        said.append("hollow: provisional, the window is still open")
    return "; ".join(said)


def level_of(frame: pd.DataFrame) -> str:
    """Return the confidence level of all rows, "95 %"; nothing where it is not one."""
    if "confidence_level" not in frame or len(frame["confidence_level"].unique()) != 1:
        return ""
    return formats.confidence(frame["confidence_level"].iloc[0])


def need(frame: pd.DataFrame, *names: str) -> None:
    """Raise DataError unless the frame has the columns."""
    absent = [name for name in names if name not in frame.columns]
    if absent:
        raise DataError(f"The table for the figure lacks the column {', '.join(absent)}.")


def _labels(frame: pd.DataFrame) -> list[str]:
    """Return what rows are called: a label, a name, the campaign's id, or the layer."""
    for column in ("label", "name", "campaign_id"):
        if column in frame:
            return [str(text) for text in frame[column]]
    need(frame, "layer")
    return [words.layer(str(name)) for name in frame["layer"]]


def _text(text: object, row: object, **place: object) -> dict[str, object]:
    return {
        "text": safe(str(text), limit=120), "showarrow": False, "font": {"size": 12},
        "x": 1, "xref": "paper", "y": row, "yref": "y", **place,
    }  # fmt: skip


def _is_known(row: pd.Series) -> bool:
    names = {"evidence", "method"} <= set(row.index)
    return names and not formats.is_missing(row["effect_size"])


def _grades(frame: pd.DataFrame) -> list[str]:
    """Return each row's evidence grade, nothing where there is no number or no grade."""
    if "evidence" not in frame:
        return [""] * len(frame)
    return frame["evidence"].where(frame["effect_size"].notna(), "").astype(str).tolist()


def _shrunk(frame: pd.DataFrame, scale: Scale) -> NDArray[np.float64]:
    """Return effects drawn towards their layer, missing where they are not asked for."""
    if scale != "relative" or "shrunk_rel_effect_size" not in frame:
        return np.full(len(frame), np.nan)
    return frame["shrunk_rel_effect_size"].to_numpy(dtype=float)


def _bound(values: pd.Series) -> NDArray[np.float64]:
    """Return ends of intervals, NaN where there is no bound."""
    ends = values.to_numpy(dtype=float)
    return np.where(np.isfinite(ends), ends, np.nan)


def _has_interval(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Say where there is an interval at all; the relative one may still be without a bound."""
    ends = frame[["effect_size_ci_low", "effect_size_ci_high"]]
    return ends.notna().any(axis=1).to_numpy()


def _is_open(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Say which rows are provisional."""
    is_open = (frame["status"] == "window_open").to_numpy()
    if "window_complete" in frame:
        is_open = is_open | ~frame["window_complete"].to_numpy(dtype=bool)
    return is_open

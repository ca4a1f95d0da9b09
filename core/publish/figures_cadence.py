"""The calendar of planned against real sends."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from core.publish import formats, keys
from core.publish.dots import need
from core.publish.stacked import finish, hover, said_text, sentence
from core.publish.theme import THEMES, Theme, ThemeName, safe

NOTHING = {
    "cadence_calendar": "No automation has a weekly plan with a send in this period.",
}
"""What the figure says where its table has no rows."""
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_WEEK = 26
_CAPTION = 58
_GAP = 18
_STATES = {"on_plan": "circle", "moved": "diamond", "missed": "x-thin", "open": "circle-open"}


def cadence_calendar(
    frame: pd.DataFrame, *, theme: ThemeName, title: str, zone: str = "UTC"
) -> go.Figure:
    """Return planned against real sends: weeks down, days across, a calendar an automation.

    A filled mark lies where a send was made; where it was moved, an arrow leads to it from its
    plan, through the end of the week where it slipped into another; a cross is a plan without one.

    Args:
        frame: Rows of CADENCE; a column `label` names the automations, else their ids.
        theme: Light or dark.
        title: The takeaway.
        zone: Days and hours are those of this zone.

    Raises:
        DataError: A column is missing.
    """
    need(frame, "automation_id", "planned_at", "state", "hours_late", "why")
    if frame.empty:
        return sentence(NOTHING["cadence_calendar"], theme, title=title)
    look, slots = THEMES[theme], _slots(frame, zone)
    figure = go.Figure([_marks(slots, state, look) for state in _STATES])
    height = int(slots["bottom"].max()) + 2
    figure.update_layout(
        shapes=_ruled(slots, look), annotations=[*_ways(slots, look), *_heads(slots, look)]
    )
    figure.update_xaxes(range=[-1.35, 7.02], visible=False, fixedrange=True)
    feet = ["● on plan; ○→◆ moved; ✕ not sent; ○ still to come", f"days and hours in {zone}"]
    finish(figure, theme, title=title, feet=feet, height=height, below=6)
    return figure


def automation_names(frame: pd.DataFrame) -> pd.Series:
    """Return what the automations of a table are called: a label, else their ids."""
    return frame["label" if "label" in frame else "automation_id"].astype(str)


def late(hours: float) -> str:
    """Return how late a send was, "26 h late" or "3 h early"; nothing where there was none."""
    if formats.is_missing(hours):
        return ""
    length = formats.duration(pd.Timedelta(hours=abs(hours)).to_pytimedelta())
    return f"{length} {'late' if hours > 0 else 'early'}"


def states_said(states: pd.Series) -> str:
    """Return how many plans came to what, "7 on plan, 1 moved, 1 missed"."""
    counts = states.value_counts()
    return ", ".join(f"{counts[name]} {keys.said(name)}" for name in _STATES if name in counts)


def drawn_at(text: str, x: float, y: float, look: Theme, **more: object) -> dict[str, object]:
    """Return quiet text at a place of the plot."""
    return {
        "text": safe(text), "showarrow": False, "x": x, "y": y, "xref": "x", "yref": "y",
        "font": {"size": 11, "color": look.muted}, "borderpad": 0, **more,
    }  # fmt: skip


def _slots(frame: pd.DataFrame, zone: str) -> pd.DataFrame:
    """Return where each plan and send lies: week and place in it, and the pixels of its row."""
    planned = frame["planned_at"]
    late = pd.to_timedelta(frame["hours_late"].where(frame["state"] != "missed"), unit="h")
    plan, sent = _in_week(planned, zone), _in_week(planned + late, zone)
    first = min(plan["week"].min(), sent["week"].min())
    n_weeks = int(max(plan["week"].max(), sent["week"].max()) - first) // 7 + 1
    names = automation_names(frame)
    block = names.map({name: at for at, name in enumerate(dict.fromkeys(names))})
    top = block * (_CAPTION + n_weeks * _WEEK + _GAP) + _CAPTION
    rows = frame.reset_index(drop=True).assign(
        name=names.to_numpy(), top=top.to_numpy(), bottom=(top + n_weeks * _WEEK).to_numpy(),
        first=first, x_plan=plan["place"].to_numpy(), x_sent=sent["place"].to_numpy(),
        y_plan=_middle(top, plan["week"], first), y_sent=_middle(top, sent["week"], first),
    )  # fmt: skip
    return rows.assign(said=[_slot_said(row, zone) for _, row in rows.iterrows()])


def _in_week(instants: pd.Series, zone: str) -> pd.DataFrame:
    """Return the Monday (days since 1970) of each instant, and its place in the week, 0 to 7."""
    local = instants.dt.tz_convert(zone).dt.tz_localize(None)
    days = (local - pd.Timestamp(0)) / pd.Timedelta(days=1)
    week = np.floor((days + 3) / 7) * 7 - 3  # 1970 began on a Thursday
    return pd.DataFrame({"week": week, "place": days - week})


def _middle(top: pd.Series, week: pd.Series, first: float) -> NDArray[np.float64]:
    return (top + ((week - first) / 7 + 0.5) * _WEEK).to_numpy()


def _slot_said(row: pd.Series, zone: str) -> str:
    plan = f"planned {formats.instant(row['planned_at'], zone)}: {keys.said(row['state'])}"
    if row["state"] == "moved":
        plan += f", {late(row['hours_late'])}"
    return hover(str(row["name"]), plan, str(row["why"]))


def _marks(slots: pd.DataFrame, state: str, look: Theme) -> go.Scatter:
    part = slots[slots["state"] == state]
    was_sent = part["x_sent"].notna() & (state in {"on_plan", "moved"})
    return go.Scatter(
        x=part["x_sent"].where(was_sent, part["x_plan"]).to_numpy(),
        y=part["y_sent"].where(was_sent, part["y_plan"]).to_numpy(),
        mode="markers",
        name=keys.said(state),
        marker={
            "symbol": _STATES[state], "size": 11,
            "color": look.muted if state == "open" else look.text,
            "line": {"width": 2.5 if state == "missed" else 1, "color": look.text},
        },
        customdata=part["said"].tolist(),
        hovertemplate="%{customdata}<extra></extra>",
    )  # fmt: skip


def _ways(slots: pd.DataFrame, look: Theme) -> list[dict[str, object]]:
    """Return a ring at each plan that was moved, and arrows from there to the send."""
    drawn: list[dict[str, object]] = []
    for row in slots[(slots["state"] == "moved") & slots["x_sent"].notna()].to_dict("records"):
        plan, sent = (row["x_plan"], row["y_plan"]), (row["x_sent"], row["y_sent"])
        drawn.append(_ring(*plan, look))
        if row["y_plan"] == row["y_sent"]:
            drawn.append(_arrow(plan, sent, look))
            continue
        ends = (7.0, 0.0) if row["hours_late"] > 0 else (0.0, 7.0)
        drawn.append(_arrow(plan, (ends[0], row["y_plan"]), look))
        drawn.append(_arrow((ends[1], row["y_sent"]), sent, look))
    return drawn


def _arrow(tail: tuple[float, float], tip: tuple[float, float], look: Theme) -> dict[str, object]:
    return {
        "text": "", "showarrow": True, "x": tip[0], "y": tip[1], "ax": tail[0], "ay": tail[1],
        "xref": "x", "yref": "y", "axref": "x", "ayref": "y", "arrowhead": 2, "arrowwidth": 1.5,
        "arrowsize": 0.9, "arrowcolor": look.text, "standoff": 4, "startstandoff": 5,
    }  # fmt: skip


def _ring(x: float, y: float, look: Theme) -> dict[str, object]:
    return {
        "text": "○", "showarrow": False, "x": x, "y": y, "xref": "x", "yref": "y",
        "font": {"size": 12, "color": look.text},
    }  # fmt: skip


def _ruled(slots: pd.DataFrame, look: Theme) -> list[dict[str, object]]:
    """Return the quiet lines of each calendar: one under every week, one beside every day."""
    line = {"color": look.grid, "width": 1}
    shapes = []
    for top, bottom in dict.fromkeys(zip(slots["top"], slots["bottom"], strict=True)):
        across = {"x0": 0, "x1": 7, "type": "line", "layer": "below", "line": line}
        shapes += [{**across, "y0": y, "y1": y} for y in np.arange(top, bottom + 1, _WEEK)]
        down = {"y0": top, "y1": bottom, "type": "line", "layer": "below", "line": line}
        shapes += [{**down, "x0": x, "x1": x} for x in range(8)]
    return shapes


def _heads(slots: pd.DataFrame, look: Theme) -> list[dict[str, object]]:
    """Return each calendar's caption with its counts, its days and its weeks."""
    texts = []
    for top in dict.fromkeys(slots["top"].astype(float)):
        block = slots[slots["top"] == top]
        name = str(block["name"].iloc[0])
        counts = states_said(block["state"])
        texts.append(said_text(name, top - 42, x=0, look=look, is_quiet=False))
        texts.append(said_text(counts, top - 26, x=0, look=look, is_quiet=True))
        texts += [drawn_at(day, at + 0.5, top - 9, look) for at, day in enumerate(DAYS)]
        mondays = np.arange((block["bottom"].iloc[0] - top) / _WEEK) * 7 + block["first"].iloc[0]
        for at, days in enumerate(mondays):
            monday = pd.Timestamp(0) + pd.Timedelta(days=float(days))
            label = f"{monday:%b} {monday.day}"
            texts.append(
                {**drawn_at(label, -1.35, top + (at + 0.5) * _WEEK, look), "xanchor": "left"}
            )
    return texts

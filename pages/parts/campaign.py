"""The parts of the campaign page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import pandas as pd
import streamlit as st

from core.publish import alttext, figures, formats, words
from pages.parts import data, measured, numbers, show, tables
from pages.parts.data import Screen
from pages.parts.measured import Measured
from pages.parts.plain import plain

_PICKER = "campaign_picker"
_COLOURS: dict[str, Literal["blue", "orange", "gray"]] = {"above": "blue", "below": "orange"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """One campaign and what it was measured among.

    Attributes:
        row: As `tables.judged`.
        lifts: frames.LIFTS, its rows.
        part: Itself alone, for its files; q-values are those shown.
        among: What it was measured among.
        is_outside: It lies outside the chosen period.
    """

    row: pd.Series
    lifts: pd.DataFrame
    part: Measured
    among: Measured
    is_outside: bool


def pick(campaigns: pd.DataFrame, zone: str) -> str | None:
    """Draw the picker and return the campaign the address or the visitor names.

    Args:
        campaigns: frames.CAMPAIGNS, all that was read.
        zone: The zone dates are said in.
    """
    newest = campaigns.sort_values("first_delivered_at", ascending=False, na_position="last")
    labels = {row["campaign_id"]: tables.label(row, zone) for _, row in newest.iterrows()}
    wanted = st.query_params.get("id") or None
    if wanted is not None and wanted not in labels:
        st.warning(
            f"There is no campaign {plain(wanted)} among the {len(labels)} that were read. It may "
            "have been sent earlier: choose a longer period, or pick another one here.",
            icon=":material/search_off:",
        )
    st.session_state[_PICKER] = wanted if wanted in labels else None
    picked: str | None = st.selectbox(
        "Find a campaign",
        list(labels),
        index=None,
        format_func=labels.__getitem__,
        placeholder="Type a name or a date",
        key=_PICKER,
        on_change=_remember,
    )
    return picked


def find(screen: Screen, campaign_id: str) -> Found:
    """Return a campaign as measured among those of the period, else among all that were read."""
    among = screen.whole
    is_outside = campaign_id not in set(among.campaigns["campaign_id"])
    if is_outside:
        among = data.everything(screen)
    part = measured.alone(among, campaign_id)
    row = data.judged(screen, part).iloc[0]
    return Found(row=row, lifts=part.lifts, part=part, among=among, is_outside=is_outside)


def header(found: Found, zone: str) -> None:
    """Draw name, layer, content and when it was sent."""
    row = found.row
    st.subheader(plain(row["name"]), anchor=False)
    content = "" if pd.isna(row["content"]) else f" · {plain(row['content'].replace('_', ' '))}"
    st.caption(f"{words.layer(row['layer'])}{content} · {_sent(row, zone)}")
    if found.is_outside:
        st.caption(
            ":material/info: It was sent outside the chosen period; q-values are those within all "
            "campaigns that were read."
        )


def answer(row: pd.Series, screen: Screen) -> None:
    """Draw the verdict beside the message, and beneath them what goes with the number."""
    left, right = st.columns([3, 2], gap="large")
    with left:
        _verdict(row)
    with right, st.container(border=True):
        st.caption("The message as most recipients saw it")
        st.text(_shown(row["title"]), width="stretch")
        st.text(_shown(row["body"]), width="stretch")
    show.cards(numbers.campaign(row, post_hours=screen.rules.lengths.post_hours))


def _verdict(row: pd.Series) -> None:
    """Draw the verdict in a word, the one large number, and why."""
    said, tone = str(row["verdict"]), str(row["tone"])
    st.badge(said.capitalize(), icon=show.verdict_icon(tone), color=_COLOURS.get(tone, "gray"))
    number = words.effect(as_lift(row))
    st.header(
        f":{_COLOURS[tone]}[{plain(number)}]" if tone in _COLOURS else plain(number), anchor=False
    )
    st.markdown(plain(row["sentence"]))
    if row["layer"] == "3" and row["method"] == "classic":
        st.caption(
            ":material/info: Recipients of layer 3 had just been active, and the hours after that "
            "are busier than an average day without any push: part of the change is theirs. "
            "Choose “Best evidence” above."
        )


def as_lift(row: pd.Series) -> pd.Series:
    """Return a row of `tables.judged` with the status of its lift, as `words` reads it."""
    return row.drop("status").rename({"lift_status": "status"})


def strip(row: pd.Series) -> None:
    """Draw the way from sent rows to measured users."""
    show.cards(numbers.strip(row), border=False)


def around(screen: Screen, row: pd.Series, metric: str) -> None:
    """Draw what recipients did before and after, by hours or by days."""
    unit = st.segmented_control(
        "By", ["days", "hours"], default="days", required=True, key="by",
        bind="query-params", label_visibility="collapsed",
    )  # fmt: skip
    bins = data.around(screen, row["campaign_id"], metric, bin_hours=1 if unit == "hours" else 24)
    kind: Literal["hour", "day"] = "hour" if unit == "hours" else "day"
    name = words.label(metric)
    title = f"{name.capitalize()} of recipients by {kind}, counted from each one's own delivery"
    show.chart(
        lambda theme: figures.activity_around(bins, theme=theme, title="", unit=kind),
        alt=lambda: alttext.activity_around(bins, title=title, unit=kind),
        title=title,
        of=f"around {screen.number} {row['campaign_id']} {metric} {kind}",
    )
    show.as_table(lambda: tables.around_table(bins, kind), title, key="around_open")
    st.caption(
        "Recipients who had not signed up yet, and hours that have not passed yet, are not counted "
        "as zeros. By hours, the time of day shows: compare with the same hour on other days."
    )


def earlier(screen: Screen, found: Found) -> None:
    """Draw the other sends of the same automation, where there are any."""
    rows = data.judged(screen, found.among)
    others = tables.earlier_sends(rows, found.row)
    if others.empty:
        return
    st.subheader("Other sends of this automation", anchor=False)
    of = f"{found.part.key} others {screen.choices.metric} {screen.choices.method}"
    show.campaigns(others, screen.zone, "Other sends of this automation", key="others", of=of)


def _remember() -> None:
    picked = st.session_state[_PICKER]
    st.query_params.from_dict({} if picked is None else {"id": picked})


def _sent(row: pd.Series, zone: str) -> str:
    first, last = row["first_delivered_at"], row["last_delivered_at"]
    if pd.isna(first):
        return "nothing was delivered"
    said = f"delivered {formats.instant(first, zone)}"
    spread = last - first
    if spread < timedelta(minutes=1):
        return said
    return f"{said}, the last {formats.duration(spread)} later"


def _shown(text: object) -> str:
    return text if isinstance(text, str) and text.strip() else formats.MISSING

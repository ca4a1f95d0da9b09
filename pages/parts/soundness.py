"""How good the data is and how the runs went, drawn for the page of data quality."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.cross_check import cross_check, in_words
from core.errors import DataError, PushliftError
from core.health.compare import compare, settings_changes
from core.health.records import read_run
from core.publish import alttext_quality, figures_days, figures_quality, takeaways
from core.quality.frames import NATIVE
from core.runs import runs_folder
from pages.parts import conclusions, further, health_tables, quality_tables, show, waiting
from pages.parts.data import Screen
from pages.parts.plain import plain

_MOST_RUNS = 50


def alerts(screen: Screen) -> None:
    """Draw what somebody should know now, nothing where there is nothing."""
    found = further.alerts_of(screen)
    for _, alert in found.iterrows():
        is_act = alert["severity"] == "act"
        draw = st.warning if is_act else st.info
        icon = ":material/notification_important:" if is_act else ":material/notifications:"
        draw(plain(str(alert["words"])), icon=icon)


def scores(screen: Screen, rows: pd.DataFrame) -> None:
    """Draw the scores with their parts, and what to do about each shortfall."""
    found = further.quality_of(screen)
    title = takeaways.scores(found.scores)
    show.chart(
        lambda theme: figures_quality.score_bars(found.scores, theme=theme, title=""),
        alt=lambda: alttext_quality.score_bars(found.scores, title=title),
        title=title,
        of=f"scores {further.key_of(screen)}",
    )
    show.table(quality_tables.score_parts(found.scores), "Scores and their parts", key="parts")
    with st.expander("By layer and by campaign"):
        matrix = quality_tables.score_matrix(found.scores)
        show.table(matrix, "Scores by layer", key="score_matrix")
        by_campaign = quality_tables.campaign_scores(found.scores, rows)
        show.table(by_campaign, "Scores by campaign", key="score_campaigns", height="auto")
    st.subheader("What to do about it", anchor=False)
    if found.advice.empty:
        st.write(quality_tables.NOTHING["advice"])
    else:
        names = dict(conclusions.names_of(screen))
        frame = quality_tables.advice_table(found.advice, names)
        show.table(frame, "What falls short and what to do", key="advice", height="auto")


def days(screen: Screen) -> None:
    """Draw events by day with gaps, and push records against events."""
    found, zone = further.quality_of(screen), screen.zone
    title = takeaways.event_days(found.event_days, zone=zone)
    show.chart(
        lambda theme: figures_days.event_days_heat(
            found.event_days, theme=theme, title="", zone=zone
        ),
        alt=lambda: alttext_quality.event_days_heat(found.event_days, title=title, zone=zone),
        title=title,
        of=f"event days {further.key_of(screen)}",
    )
    gaps = quality_tables.gap_table(found.event_days, zone)
    if len(gaps):
        show.table(gaps, "Gaps", key="gaps", height="auto")
    show.as_table(
        lambda: quality_tables.event_day_table(found.event_days, zone),
        "Events by day",
        key="event_days_open",
    )
    said = takeaways.push_days(found.push_days, zone=zone)
    show.chart(
        lambda theme: figures_days.push_days(found.push_days, theme=theme, title="", zone=zone),
        alt=lambda: alttext_quality.push_days(found.push_days, title=said, zone=zone),
        title=f"Push records against events: {said}",
        of=f"push days {further.key_of(screen)}",
    )
    show.as_table(
        lambda: quality_tables.push_day_table(found.push_days, zone),
        "Push records against events",
        key="push_days_open",
    )


def native(screen: Screen) -> None:
    """Draw totals against PostHog's own, once they were asked for."""
    if screen.settings.posthog is None:
        st.write(
            "Only PostHog's API can say what its own insights show; this activity was read from "
            "an export."
        )
        return
    key = f"native {screen.number}"
    if st.button("Compare with PostHog's own totals", icon=":material/balance:", key="native"):
        with st.spinner("Asking PostHog for its totals"):
            try:
                st.session_state[key] = cross_check(screen.loaded)
            except PushliftError as error:
                waiting.sentence(str(error))
    table = st.session_state.get(key, NATIVE.empty())
    if table.empty:
        st.write(quality_tables.NOTHING["native"])
        return
    st.markdown(f"**{plain(in_words(table))}**")
    show.table(
        quality_tables.native_table(table, screen.zone), "Totals against PostHog's own",
        key="native_table", height="auto",
    )  # fmt: skip


def runs(screen: Screen) -> None:
    """Draw the runs so far, their trends, and two of them against each other."""
    left = further.runs_of(screen.settings)
    for notice in left.notices:
        st.caption(plain(notice))
    table = left.table.head(_MOST_RUNS).reset_index(drop=True)
    if table.empty:
        st.write(health_tables.NOTHING["runs"])
        return
    title = takeaways.runs(table)
    if len(table) > 1:
        show.chart(
            lambda theme: figures_quality.runs_trend(
                table, theme=theme, title="", zone=screen.zone
            ),
            alt=lambda: alttext_quality.runs_trend(table, title=title, zone=screen.zone),
            title=title,
            of=f"runs {table['run_id'].iloc[0]} {len(table)}",
        )
    frame = health_tables.run_table(table, screen.zone)
    show.table(frame, "Runs, the newest first", key="runs", height="auto")
    finished = table[table["status"] != "failed"]
    if len(finished) > 1:
        _compared(screen, finished)


def _compared(screen: Screen, finished: pd.DataFrame) -> None:
    names = health_tables.run_names(finished, screen.zone)
    ids = list(names)
    with st.container(horizontal=True):
        run = st.selectbox("Run", ids, format_func=names.__getitem__, key="run")
        other = st.selectbox(
            "Compared with", ids, index=1, format_func=names.__getitem__, key="other_run"
        )
    if run == other:
        return
    folder = runs_folder(screen.settings)
    try:
        first, second = read_run(folder, run), read_run(folder, other)
    except DataError as error:  # swept by another process meanwhile
        waiting.sentence(str(error))
        return
    changes = compare(first, second)
    st.markdown(f"**{plain(health_tables.change_sentence(changes))}**")
    for change in settings_changes(first, second):
        st.caption(plain(change))
    frame = health_tables.change_table(changes)
    if len(frame):
        show.table(frame, "What changed between two runs", key="changes", height="auto")

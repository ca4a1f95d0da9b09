"""Whether a campaign's number can be trusted: drawn once it is asked for."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core import diagnosis, robustness
from core.diagnosis import Trust
from core.measure.event_study import EventStudy, event_study
from core.measure.panel import Rules
from core.publish import figures_pages, formats
from pages.parts import measured, robust_tables, show, tables, trust_tables
from pages.parts.data import Screen
from pages.parts.measured import Read
from pages.parts.plain import plain

_SEED = 0


def methods(screen: Screen, lifts: pd.DataFrame, metric: str) -> None:
    """Draw the metric by all six methods, with the reason where one cannot be had."""
    name = show.metric_name(screen)
    frame = tables.method_table(lifts, metric)
    show.table(frame, f"{name} by each method", key="methods")
    st.caption(
        "The headline is the best evidence that could be computed and passed its checks. Where "
        "methods disagree, the one further up is compared with something closer to what would "
        "have happened without the push."
    )


def around_days(screen: Screen, campaign_id: str, metric: str) -> None:
    """Draw, once opened, the days around the push against those not pushed."""
    folded = st.expander("Day by day against those not pushed", key="days", on_change="rerun")
    if not folded.open:
        return
    with folded:
        found = _event_study(
            screen.read, screen.number, campaign_id, metric, screen.choices.confidence_level
        )
        rows = found.frame()
        title = trust_tables.event_takeaway(found)
        of = f"{screen.number} {campaign_id} {metric} {screen.choices.confidence_level}"
        show.chart(
            lambda theme: figures_pages.event_study(rows, theme=theme, title=""),
            alt=lambda: figures_pages.event_study_alt(rows, title=title),
            title=title,
            of=f"event study {of}",
        )
        st.markdown(plain(trust_tables.trend_sentence(found)))
        show.as_table(lambda: trust_tables.event_table(found), title, key="days_open")


def doubts(screen: Screen, campaign_id: str, metric: str) -> None:
    """Draw, once opened, what speaks for and against the number."""
    folded = st.expander("What speaks for and against it", key="doubts", on_change="rerun")
    if not folded.open:
        return
    with folded:
        found = _trust(screen.read, screen.number, campaign_id, metric, screen.rules)
        for question, said, follows in trust_tables.answers(found):
            word = "" if follows == formats.MISSING else f"{follows}: "
            icon = trust_tables.ICONS[follows]
            st.markdown(f"{icon} **{question}** {plain(f'{word}{said}')}.")
        if len(found.placebos):
            st.markdown("**Self-checks: the same comparison at earlier dates, nothing sent**")
            show.table(trust_tables.placebo_table(found), "Self-checks", key="placebos")
        st.markdown("**Extreme users, plain before and after**")
        level = screen.choices.confidence_level
        show.table(
            trust_tables.outlier_table(found.outliers, level), "Extreme users", key="outliers_table"
        )
        own = measured.individual(screen.read, campaign_id, metric)
        st.caption(plain(trust_tables.individual_sentence(own)))


def other_choices(screen: Screen, campaign_id: str, metric: str) -> None:
    """Draw, once opened, what other windows, baselines, methods and rules would have said."""
    folded = st.expander("Other windows, baselines and rules", key="robust", on_change="rerun")
    if not folded.open:
        return
    with folded:
        frame = _robustness(screen.read, screen.number, campaign_id, metric, screen.rules)
        st.markdown(f"**{plain(robust_tables.takeaway(frame))}**")
        shown = robust_tables.table(frame, screen.choices.confidence_level)
        show.table(shown, "Other choices", key="robust_table", height="auto")


def by_campaign(screen: Screen, rows: pd.DataFrame) -> None:
    """Draw, once opened, overlap, contamination, stability and adequacy of every campaign."""
    folded = st.expander("What speaks for and against each campaign", key="each", on_change="rerun")
    if not folded.open:
        return
    with folded:
        found = _trust_table(screen.read, screen.number, screen.rules)
        metric = screen.choices.metric
        st.markdown(f"**{plain(trust_tables.quality_sentence(found, rows, metric))}**")
        show.table(
            trust_tables.quality_table(found, rows, metric), "Trust by campaign", key="trust_table",
            height="auto",
        )  # fmt: skip
        st.caption(
            "A baseline is steady below 2 % growth a week, clean with less than 10 % of it in the "
            "hours after other pushes. Both matter to plain before and after; comparisons with "
            "other users allow for them. Smallest effect seen: found 80 % of the time."
        )


@st.cache_resource(max_entries=16, show_spinner="Looking at every campaign")
def _trust_table(_read: Read, number: int, rules: Rules) -> pd.DataFrame:  # noqa: ARG001
    return diagnosis.trust_table(_read.loaded, _read.estimates, rules)


@st.cache_resource(max_entries=64, show_spinner="Comparing day by day")
def _event_study(
    _read: Read,
    number: int,  # noqa: ARG001
    campaign_id: str,
    metric: str,
    confidence_level: float,
) -> EventStudy:
    study = _read.estimates.study
    return event_study(
        study,
        study.campaign_ids.index(campaign_id),
        study.panel.metric_names.index(metric),
        confidence_level=confidence_level,
        seed=_SEED,
    )


@st.cache_resource(max_entries=64, show_spinner="Looking for reasons not to believe it")
def _trust(_read: Read, number: int, campaign_id: str, metric: str, rules: Rules) -> Trust:  # noqa: ARG001
    return diagnosis.trust(_read.loaded, _read.estimates, rules, campaign_id, metric)


@st.cache_resource(max_entries=64, show_spinner="Measuring it in other ways")
def _robustness(
    _read: Read,
    number: int,  # noqa: ARG001
    campaign_id: str,
    metric: str,
    rules: Rules,
) -> pd.DataFrame:
    return robustness.robustness(_read.loaded, _read.estimates, rules, campaign_id, metric)

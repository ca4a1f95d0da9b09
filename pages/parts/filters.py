"""The filters every page shares, kept in the address so that a copied link shows the same."""

from __future__ import annotations

import streamlit as st

from core.frames import LAYERS
from core.publish import formats, words
from core.settings import Settings
from pages.parts.choices import (
    DATES,
    DEFAULT_PERIOD,
    METHODS,
    OUTLIERS,
    PERIODS,
    Choices,
    choices_of,
    levels_of,
)
from pages.parts.tables import METHOD_NAMES, OUTLIER_RULES

KEYS = ("period", "dates", "layers", "metric", "method", "confidence", "outliers", "min")
"""Names in the address and in the session."""


def draw(settings: Settings) -> None:
    """Draw the filters; `chosen` tells any page what they say."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        _period()
        st.multiselect(
            "Layers",
            LAYERS,
            format_func=_layer,
            key="layers",
            placeholder="All layers",
            width=230,
            bind="query-params",
        )
        st.selectbox(
            "Metric",
            list(settings.metrics),
            format_func=words.label,
            key="metric",
            width=210,
            bind="query-params",
        )
        st.selectbox(
            "Numbers by",
            METHODS,
            format_func=METHOD_NAMES.__getitem__,
            key="method",
            width=210,
            help="Best evidence takes, for each campaign, the soundest comparison that could be "
            "had, from a randomised holdout (A) down. Plain before and after compares recipients "
            "with themselves and cannot tell a push from what would have happened anyway.",
            bind="query-params",
        )
        with st.popover("How measured", icon=":material/tune:"):
            _rules(settings)


def chosen(settings: Settings) -> Choices:
    """Return what the filters say, checked again: an address may hold anything."""
    return choices_of({key: st.session_state.get(key) for key in KEYS}, settings)


def _period() -> None:
    period = st.selectbox(
        "Period",
        list(PERIODS),
        index=list(PERIODS).index(DEFAULT_PERIOD),
        key="period",
        width=130,
        bind="query-params",
    )
    if period == DATES:
        st.date_input(
            "First and last day",
            value=[],
            key="dates",
            width=280,
            bind="query-params",
        )


def _rules(settings: Settings) -> None:
    analysis = settings.analysis
    st.selectbox(
        "Confidence level",
        levels_of(analysis),
        index=levels_of(analysis).index(analysis.confidence_level),
        format_func=formats.confidence,
        key="confidence",
        bind="query-params",
    )
    st.selectbox(
        "Extreme users",
        OUTLIERS,
        index=OUTLIERS.index(analysis.outliers),
        format_func=OUTLIER_RULES.__getitem__,
        key="outliers",
        help="Dropping users by how much they changed (IQR, z-score) makes effects out of nothing; "
        "those two describe and carry no verdict. Capping every window at one value does not.",
        bind="query-params",
    )
    st.number_input(
        "Fewest measured users a campaign needs",
        min_value=2,
        max_value=1_000_000,
        value=analysis.min_recipients,
        key="min",
        bind="query-params",
    )


def _layer(layer: str) -> str:
    return "Unclassified" if layer == "unclassified" else f"Layer {layer}"

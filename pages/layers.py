"""Layers: side by side, metric by metric, campaign by campaign."""

import pandas as pd
import streamlit as st

from core.publish import alttext, beside, figures_pages, words
from pages.parts import conclusions, data, filters, pools, show, tables
from pages.parts.guard import enter
from pages.parts.plain import plain

enter("layers")
st.title("Layers", anchor=False)
settings = data.settings_or_stop()
screen = data.screen_or_stop(settings, filters.chosen(settings))
show.source(screen)
if show.nothing(screen):
    st.stop()

metric, method, zone = screen.choices.metric, screen.choices.method, screen.zone
name = words.label(metric)
metrics = list(screen.settings.metrics)
rows = data.judged(screen, screen.chosen)
of = f"{screen.chosen.key} {metric} {method}"
layers = data.layers(screen, metric)

single = layers[layers["layer"] != "all"]
show.finding(figures_pages.layers_sentence(single, metric))
show.caution(rows)
side_by_side = data.kept(
    f"side by side {of}", lambda: pools.layer_table(layers, rows, weeks=screen.weeks)
)
show.table(side_by_side, f"Layers side by side, {name}", key="side_by_side")
st.caption(
    "Pooled over the pushes of campaigns that qualify and whose windows have closed, clustered by "
    "person. “Next campaign may land”: where the true lift of one more campaign of the layer would "
    "lie, which is wider than the mean's interval because campaigns differ."
)
if method == "headline" and len(single) > 1:
    st.markdown(f"**{plain(beside.contrasts_sentence(screen.chosen.contrasts, metric))}**")
    contrasts = pools.contrast_table(screen.chosen.contrasts, metric)
    show.table(contrasts, f"Differences between layers, {name}", key="contrasts")
    st.caption(
        ":material/info: The layers share people: their extra events do not add up without "
        "counting some twice (these intervals allow for it), and each layer reaches people in "
        "another situation, so a difference is not what moving a message from one layer to "
        "another would bring."
    )

grid = pd.concat([data.layers(screen, one) for one in metrics], ignore_index=True)
title = "Every metric in every layer"
show.chart(
    lambda theme: figures_pages.metric_layers(grid, theme=theme, title=""),
    alt=lambda: figures_pages.metric_layers_alt(grid, title=title),
    title=title,
    of=f"grid {screen.chosen.key} {method}",
    width=160 + 190 * len(layers),
)

st.subheader(f"Campaigns by layer: {name}", anchor=False)
order = st.segmented_control(
    "Sorted by",
    tables.ORDERS,
    default=tables.ORDERS[0],
    required=True,
    key="order",
    bind="query-params",
    label_visibility="collapsed",
)
grouped = data.kept(f"grouped {of} {order}", lambda: tables.grouped(rows, order))
lifts = tables.as_lifts(grouped)
title = f"{figures_pages.takeaway(lifts, 'campaigns')}; by layer, {order} first"
show.chart(
    lambda theme: figures_pages.grouped_forest(lifts, theme=theme, title=""),
    alt=lambda: alttext.forest(lifts, title=title),
    title=title,
    of=f"campaigns {of} {order}",
)
st.caption(
    "Dots are campaigns as measured, ticks the same drawn towards their layer. Intervals are not "
    "widened for looking at many; the verdicts below are."
    if method == "headline"
    else "Intervals as they are, not widened for looking at many; the verdicts below are."
)

for layer in single["layer"]:
    part = data.kept(f"layer {layer} {of}", lambda: tables.ranked(rows[rows["layer"] == layer]))  # noqa: B023
    st.markdown(f"**{words.layer(layer)}**: {len(part)} campaigns")
    show.campaigns(
        part,
        zone,
        f"{words.layer(layer)}, campaigns by {name}",
        key=f"layer_{layer}",
        of=f"{layer} {of}",
    )

if method == "headline":
    st.subheader("What makes a send work", anchor=False)
    concluded = conclusions.found_or_wait(screen)
    if concluded is not None:
        conclusions.patterns(screen, concluded)
        st.subheader("Planned against real sends", anchor=False)
        conclusions.plan(screen, concluded)
        st.subheader("Metrics that move together", anchor=False)
        conclusions.together(screen, concluded)
        st.subheader("The same automation over time", anchor=False)
        conclusions.over_time(screen, concluded)

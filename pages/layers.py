"""Layers: side by side, metric by metric, campaign by campaign."""

import pandas as pd
import streamlit as st

from core.publish import alttext, figures_pages, words
from pages.parts import data, filters, show, tables
from pages.parts.guard import enter

enter("layers")
st.title("Layers", anchor=False)
settings = data.settings_or_stop()
screen = data.screen_or_stop(settings, filters.chosen(settings))
show.source(screen)
if show.nothing(screen):
    st.stop()

metric, zone = screen.choices.metric, screen.zone
name = words.label(metric)
metrics = list(screen.settings.metrics)
rows = data.judged(screen, screen.chosen)
of = f"{screen.chosen.key} {metric}"
layers = data.layers(screen, metric)

single = layers[layers["layer"] != "all"]
show.finding(figures_pages.layers_sentence(single, metric))
show.caution(layers)
side_by_side = data.kept(f"side by side {of}", lambda: tables.layer_table(layers, rows))
show.table(side_by_side, f"Layers side by side, {name}", key="side_by_side")
st.caption(
    "Pooled over the pushes of campaigns that qualify and whose windows have closed, clustered by "
    "person. The layers share people: their extra events do not add up without counting some "
    "twice, and their intervals are not independent of each other."
)

grid = pd.concat([data.layers(screen, one) for one in metrics], ignore_index=True)
title = "Every metric in every layer"
show.chart(
    lambda theme: figures_pages.metric_layers(grid, theme=theme, title=""),
    alt=lambda: figures_pages.metric_layers_alt(grid, title=title),
    title=title,
    of=f"grid {screen.chosen.key}",
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
st.caption("Intervals as they are, not widened for looking at many; the verdicts below are.")

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

"""Campaign: did this one work, how sure are we, whom was it measured on?"""

import streamlit as st

from core.measure.holes import INCOMPLETE
from core.publish import alttext, figures, figures_pages
from pages.parts import campaign, conclusions, data, files, filters, show, tables, trust
from pages.parts.guard import enter

enter("campaign")
st.title("Campaign", anchor=False)
settings = data.settings_or_stop()
screen = data.screen_or_stop(settings, filters.chosen(settings))
show.source(screen)

campaign_id = campaign.pick(screen.loaded.campaigns, screen.zone)
if campaign_id is None:
    rows = tables.newest(data.judged(screen, screen.whole))
    of = f"newest {screen.whole.key} {screen.choices.metric} {screen.choices.method}"
    st.markdown("**Or choose one here, the newest first**")
    show.campaigns(rows, screen.zone, "The campaigns of the period", key="every", of=of)
    show.caution(rows)
    st.stop()
found = campaign.find(screen, campaign_id)
row, lifts, metric = found.row, found.lifts, screen.choices.metric

campaign.header(found, screen.zone)
campaign.answer(row, screen)
if screen.choices.method == "headline":
    conclusions.decision(screen, campaign_id)
campaign.strip(row)

st.subheader("Every metric", anchor=False)
metrics = list(screen.settings.metrics)
method = screen.choices.method
shown = tables.in_order(lifts, metrics, method)
title = figures_pages.takeaway(shown, "metrics")
if shown["effect_size"].notna().any():
    show.chart(
        lambda theme: figures.metrics_dots(shown, theme=theme, title=""),
        alt=lambda: alttext.metrics_dots(shown, title=title),
        title=title,
        of=f"metrics {found.part.key} {method}",
    )
else:
    st.write(f"{title}.")
show.as_table(
    lambda: tables.metric_table(lifts, metrics, method),
    "Every metric of this campaign",
    key="metric_table",
)

if row["lift_status"] != INCOMPLETE:  # of what is partly known, nothing is drawn
    st.subheader("Methods side by side", anchor=False)
    trust.methods(screen, lifts, metric)

    st.subheader("Around the push", anchor=False)
    campaign.around(screen, row, metric)
    trust.around_days(screen, campaign_id, metric)

    st.subheader("Can it be trusted?", anchor=False)
    trust.doubts(screen, campaign_id, metric)
    trust.other_choices(screen, campaign_id, metric)

campaign.earlier(screen, found)

st.subheader("This campaign as files", anchor=False)
files.offer(files.of_campaign(screen, found.part, campaign_id), key="campaign_files")

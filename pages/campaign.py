"""Campaign: did this one work, how sure are we, whom was it measured on?"""

import streamlit as st

from core.publish import alttext, figures, figures_pages
from pages.parts import campaign, data, files, filters, show, tables
from pages.parts.guard import enter

enter("campaign")
st.title("Campaign", anchor=False)
settings = data.settings_or_stop()
screen = data.screen_or_stop(settings, filters.chosen(settings))
show.source(screen)

everything = data.everything(screen)
campaign_id = campaign.pick(everything.campaigns, screen.zone)
if campaign_id is None:
    rows = tables.newest(data.judged(screen, everything))
    of = f"newest {everything.key} {screen.choices.metric}"
    st.markdown("**Or choose one here, the newest first**")
    show.campaigns(rows, screen.zone, "Every campaign that was read", key="every", of=of)
    show.caution(rows)
    st.stop()
found = campaign.find(screen, campaign_id)
row, lifts, metric = found.row, found.lifts, screen.choices.metric

campaign.header(found, screen.zone)
campaign.answer(row, screen)
campaign.strip(row)

st.subheader("Every metric", anchor=False)
metrics = list(screen.settings.metrics)
shown = tables.in_order(lifts, metrics)
title = figures_pages.takeaway(shown, "metrics")
show.chart(
    lambda theme: figures.metrics_dots(shown, theme=theme, title=""),
    alt=lambda: alttext.metrics_dots(shown, title=title),
    title=title,
    of=f"metrics {found.part.key}",
)
show.table(tables.metric_table(lifts, metrics), "Every metric of this campaign", key="metric_table")

st.subheader("Around the push", anchor=False)
campaign.around(screen, row, metric)

st.subheader("Can it be trusted?", anchor=False)
campaign.outliers(screen, campaign_id, metric)
campaign.methods(lifts, metric)

st.subheader("This campaign as files", anchor=False)
files.offer(files.of_campaign(screen, found.part, campaign_id), key="campaign_files")

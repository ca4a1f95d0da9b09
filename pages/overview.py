"""Overview: what the pushes of a period did, for whoever decides what to scale or stop."""

import streamlit as st

from core.publish import alttext, beside, figures, figures_pages, words
from pages.parts import conclusions, data, filters, numbers, pools, show, tables
from pages.parts.guard import enter
from pages.parts.plain import plain

enter("overview")
st.title("Overview", anchor=False)
settings = data.settings_or_stop()
screen = data.screen_or_stop(settings, filters.chosen(settings))
show.source(screen)
if show.nothing(screen):
    st.stop()

metric, method, zone = screen.choices.metric, screen.choices.method, screen.zone
name = words.label(metric)
rows = data.judged(screen, screen.chosen)
of = f"{screen.chosen.key} {metric} {method}"
layers = data.layers(screen, metric)
pooled = layers[layers["layer"] == "all"].iloc[0]

found = data.finding(screen)
show.finding(found.replace(f"; {words.limits(pooled)}.", "."))  # said below
before = data.previous(screen)
before_rows = None if before is None else data.judged(screen, before)
show.cards(
    numbers.overview(
        screen.chosen,
        rows,
        pooled,
        before=before,
        before_rows=before_rows,
        days=screen.period.length,
    )
)
misled = beside.misled(screen.chosen.layers, metric)
if misled and method == "headline":
    st.markdown(f":material/compare_arrows: {plain(misled)}")
if method == "headline":
    st.caption(f"Campaigns with a verdict by their evidence: {tables.rests_on(rows)}.")
show.caution(rows)

title = figures_pages.takeaway(layers[layers["layer"] != "all"], "layers")
show.chart(
    lambda theme: figures.forest(layers, theme=theme, title="", order="given"),
    alt=lambda: alttext.forest(layers, title=title),
    title=title,
    of=f"layers {of}",
)
weeks_long = screen.weeks
show.as_table(
    lambda: pools.layer_table(layers, rows, weeks=weeks_long),
    f"Layers by {name}",
    key="layers_open",
)

st.subheader("Campaigns that stand out", anchor=False)
st.caption(
    "Choose a row to open the campaign. Among many campaigns the highest and the lowest are partly "
    "luck: best guesses are drawn towards the mean of their layer, and the interval of a rank says "
    "how little a place may mean."
    if method == "headline"
    else "Choose a row to open the campaign. Estimates as they are: among many campaigns the "
    "highest and the lowest are partly luck, so they are sorted by the nearer end of their "
    "interval."
)
top, bottom = data.kept(f"standing out {of}", lambda: tables.standing_out(rows))
for part, heading, key in ((top, "Highest", "top"), (bottom, "Lowest", "bottom")):
    st.markdown(f"**{heading}**")
    frame = data.kept(f"{key} {of}", lambda: tables.standing_table(part, zone))  # noqa: B023
    show.chooser(frame, part, f"{heading} campaigns by {name}", key=key)

weeks = data.kept(f"weekly {of}", lambda: tables.weeks(screen.chosen.weeks, metric, zone, method))
if len(weeks) > 1:
    title = f"Week by week: {figures_pages.takeaway(weeks, 'weeks')}"
    show.chart(
        lambda theme: figures.lift_by_week(weeks, theme=theme, title=""),
        alt=lambda: alttext.lift_by_week(weeks, title=title),
        title=title,
        of=f"weeks {of}",
    )
    show.as_table(lambda: tables.week_table(weeks), f"{name} week by week", key="weeks_open")
    st.caption("Weeks begin on Monday; a campaign counts in the week of its first delivery.")

if method == "headline":
    st.subheader("What it comes to", anchor=False)
    concluded = conclusions.found_or_wait(screen)
    if concluded is not None:
        conclusions.standing(screen, concluded)
        st.subheader("What to do next", anchor=False)
        conclusions.what_next(screen, concluded)
        st.subheader("Against the period before", anchor=False)
        conclusions.against_before(screen, concluded)

every = st.expander(f"All {len(rows)} campaigns", key="every", on_change="rerun")
if every.open:
    with every:
        ranked = data.kept(f"ranked {of}", lambda: tables.ranked(rows))
        show.campaigns(ranked, zone, f"All campaigns by {name}", key="all", of=f"all {of}")

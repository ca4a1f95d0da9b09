"""Data quality: from rows to measured users, what is missing and why, what reading cost."""

import streamlit as st

from core.publish import alttext, beside, figures
from pages.parts import data, filters, ledgers, numbers, show, soundness, trust
from pages.parts.guard import enter
from pages.parts.plain import plain

enter("quality")
st.title("Data quality", anchor=False)
settings = data.settings_or_stop()
screen = data.screen_or_stop(settings, filters.chosen(settings))
show.source(screen)
if show.nothing(screen):
    st.stop()

campaigns, zone = screen.chosen.campaigns, screen.zone
rows = data.judged(screen, screen.chosen)
show.finding(ledgers.mapping_sentence(campaigns))
soundness.alerts(screen)
show.cards(numbers.quality(campaigns, rows))

st.subheader("How good the data is", anchor=False)
soundness.scores(screen, rows)

st.subheader("From rows to measured users", anchor=False)
steps = ledgers.ledger_steps(campaigns)
title = ledgers.losses(campaigns)
show.chart(
    lambda theme: figures.ledger_bars(steps, theme=theme, title=""),
    alt=lambda: alttext.ledger_bars(steps, title=title),
    title=title,
    of=f"ledger {screen.chosen.key}",
)
show.table(ledgers.ledger_table(campaigns), "From rows to measured users", key="ledger_table")
by_layer = st.expander("The same by layer", key="by_layer", on_change="rerun")
if by_layer.open:
    with by_layer:
        show.table(ledgers.ledger_by_layer(campaigns), "The ledger by layer", key="layer_ledger")

st.subheader("Events by day", anchor=False)
soundness.days(screen)

st.subheader("Against PostHog's own totals", anchor=False)
soundness.native(screen)

st.subheader("Campaigns without a verdict", anchor=False)
left_out = ledgers.not_measured(rows, zone)
if left_out.empty:
    st.write("None: every campaign qualifies and its windows have closed.")
else:
    show.table(left_out, "Campaigns without a verdict and why", key="left_out", height="auto")

st.subheader("Self-checks: does it find effects where nothing was sent?", anchor=False)
checks = screen.chosen.checks
st.markdown(f"**{plain(beside.checks_sentence(checks))}**")
if len(checks):
    show.table(ledgers.check_table(checks), "Self-checks by layer and method", key="checks")
    st.caption(
        "The same comparisons, one to four weeks before each push, what set it off applied again. "
        "An honest test at 5 % finds an effect in 5 of 100. Spread is 1 where intervals are as "
        "wide as they should be; where it is larger than 1.2, a comparison's intervals are "
        "multiplied by it and its grade drops a letter. A randomised holdout is never widened."
    )
trust.by_campaign(screen, rows)

st.subheader("What the reader should know", anchor=False)
for notice in screen.loaded.notices:
    st.markdown(f"- {plain(notice)}")
if not screen.loaded.notices:
    st.write("Nothing: no row was refused, no file was broken, no status was unknown.")

st.subheader("Runs", anchor=False)
soundness.runs(screen)

st.subheader("What reading cost", anchor=False)
usage = numbers.usage(screen.loaded.usage)
if usage:
    show.cards(usage)
else:
    st.write("The activity was read from files: no requests, nothing counted against limits.")
show.table(ledgers.sources(screen.loaded), "Where the data came from", key="sources")
show.table(ledgers.seconds(screen.loaded.seconds), "Seconds of each step", key="seconds")
if st.button("Read everything again", icon=":material/sync:", key="again"):
    data.read_again(settings)
    st.rerun()

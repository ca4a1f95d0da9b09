"""Reports: what is on screen, to take away."""

import streamlit as st

from pages.parts import conclusions, data, files, filters, show, tables
from pages.parts.guard import enter

enter("reports")
st.title("Reports", anchor=False)
settings = data.settings_or_stop()
screen = data.screen_or_stop(settings, filters.chosen(settings))
show.source(screen)
if show.nothing(screen):
    st.stop()

show.finding(data.finding(screen))
concluded = conclusions.found_or_wait(screen)
if concluded is not None:
    conclusions.standing(screen, concluded)

st.subheader("To take away", anchor=False)
st.markdown("The numbers of every page, for the filters above, made when you ask for them:")
single, whole = files.parted(files.of_screen(screen))
files.offer(whole, key="files")
with st.expander(f"Single tables, {len(single)} CSV files", expanded=True):
    files.offer(single, key="tables")
st.caption(
    "In CSV, text that a spreadsheet would take for a formula begins with an apostrophe. Instants "
    "are UTC. "
    "The letters in a file's name change whenever a number in it does."
)

st.subheader("What the files state about themselves", anchor=False)
show.table(tables.pairs(files.about(screen)), "Settings and definitions in every file", key="about")

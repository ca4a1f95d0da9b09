"""Method: how a number comes about, what it rests on, and what it does not show."""

import streamlit as st

from pages.parts import data, filters, method, show, tables
from pages.parts.guard import enter

enter("method")
st.title("Method", anchor=False)
settings = data.settings_or_stop()
choices = filters.chosen(settings)

show.finding(method.in_a_sentence(settings))
st.markdown(method.steps(settings, choices), width=method.WIDTH)

st.subheader("How good is the comparison?", anchor=False)
st.markdown(
    "A number is only as good as what it is compared with, so every number carries a grade. Only "
    "A and B allow to say what a push *did*; the others say what came *after* it.",
    width=method.WIDTH,
)
show.table(method.grades(), "Evidence grades from A to E", key="grades")

st.subheader("What plain before and after does not show", anchor=False)
st.markdown(method.LIMITS, width=method.WIDTH)
show.table(method.error_rates(), "False alarms of plain before and after", key="error_rates")
st.caption("Simulated, without any effect; an honest 5 % test would alarm in 5 of 100.")

st.subheader("One number, step by step", anchor=False)
screen = data.screen_or_stop(settings, choices)
example = tables.example(data.judged(screen, screen.chosen))
if example is None:
    st.write("No campaign of the chosen period has a number to explain.")
else:
    st.markdown(method.worked(example, screen.rules), width=method.WIDTH)

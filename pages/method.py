"""Method: how a number comes about, what it rests on, and what it does not show."""

import streamlit as st

from pages.parts import calibration, data, filters, method, show, tables
from pages.parts.guard import enter

enter("method")
st.title("Method", anchor=False)
settings = data.settings_or_stop()
choices = filters.chosen(settings)

show.finding(method.in_a_sentence(settings))
st.markdown(method.steps(settings, choices), width=method.WIDTH)

st.subheader("How good is the comparison?", anchor=False)
st.markdown(
    "A number is only as good as what it is compared with, so every number carries a grade. A and "
    "B allow to say what a push *did*, C what it *likely* did; D and E say what came *after* it.",
    width=method.WIDTH,
)
show.table(method.grades(), "Evidence grades from A to E", key="grades")
st.markdown(method.METHODS, width=method.WIDTH)

st.subheader("How often is it wrong?", anchor=False)
measured = calibration.calibration()
if measured is None:
    st.write(
        "Not measured for this version: the file docs/calibration.csv, which "
        "benchmarks.calibration writes, is not there. What was measured on your own data stands "
        "on Data quality."
    )
else:
    st.markdown(
        "Measured on simulated worlds in which the truth is known. Without an effect, an honest "
        "test at 5 % alarms in 5 of 100 runs, and 95 % intervals should hold the truth in 95 of "
        "100; ± is the simulation's own standard error.",
        width=method.WIDTH,
    )
    show.table(
        calibration.calibration_table(measured), "False alarms and coverage", key="calibration",
        height="auto",
    )  # fmt: skip
st.caption("The same check on your own data, where nothing was sent, stands on Data quality.")

st.subheader("What the numbers do not show", anchor=False)
st.markdown(method.LIMITS, width=method.WIDTH)

st.subheader("One number, step by step", anchor=False)
screen = data.screen_or_stop(settings, choices)
example = tables.example(data.judged(screen, screen.chosen))
if example is None:
    st.write("No campaign of the chosen period has a number to explain.")
else:
    before = tables.plain_row(screen.chosen.lifts, example)
    st.markdown(method.worked(example, before, screen.rules), width=method.WIDTH)

"""What stands where something is not there yet, or cannot be: progress, errors, empty slots."""

from __future__ import annotations

import math
from collections.abc import Hashable
from datetime import timedelta
from typing import Any, NoReturn

import streamlit as st

from core.publish import formats
from pages.parts.jobs import Failure, Jobs, Standing, View
from pages.parts.plain import plain

_EVERY = "1s"
_SLOTS = 4


# core's sentences name options of the command line
_ON_SCREEN = {"--since": "the first day", "--until": "the last day", "--as-of": "now"}


def sentence(text: str) -> None:
    """Show what is wrong and what to do; the text may hold anything."""
    for option, said in _ON_SCREEN.items():
        text = text.replace(option, said)
    st.error(plain(text), icon=":material/error:")


def progress_and_stop(jobs: Jobs[Any], key: Hashable, view: View[Any]) -> NoReturn:
    """Draw how far the work has come, or how it failed, above empty slots; then stop the page.

    Filters and navigation stay usable: the work goes on whatever is clicked.
    """
    if view.failure is not None:
        _failed(jobs, key, view.failure)
    else:
        _progress(jobs, key)
        _empty_slots()
    st.stop()


def in_place(jobs: Jobs[Any], key: Hashable, view: View[Any]) -> None:
    """Draw, where a part of a page will be, how far it has come or that it cannot be had."""
    if view.failure is not None:
        st.warning(plain(view.failure.sentence), icon=":material/error:")
    else:
        _part(jobs, key)


def renewal(jobs: Jobs[Any], key: Hashable, view: View[Any]) -> None:
    """Say below a page that what it shows is being read again, or that doing so failed."""
    if view.standing is not None:
        _renewing(jobs, key)
    elif view.failure is not None:
        st.warning(
            f"{plain(view.failure.sentence)} What is shown was read "
            f"{_ago(view.seconds_old)} and still stands.",
            icon=":material/sync_problem:",
        )


@st.fragment(run_every=_EVERY)
def _progress(jobs: Jobs[Any], key: Hashable) -> None:
    standing = jobs.look(key).standing
    if standing is None:
        st.rerun()
    with st.container(border=True):
        st.progress(standing.share, text=f"**{plain(standing.step)}**{_counts(standing)}")
        st.caption(
            f"{_spent(standing)} This page fills in by itself; the filters and the other pages "
            "can be used meanwhile."
        )


@st.fragment(run_every="2s")
def _renewing(jobs: Jobs[Any], key: Hashable) -> None:
    standing = jobs.look(key).standing
    if standing is None:
        st.rerun()
    st.caption(f":material/sync: Reading again: {plain(standing.step)}{_counts(standing)}")


@st.fragment(run_every="2s")
def _part(jobs: Jobs[Any], key: Hashable) -> None:
    standing = jobs.look(key).standing
    if standing is None:
        st.rerun()
    st.caption(f":material/hourglass_empty: {plain(standing.step)}. {_spent(standing)}")
    st.skeleton(height=160)


def _failed(jobs: Jobs[Any], key: Hashable, failure: Failure) -> None:
    sentence(failure.sentence)
    st.caption("Nothing can be computed until this is solved; the filters and Method still work.")
    _retry(jobs, key)


@st.fragment(run_every=_EVERY)
def _retry(jobs: Jobs[Any], key: Hashable) -> None:
    failure = jobs.look(key).failure
    if failure is None:  # another session has begun anew
        st.rerun()
    seconds = math.ceil(failure.seconds_to_wait)
    label = f"Try again in {seconds} s" if seconds else "Try again"
    if st.button(label, icon=":material/refresh:", key="retry", disabled=seconds > 0):
        st.rerun()


def _empty_slots() -> None:
    with st.grid(_SLOTS, min_column_width=180):
        for _ in range(_SLOTS):
            st.skeleton(height=96)
    st.skeleton(height=320)


def _counts(standing: Standing) -> str:
    if standing.total <= 1:
        return ""
    return f": {formats.count(standing.done)} of {formats.count(standing.total)}"


def _spent(standing: Standing) -> str:
    spent = f"{standing.seconds:.0f} s so far"
    if standing.seconds_left is None:
        return f"{spent}."
    return f"{spent}, about {max(1, round(standing.seconds_left))} s left in this step."


def _ago(seconds: float) -> str:
    return "just now" if seconds < 1 else f"{formats.duration(timedelta(seconds=seconds))} ago"

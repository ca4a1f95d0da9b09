"""Tests of the fetch plan: coverage, no overlap, nothing settled asked for twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from core.activity.plan import (
    CLOCK_SLACK,
    MS_PER_SECOND,
    Plan,
    Rules,
    Slice,
    cut,
    halves,
    plan_fetch,
    whole_days,
)
from core.activity.source import Period
from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR

EPOCH_DAY = 20_600
FIRST = EPOCH_DAY * MS_PER_DAY
HOURS = 20 * 24
NOW = FIRST + 15 * MS_PER_DAY + 45_296_789


def _rules(now: int = NOW, *, slice_days: int = 7, refresh: bool = False) -> Rules:
    return Rules(now=now, slice_days=slice_days, settle_hours=72, refresh=refresh)


def _slice(start: int, end: int, fetched_at: int) -> Slice:
    return Slice(start=start, end=end, fetched_at=fetched_at)


@st.composite
def _slices(draw: st.DrawFn) -> Slice:
    start = draw(st.integers(0, HOURS - 1))
    end = draw(st.integers(start + 1, min(start + 9 * 24, HOURS)))
    fetched = draw(st.integers(-30 * 3600, 8 * 86400)) * MS_PER_SECOND
    return _slice(
        FIRST + start * MS_PER_HOUR, FIRST + end * MS_PER_HOUR, FIRST + end * MS_PER_HOUR + fetched
    )


@st.composite
def _periods(draw: st.DrawFn) -> Period:
    start = draw(st.integers(0, HOURS * 3600 - 1)) * MS_PER_SECOND
    end = draw(st.integers(start // 1000, HOURS * 3600)) * MS_PER_SECOND
    return Period(FIRST + start, FIRST + end)


_PLANS = given(
    wanted=_periods(),
    stored=st.lists(_slices(), max_size=8),
    now=st.integers(FIRST, FIRST + HOURS * MS_PER_HOUR),
    slice_days=st.integers(1, 8),
    refresh=st.booleans(),
)
_MANY = settings(max_examples=200, deadline=None, derandomize=True)


def _tiles(plan: Plan) -> list[tuple[int, int]]:
    return sorted([(u.start, u.end) for u in plan.uses] + [(g.start, g.end) for g in plan.gaps])


@_MANY
@_PLANS
def test_plan_fetch_covers_every_instant_exactly_once(
    wanted: Period, stored: list[Slice], now: int, slice_days: int, *, refresh: bool
) -> None:
    plan = plan_fetch(wanted, stored, _rules(now, slice_days=slice_days, refresh=refresh))
    tiles = _tiles(plan)
    assert all(start < end for start, end in tiles)
    edges = [wanted.start, *(end for _, end in tiles)]
    assert [start for start, _ in tiles] == edges[:-1]
    assert edges[-1] == wanted.end or not tiles
    assert bool(tiles) == (wanted.start < wanted.end)


@_MANY
@_PLANS
def test_plan_fetch_never_asks_for_what_is_settled(
    wanted: Period, stored: list[Slice], now: int, slice_days: int, *, refresh: bool
) -> None:
    rules = _rules(now, slice_days=slice_days, refresh=refresh)
    settled = [
        known
        for known in stored
        if known.end <= known.fetched_at - 72 * MS_PER_HOUR and known.fetched_at <= now
    ]
    plan = plan_fetch(wanted, stored, rules)
    for gap in plan.gaps:
        assert not any(known.start < gap.end and gap.start < known.end for known in settled)


@_MANY
@_PLANS
def test_plan_fetch_uses_only_slices_that_stand(
    wanted: Period, stored: list[Slice], now: int, slice_days: int, *, refresh: bool
) -> None:
    plan = plan_fetch(wanted, stored, _rules(now, slice_days=slice_days, refresh=refresh))
    for use in plan.uses:
        assert use.slice in stored
        assert use.slice.start <= use.start < use.end <= use.slice.end
        assert use.slice.fetched_at <= now + CLOCK_SLACK
        if use.slice.end > use.slice.fetched_at - 72 * MS_PER_HOUR:
            assert not refresh
            assert now - use.slice.fetched_at < MS_PER_HOUR


@_MANY
@_PLANS
def test_plan_fetch_cuts_gaps_at_midnights_and_where_settled_time_ends(
    wanted: Period, stored: list[Slice], now: int, slice_days: int, *, refresh: bool
) -> None:
    rules = _rules(now, slice_days=slice_days, refresh=refresh)
    plan = plan_fetch(wanted, stored, rules)
    ends = {known.start for known in stored} | {wanted.end}
    for gap in plan.gaps:
        assert gap.end - gap.start <= slice_days * MS_PER_DAY
        assert gap.end % MS_PER_DAY == 0 or gap.end in ends
        assert not gap.start < rules.settled_until < gap.end


@settings(max_examples=100, deadline=None, derandomize=True)
@given(now=st.integers(FIRST, FIRST + 7 * MS_PER_DAY), offset=st.integers(0, MS_PER_DAY))
def test_plan_fetch_asks_at_most_fifteen_times_for_ninety_days(now: int, offset: int) -> None:
    period = Period(now - 90 * MS_PER_DAY - offset, now - offset)
    plan = plan_fetch(whole_days(period, now), [], _rules(now))
    assert len(plan.gaps) <= 15


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    first=st.integers(FIRST, FIRST + MS_PER_DAY),
    steps=st.lists(st.integers(MS_PER_HOUR, 30 * MS_PER_HOUR), min_size=1, max_size=12),
)
def test_plan_fetch_on_later_days_asks_only_for_what_had_not_settled(
    first: int, steps: list[int]
) -> None:
    now, stored = first, list[Slice]()
    start = first - 60 * MS_PER_DAY
    for step in (0, *steps):
        earlier, now = now, now + step
        plan = plan_fetch(whole_days(Period(start, now), now), stored, _rules(now))
        if step:
            assert len(plan.gaps) <= 3
            assert all(gap.start >= _rules(earlier).settled_until for gap in plan.gaps)
        stored += [_slice(gap.start, gap.end, now) for gap in plan.gaps]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    first=st.integers(FIRST, FIRST + MS_PER_DAY),
    steps=st.lists(st.integers(MS_PER_HOUR, 60 * MS_PER_HOUR), min_size=1, max_size=8),
    slice_days=st.integers(1, 8),
)
def test_plan_fetch_on_a_further_day_asks_for_that_day_and_the_unsettled_and_nothing_else(
    first: int, steps: list[int], slice_days: int
) -> None:
    start = first - 30 * MS_PER_DAY
    now, stored = first, list[Slice]()
    for step in (0, *steps):
        rules = _rules(now, slice_days=slice_days)
        wanted = whole_days(Period(start, now + step), now + step)
        gaps = plan_fetch(wanted, stored, replace(rules, now=now + step)).gaps
        asked = [(gaps[0].start, gaps[-1].end)]
        assert all(one.end == other.start for one, other in pairwise(gaps))
        assert asked == [(rules.settled_until if stored else wanted.start, wanted.end)]
        now += step
        stored += [_slice(gap.start, gap.end, now) for gap in gaps]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    jumps=st.lists(st.integers(-5 * MS_PER_DAY, 3 * MS_PER_DAY), min_size=2, max_size=10),
    slice_days=st.integers(1, 8),
)
def test_plan_fetch_by_a_clock_that_jumps_believes_nothing_from_the_future(
    jumps: list[int], slice_days: int
) -> None:
    now, stored = NOW, list[Slice]()
    for jump in jumps:
        now += jump
        rules = _rules(now, slice_days=slice_days)
        wanted = whole_days(Period(FIRST, now), now)
        plan = plan_fetch(wanted, stored, rules)
        assert _tiles(plan)[-1:] == [(t, wanted.end) for t, _ in _tiles(plan)[-1:]]
        for use in plan.uses:
            assert use.slice.fetched_at <= now + CLOCK_SLACK
            age = now - use.slice.fetched_at
            is_final = use.slice.end + 72 * MS_PER_HOUR <= use.slice.fetched_at
            assert is_final or age < MS_PER_HOUR
        stored += [_slice(gap.start, gap.end, now) for gap in plan.gaps]


def test_plan_fetch_with_everything_kept_asks_for_nothing() -> None:
    wanted = whole_days(Period(FIRST, NOW), NOW)
    gaps = plan_fetch(wanted, [], _rules()).gaps
    stored = [_slice(gap.start, gap.end, NOW) for gap in gaps]
    later = _rules(NOW + MS_PER_HOUR - 1)
    assert plan_fetch(wanted, stored, later).gaps == ()


def test_plan_fetch_after_the_time_to_live_asks_for_the_unsettled_again() -> None:
    wanted = whole_days(Period(FIRST, NOW), NOW)
    stored = [_slice(g.start, g.end, NOW) for g in plan_fetch(wanted, [], _rules()).gaps]
    later = plan_fetch(wanted, stored, _rules(NOW + MS_PER_HOUR))
    assert later.gaps == (Period(_rules().settled_until, wanted.end),)
    refreshed = plan_fetch(wanted, stored, _rules(refresh=True))
    assert refreshed.gaps == later.gaps


def test_plan_fetch_prefers_a_settled_slice_inside_a_young_one() -> None:
    young = _slice(FIRST + 10 * MS_PER_DAY, FIRST + 15 * MS_PER_DAY, NOW)
    settled = _slice(FIRST + 11 * MS_PER_DAY, FIRST + 12 * MS_PER_DAY, NOW)
    plan = plan_fetch(Period(young.start, young.end), [young, settled], _rules())
    assert [use.slice for use in plan.uses] == [young, settled, young]


def test_plan_fetch_does_not_believe_a_slice_from_the_future() -> None:
    known = _slice(FIRST, FIRST + MS_PER_DAY, NOW + 2 * MS_PER_DAY)
    plan = plan_fetch(Period(known.start, known.end), [known], _rules())
    assert plan.uses == ()


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (FIRST, FIRST + MS_PER_DAY, (FIRST, FIRST + MS_PER_DAY)),
        (FIRST + 1, FIRST + MS_PER_DAY + 1, (FIRST, FIRST + 2 * MS_PER_DAY)),
        (FIRST, NOW, (FIRST, NOW - 789 + 1000)),
        (NOW + 5 * MS_PER_DAY, NOW + 9 * MS_PER_DAY, None),
    ],
)
def test_whole_days_ends_at_midnight_or_the_second_after_now(
    start: int, end: int, expected: tuple[int, int] | None
) -> None:
    period = whole_days(Period(start, end), NOW)
    if expected is None:
        assert period.start == period.end
    else:
        assert (period.start, period.end) == expected


@given(seconds=st.integers(0, 700_000))
@settings(deadline=None, derandomize=True)
def test_halves_cut_at_a_whole_second_until_one_is_left(seconds: int) -> None:
    period = Period(FIRST, FIRST + seconds * MS_PER_SECOND)
    parts = halves(period)
    assert (parts is None) == (seconds < 2)
    assume(parts is not None)
    first, second = parts or (period, period)
    assert (first.start, first.end, second.end) == (period.start, second.start, period.end)
    assert first.end % MS_PER_SECOND == 0
    assert abs((first.end - first.start) - (second.end - second.start)) <= MS_PER_SECOND


def test_cut_of_a_gap_that_begins_within_a_day_ends_at_midnight() -> None:
    pieces = cut(Period(FIRST + 5, FIRST + 3 * MS_PER_DAY), _rules(slice_days=1))
    assert _ends(pieces) == [FIRST + n * MS_PER_DAY for n in (1, 2, 3)]


def _ends(pieces: Sequence[Period]) -> list[int]:
    return [piece.end for piece in pieces]

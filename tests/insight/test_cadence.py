"""Planned sends against what was sent."""

from datetime import UTC, datetime, time, timedelta

import numpy as np
import pytest

from core.insight.cadence import MISSED, MOVED, ON_PLAN, OPEN, WeeklyPlan, is_on_plan, slots_of
from core.measure.windows import NEVER

NEW_YORK = WeeklyPlan(automation_id="hot", weekday=1, at=time(9), timezone="America/New_York")


def ms(*when):
    return int(datetime(*when, tzinfo=UTC).timestamp() * 1000)


def september(first, *, as_of=(2026, 10, 1), plan=NEW_YORK):
    return slots_of(
        plan, np.array(first, dtype=np.int64), since_ms=ms(2026, 9, 1), until_ms=ms(2026, 9, 30),
        as_of_ms=ms(*as_of),
    )  # fmt: skip


def test_slots_of_hold_every_planned_week_of_the_period():
    found = september([])
    assert found.starts.tolist() == [ms(2026, 9, day, 13) for day in (1, 8, 15, 22, 29)]
    assert found.states == (MISSED, MISSED, MISSED, MISSED, OPEN)
    assert (found.sends == -1).all()


def test_slots_of_keep_the_local_time_when_clocks_change():
    found = slots_of(
        NEW_YORK, np.empty(0, dtype=np.int64), since_ms=ms(2026, 10, 26), until_ms=ms(2026, 11, 9),
        as_of_ms=ms(2026, 12, 1),
    )  # fmt: skip
    assert found.starts.tolist() == [ms(2026, 10, 27, 13), ms(2026, 11, 3, 14)]


def test_slots_of_tell_on_plan_moved_and_missed():
    first = [ms(2026, 9, 1, 13, 5), ms(2026, 9, 9, 15), ms(2026, 9, 22, 11), ms(2026, 9, 29, 12, 1)]
    found = september(first)
    assert found.states == (ON_PLAN, MOVED, MISSED, MOVED, ON_PLAN)
    assert found.sends.tolist() == [0, 1, -1, 2, 3]
    assert found.hours_late[[0, 1, 3]] == pytest.approx([1 / 12, 26, -2])
    assert np.isnan(found.hours_late[2])


def test_slots_of_give_a_week_to_the_nearest_of_two_sends():
    found = september([ms(2026, 9, 8, 13), ms(2026, 9, 10, 13)])
    assert found.states[1] == ON_PLAN
    assert found.sends[1] == 0
    assert 1 not in found.sends.tolist()


def test_slots_of_wait_half_a_week_for_a_late_send():
    assert september([], as_of=(2026, 9, 11)).states[1:] == (OPEN, OPEN, OPEN, OPEN)
    assert september([], as_of=(2026, 9, 13)).states[1] == MISSED


def test_slots_of_a_plan_without_time_take_the_whole_day():
    plan = WeeklyPlan(automation_id="hot", weekday=1, at=None, timezone="America/New_York")
    found = september([ms(2026, 9, 9, 3, 59), ms(2026, 9, 16, 4)], plan=plan)
    assert found.states[1:3] == (ON_PLAN, MOVED)


def test_slots_of_a_send_that_was_never_delivered_is_none():
    assert september([NEVER]).states[0] == MISSED


def test_is_on_plan_says_it_of_each_send():
    instants = np.array([ms(2026, 9, 1, 13), NEVER, ms(2026, 9, 2, 13), ms(2026, 9, 8, 13, 59)])
    assert is_on_plan(NEW_YORK, instants) == [True, None, False, True]
    assert is_on_plan(NEW_YORK, np.array([NEVER])) == [None]


def test_slots_of_every_send_within_tolerance_are_on_plan():
    rng = np.random.default_rng(1)
    planned = [datetime(2026, 9, day, 13, tzinfo=UTC) for day in (1, 8, 15, 22, 29)]
    moved = [at + timedelta(minutes=int(rng.integers(-60, 61))) for at in planned]
    found = september([int(at.timestamp() * 1000) for at in moved])
    assert found.states == (ON_PLAN,) * 5

"""The plan of automations that send weekly, against what was sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR, Int64
from core.measure.ratios import Floats
from core.measure.windows import NEVER

TOLERANCE_MS = MS_PER_HOUR
"""A first delivery this much before or after its time is still on plan."""
ON_PLAN, MOVED, MISSED, OPEN = "on_plan", "moved", "missed", "open"
HALF_WEEK_MS = 7 * MS_PER_DAY // 2
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeeklyPlan:
    """When an automation is to send each week.

    Attributes:
        automation_id: The automation.
        weekday: 0 is Monday.
        at: Local time; None: any time of the day.
        timezone: Of both.
    """

    automation_id: str
    weekday: int
    at: time | None
    timezone: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Slots:
    """The planned sends of one automation, one entry each, in order of time.

    Attributes:
        plan: The plan.
        starts: Int64[slots], planned instant, milliseconds UTC; the day's start where any time is.
        ends: Int64[slots], until when a first delivery is on plan.
        begins: Int64[slots], from when it is.
        states: on_plan, moved, missed or open.
        sends: Int64[slots], place among the automation's sends of what was sent for it; -1 where
            nothing was.
        hours_late: First delivery less plan, NaN where nothing was sent.
    """

    plan: WeeklyPlan
    starts: Int64
    begins: Int64
    ends: Int64
    states: tuple[str, ...]
    sends: Int64
    hours_late: Floats


def slots_of(
    plan: WeeklyPlan, first_delivered: Int64, *, since_ms: int, until_ms: int, as_of_ms: int
) -> Slots:
    """Return every planned send of a period, and what was sent for it.

    A send belongs to the planned instant nearest to it; of several the nearest counts, the others
    are beyond the plan. Until half a week past its time a send that is not there may still come.

    Args:
        plan: Weekday and time.
        first_delivered: First delivery of each send of the automation, NEVER where none was.
        since_ms: Beginning of the period.
        until_ms: End of it, itself outside.
        as_of_ms: What is later is not known.
    """
    starts, lasts = _planned(plan, since_ms, until_ms)
    begins, ends = starts - TOLERANCE_MS, starts + TOLERANCE_MS
    if plan.at is None:
        begins, ends = starts, starts + lasts - 1
    sends = np.full(len(starts), -1, dtype=np.int64)
    late = np.full(len(starts), np.nan)
    if len(first_delivered):
        sends, late = _matched(starts, begins, ends, first_delivered)
    states = []
    for place, send in enumerate(sends.tolist()):
        if send < 0:
            is_open = as_of_ms < ends[place] + HALF_WEEK_MS
            states.append(OPEN if is_open else MISSED)
        else:
            at = first_delivered[send]
            states.append(ON_PLAN if begins[place] <= at <= ends[place] else MOVED)
    return Slots(
        plan=plan, starts=starts, begins=begins, ends=ends, states=tuple(states), sends=sends,
        hours_late=late,
    )  # fmt: skip


def is_on_plan(plan: WeeklyPlan, instants: Int64) -> list[bool | None]:
    """Say of each first delivery whether it was on plan; None where nothing was delivered."""
    sent = instants[instants != NEVER]
    if not len(sent):
        return [None] * len(instants)
    week = 7 * MS_PER_DAY
    slots = slots_of(
        plan, instants, since_ms=int(sent.min()) - week, until_ms=int(sent.max()) + week,
        as_of_ms=int(sent.max()),
    )  # fmt: skip
    on = (slots.begins[:, None] <= instants) & (instants <= slots.ends[:, None])
    n_hits = np.count_nonzero(on, axis=0)
    return [None if at == NEVER else bool(n) for at, n in zip(instants, n_hits, strict=True)]


def _planned(plan: WeeklyPlan, since_ms: int, until_ms: int) -> tuple[Int64, Int64]:
    """Return the planned instants of a period, and how long their local days last."""
    zone = ZoneInfo(plan.timezone)
    first = (_EPOCH + timedelta(milliseconds=since_ms)).astimezone(zone).date()
    day = first + timedelta(days=(plan.weekday - first.weekday()) % 7 - 7)
    found: list[tuple[int, int]] = []
    while (at := _instant(day, plan.at or time(), zone)) < until_ms:
        if at >= since_ms:
            start, end = (_instant(day + timedelta(days=n), time(), zone) for n in (0, 1))
            found.append((at, end - start))
        day += timedelta(days=7)
    both = np.array(found, dtype=np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def _instant(day: date, at: time, zone: ZoneInfo) -> int:
    local = datetime.combine(day, at, zone).astimezone(UTC)
    return (local - _EPOCH) // timedelta(milliseconds=1)


def _matched(
    starts: Int64, begins: Int64, ends: Int64, first_delivered: Int64
) -> tuple[Int64, Floats]:
    """Return the send of each planned instant, -1 where there is none, and how late it was."""
    early, late_by = begins[:, None] - first_delivered, first_delivered - ends[:, None]
    away = np.maximum(np.maximum(early, late_by), 0)
    away = np.where(first_delivered == NEVER, np.iinfo(np.int64).max, away)
    sends = np.full(len(starts), -1, dtype=np.int64)
    late = np.full(len(starts), np.nan)
    if not len(starts):
        return sends, late
    own = away.argmin(axis=0)
    near = away[own, np.arange(len(first_delivered))]
    for slot in range(len(starts)):
        mine = np.flatnonzero((own == slot) & (near <= HALF_WEEK_MS))
        if len(mine):
            sends[slot] = mine[near[mine].argmin()]
            late[slot] = (first_delivered[sends[slot]] - starts[slot]) / MS_PER_HOUR
    return sends, late

"""Planned sends against what was sent: the table of a load's weekly automations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import time

import numpy as np
import pandas as pd

from core.activity.timelines import Int64
from core.insight.cadence import HALF_WEEK_MS, WeeklyPlan, is_on_plan, slots_of
from core.insight.costs import KINDS, Ground, basis_of, cost_of
from core.insight.frames import CADENCE
from core.insight.groups import Sample
from core.insight.labels import NO_LABEL, WEEKDAYS, Labels
from core.loading import Loaded, milliseconds
from core.measure.windows import NEVER
from core.span import to_ms

_TYPES = {
    "automation_id": "str", "state": "str", "campaign_id": "str", "hours_late": "float64",
    "why": "str",
}  # fmt: skip


def weekly_plans(loaded: Loaded) -> dict[str, WeeklyPlan]:
    """Return the plan of each automation that is to send on a weekday."""
    zone = loaded.wiring.settings.analysis.timezone
    found = {}
    for key, automation in loaded.automations.items():
        schedule = automation.schedule
        if schedule is None or schedule.weekday is None:
            continue
        found[key] = WeeklyPlan(
            automation_id=key,
            weekday=[day.lower() for day in WEEKDAYS].index(schedule.weekday),
            at=time.fromisoformat(schedule.time) if schedule.time else None,
            timezone=schedule.timezone or zone,
        )
    return found


def plan_labels(loaded: Loaded, plans: Mapping[str, WeeklyPlan]) -> Labels:
    """Return whether each campaign was sent on its automation's plan, where it has one."""
    campaigns = loaded.campaigns
    first = milliseconds(campaigns["first_delivered_at"])
    codes = np.full(len(campaigns), NO_LABEL, dtype=np.int64)
    for key, plan in plans.items():
        own = np.flatnonzero(campaigns["automation_id"] == key)
        codes[own] = [
            NO_LABEL if flag is None else int(not flag) for flag in is_on_plan(plan, first[own])
        ]
    return Labels(names=KINDS, codes=codes, positions=(np.nan, np.nan))


def cadence_table(
    loaded: Loaded,
    plans: Mapping[str, WeeklyPlan],
    samples: Sequence[Sample],
    *,
    codes: Int64,
    kinds: Labels,
    confidence_level: float,
    say: Callable[[Ground], str],
) -> pd.DataFrame:
    """Return frames.CADENCE: every planned send of the period, and what straying from it cost.

    Args:
        loaded: What was read.
        plans: Of the automations; those that sent nothing in the period are left out, and of the
            others what was planned before their first send: the plan may be no older.
        samples: Measured effects on the primary metric, of each layer.
        codes: The campaigns that are looked at.
        kinds: As `plan_labels`.
        confidence_level: Of the intervals.
        say: Puts what a cost rests on into words.
    """
    rows = [
        row
        for plan in plans.values()
        for row in _of_plan(loaded, plan, samples, codes, kinds, confidence_level, say)
    ]
    if not rows:
        return CADENCE.empty()
    table = pd.DataFrame(rows).astype(_TYPES)
    planned = pd.to_datetime(table["planned_at"], unit="ms", utc=True).dt.as_unit("ms")
    return CADENCE.checked(table.assign(planned_at=planned))


def _of_plan(
    loaded: Loaded,
    plan: WeeklyPlan,
    samples: Sequence[Sample],
    codes: Int64,
    kinds: Labels,
    level: float,
    say: Callable[[Ground], str],
) -> Iterator[dict[str, object]]:
    """Yield a row of each planned send of one automation."""
    campaigns = loaded.campaigns
    own = np.intersect1d(np.flatnonzero(campaigns["automation_id"] == plan.automation_id), codes)
    if not len(own):
        return
    first = milliseconds(campaigns["first_delivered_at"].iloc[own])
    known = first[first != NEVER]
    begins = int(known.min(initial=to_ms(loaded.span.until))) - HALF_WEEK_MS
    slots = slots_of(
        plan, first, since_ms=max(to_ms(loaded.span.since), begins),
        until_ms=to_ms(loaded.span.until), as_of_ms=loaded.span.as_of_ms,
    )  # fmt: skip
    sample = _of_campaigns(samples, own)
    basis = basis_of(sample, kinds.codes[sample.campaigns], confidence_level=level)
    for place, state in enumerate(slots.states):
        send = int(slots.sends[place])
        campaign = int(own[send]) if send >= 0 else None
        cost = cost_of(state, basis, campaign, say=say)
        yield {
            "automation_id": plan.automation_id,
            "planned_at": int(slots.starts[place]),
            "state": state,
            "campaign_id": None if campaign is None else campaigns["campaign_id"].iloc[campaign],
            "hours_late": slots.hours_late[place],
            "cost_events": cost.events,
            "cost_events_ci_low": cost.low,
            "cost_events_ci_high": cost.high,
            "why": cost.why,
        }


def _of_campaigns(samples: Sequence[Sample], own: Int64) -> Sample:
    """Return the sample that holds some campaigns, cut to them; without any, an empty one."""
    for sample in samples:
        if np.isin(sample.campaigns, own).any():
            return sample.taken(np.isin(sample.campaigns, own))
    nothing, none = np.empty(0), np.empty(0, dtype=np.int64)
    return Sample(
        values=nothing, covariance=np.empty((0, 0)), campaigns=none, n_pushes=none, expected=nothing
    )

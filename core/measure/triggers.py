"""What sets a campaign off, and when it would have reached people who were not sent to."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.activity.timelines import MS_PER_HOUR, Int64
from core.measure.state import Moments
from core.measure.study import Study, Trigger
from core.measure.windows import NEVER, EventIndex

SHARE_TRIGGERED = 0.8
"""A campaign counts as triggered by an event if that many sends follow it in time."""
USUAL_LAG_MS = (2 * MS_PER_HOUR, 6 * MS_PER_HOUR)
LONGEST_LAG_MS = 24 * MS_PER_HOUR
_WEEK_MS = 7 * 24 * MS_PER_HOUR
_EXCESS = 0.3
_EXACT_MS = 1_000


def recognise(
    index: EventIndex,
    pushed: Moments,
    triggered_at: Int64,
    *,
    event: int | None,
    delay_ms: tuple[int, int] | None,
    n_events: int,
) -> Trigger | None:
    """Return what sets a campaign off, by its automation, its records, or the data.

    Args:
        index: The searchable events.
        pushed: The recipients.
        triggered_at: What set each push off, NEVER where not recorded.
        event: The event its automation names, None where it names none that is tracked.
        delay_ms: The automation's delay, None where it names none.
        n_events: Tracked events.
    """
    shortest, longest = delay_ms or (USUAL_LAG_MS[0], LONGEST_LAG_MS)
    tries = [
        ("automation", event, shortest, longest),
        ("trigger_at", _recorded(index, pushed, triggered_at, n_events), shortest, longest),
        ("data", _in_data(index, pushed, n_events), *USUAL_LAG_MS),
    ]
    for source, found, least, most in tries:
        if found is not None:
            return Trigger(event=found, source=source, min_lag_ms=least, max_lag_ms=most)
    return None


def pseudo_sends(study: Study, campaign: int, *, weeks_earlier: int = 0) -> Moments:
    """Return when the rule would have reached each person, the first time only.

    Each of the trigger's events in the time in which the recipients' own triggers lie is followed
    by a lag drawn from theirs; what falls into the hours in which the campaign was sent counts.
    Earlier events would bring in people who did nothing since, and so did not set it off.

    Args:
        study: The study.
        campaign: A campaign whose trigger is known.
        weeks_earlier: Re-apply the rule so many weeks before.
    """
    trigger = study.triggers[campaign]
    if trigger is None:
        raise ValueError("the campaign's trigger is not known")
    pushed = study.pushed(campaign)
    back = weeks_earlier * _WEEK_MS
    start, end = int(pushed.instants.min()) - back, int(pushed.instants.max()) - back + 1
    rule = _rule(study, campaign)
    if not len(rule.lags):
        return Moments(persons=rule.lags, instants=rule.lags)
    moments = Moments.paired(
        study.panel.index.happened(trigger.event, rule.since - back, rule.until - back)
    )
    if rule.first_only:
        moments = _firsts(moments)
    sent = moments.instants + study.rng(campaign, weeks_earlier).choice(rule.lags, len(moments))
    inside = (sent >= start) & (sent < end)
    return _firsts(Moments(persons=moments.persons[inside], instants=sent[inside]))


class _Rule(NamedTuple):
    """How a campaign's recipients were reached.

    Attributes:
        lags: Times between trigger and delivery.
        since: First instant at which a trigger counts.
        until: Instant after the last.
        first_only: Only a person's first trigger in that time is followed by a push.
    """

    lags: Int64
    since: int
    until: int
    first_only: bool


def _rule(study: Study, campaign: int) -> _Rule:
    """Return how recipients were reached: from the records, else from the data.

    Without records the trigger is taken to be the earliest event within reach, and triggers to
    begin the shortest delay before the first send: what lies further back would bring in people
    who did nothing since (simulated: false positives of 29 instead of 7 %).
    """
    trigger = study.triggers[campaign]
    pushed = study.pushed(campaign)
    recorded = study.triggered_at[study.panel.segments[campaign]]
    known = (recorded != NEVER) & (recorded <= pushed.instants)
    index = study.panel.index
    if trigger is None:
        raise ValueError("the campaign's trigger is not known")
    if len(known) and known.mean() >= SHARE_TRIGGERED:
        at, persons = recorded[known], pushed.persons[known]
        since = int(at.min())
        earlier = index.count_between(trigger.event, persons, np.full(len(at), since), at)
        return _Rule(
            lags=pushed.instants[known] - at, since=since, until=int(at.max()) + 1,
            first_only=bool((earlier == 0).mean() >= SHARE_TRIGGERED),
        )  # fmt: skip
    before = index.count_before(trigger.event, pushed.persons, pushed.instants - trigger.max_lag_ms)
    now = index.count_before(trigger.event, pushed.persons, pushed.instants)
    has = now > before
    lags = pushed.instants[has] - index.instant_at(trigger.event, before[has])
    since, until = (int(f(pushed.instants)) - trigger.min_lag_ms for f in (np.min, np.max))
    return _Rule(lags=lags, since=since, until=until + 1, first_only=True)


def _recorded(index: EventIndex, pushed: Moments, triggered_at: Int64, n_events: int) -> int | None:
    """Return the event that happened at the recorded instants of most pushes."""
    known = triggered_at != NEVER
    if not len(known) or known.mean() < SHARE_TRIGGERED:
        return None
    persons, at = pushed.persons[known], triggered_at[known]
    shares = [
        float((index.count_between(e, persons, at - _EXACT_MS, at + _EXACT_MS) > 0).mean())
        for e in range(n_events)
    ]
    best = int(np.argmax(shares))
    return best if shares[best] >= SHARE_TRIGGERED / 2 else None


def _in_data(index: EventIndex, pushed: Moments, n_events: int) -> int | None:
    """Return the event most sends follow by 2 to 6 h, far more often than a week earlier."""
    if not len(pushed):
        return None

    def shares(back: int) -> NDArray[np.float64]:
        at = pushed.instants - back
        found = [
            index.count_between(e, pushed.persons, at - USUAL_LAG_MS[1], at - USUAL_LAG_MS[0])
            for e in range(n_events)
        ]
        mean: NDArray[np.float64] = (np.stack(found) > 0).mean(axis=1)
        return mean

    now = shares(0)
    best = int(np.argmax(now))
    is_more = now[best] - shares(_WEEK_MS)[best] >= _EXCESS
    return best if now[best] >= SHARE_TRIGGERED and is_more else None


def _firsts(moments: Moments) -> Moments:
    """Return each person's first moment."""
    some = moments.taken(np.lexsort((moments.instants, moments.persons)))
    return some.taken(np.diff(some.persons, prepend=-1) > 0)

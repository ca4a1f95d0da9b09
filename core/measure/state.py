"""What a person was doing just before an instant: the covariates that make people comparable.

Everything here looks back only. The same function describes the moment of a push and the moment
at which somebody could have been pushed and was not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR, Int64
from core.measure.ratios import Floats
from core.measure.windows import NEVER, EventIndex, WindowLengths

EDGES_HOURS = (0, 2, 6, 24, 72, 168, 672)
"""Recency is told by counts between these many hours before the moment."""
WEEKS = 4
HISTORY_DAYS = EDGES_HOURS[-1] // 24
_WEEK_EDGES = {week: EDGES_HOURS.index(week * 168) for week in (1, 4)}
"""Weeks that begin at one of the edges."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moments:
    """Instants of persons, at which they were or could have been pushed.

    Attributes:
        persons: Person code of each moment; one without events has a code beyond the timelines.
        instants: Int64[moments], milliseconds UTC.
    """

    persons: Int64
    instants: Int64

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.persons)

    def taken(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> Moments:
        """Return some of the moments."""
        return Moments(persons=self.persons[rows], instants=self.instants[rows])

    @classmethod
    def paired(cls, both: tuple[Int64, Int64]) -> Moments:
        """Return moments from persons and instants."""
        return cls(persons=both[0], instants=both[1])

    @classmethod
    def joined(cls, parts: Sequence[Moments]) -> Moments:
        """Return the moments of all parts."""
        return cls(
            persons=np.concatenate([part.persons for part in parts]),
            instants=np.concatenate([part.instants for part in parts]),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class State:
    """What is known of each moment.

    Attributes:
        recent: Float32[moments, events, edges - 1], events between two neighbouring
            EDGES_HOURS before the moment, the nearest first.
        weekly: Float32[moments, events], mean events in the same hours, as long as the observed
            post window, one to WEEKS weeks earlier.
        post: Float32[moments, events], events in the observed part of the post window.
        post_days: Observed days of it.
        tenure_days: Days since the person was first known, at most HISTORY_DAYS.
        instants: Of the moments.
    """

    recent: NDArray[np.float32]
    weekly: NDArray[np.float32]
    post: NDArray[np.float32]
    post_days: Floats
    tenure_days: Floats
    instants: Int64


def states(
    index: EventIndex,
    moments: Moments,
    lengths: WindowLengths,
    *,
    n_events: int,
    as_of: int,
    first_seen: Int64,
) -> State:
    """Return the state of each moment, and what happened after it.

    Args:
        index: The searchable events.
        moments: Whom and when.
        lengths: The post window's length.
        n_events: Tracked events.
        as_of: What is later has not been observed.
        first_seen: Int64[persons], when each person was first known, NEVER where always.
    """
    order = np.lexsort((moments.instants, moments.persons))  # neighbours share cache lines
    persons, instants = moments.persons[order], moments.instants[order]
    observed = np.clip(as_of - instants, 0, lengths.post_ms)
    edges = [instants - hours * MS_PER_HOUR for hours in EDGES_HOURS]
    weeks = [instants - week * 7 * MS_PER_DAY for week in range(1, WEEKS + 1)]
    n = len(moments)
    recent = np.empty((n, n_events, len(edges) - 1), dtype=np.float32)
    weekly = np.zeros((n, n_events), dtype=np.float32)
    post = np.empty((n, n_events), dtype=np.float32)
    for event in range(n_events):
        before = [index.count_before(event, persons, edge) for edge in edges]
        for place in range(len(edges) - 1):
            recent[order, event, place] = before[place] - before[place + 1]
        post[order, event] = index.count_before(event, persons, instants + observed) - before[0]
        ends = [
            index.count_before(event, persons, np.minimum(start + observed, instants))
            for start in weeks
        ]
        starts = [
            before[_WEEK_EDGES[week]]
            if week in _WEEK_EDGES
            else index.count_before(event, persons, start)
            for week, start in enumerate(weeks, 1)
        ]
        weekly[order, event] = (np.sum(ends, axis=0) - np.sum(starts, axis=0)) / WEEKS
    since = np.where(first_seen == NEVER, np.iinfo(np.int64).min // 2, first_seen)
    tenure = (moments.instants - since[moments.persons]) / MS_PER_DAY
    return State(
        recent=recent,
        weekly=weekly,
        post=post,
        post_days=np.clip(as_of - moments.instants, 0, lengths.post_ms) / MS_PER_DAY,
        tenure_days=np.clip(tenure, 0, HISTORY_DAYS),
        instants=moments.instants,
    )

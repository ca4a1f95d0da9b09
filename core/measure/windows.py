"""Counting events in each push's windows: binary search over sorted keys, no loop over users."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR, Int64, Timelines

T = TypeVar("T")
_THREADS = 2
NEVER = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowLengths:
    """How long the windows are: baseline [t - baseline, t) and post [t, t + post)."""

    baseline_days: int = 30
    post_hours: int = 48

    @property
    def baseline_ms(self) -> int:
        """Return the baseline's length in milliseconds."""
        return self.baseline_days * MS_PER_DAY

    @property
    def post_ms(self) -> int:
        """Return the post window's length in milliseconds."""
        return self.post_hours * MS_PER_HOUR

    @property
    def n_blocks(self) -> int:
        """Return how many whole blocks of the post window's length the baseline holds."""
        return self.baseline_ms // self.post_ms


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sends:
    """Whom was sent when, one entry per measured push.

    Attributes:
        persons: Int64[pushes], person code in the timelines, -1 for a person never seen.
        instants: Int64[pushes], delivery, milliseconds UTC.
        signed_up: Int64[pushes], sign-up, milliseconds UTC, NEVER where not known.
        as_of: What is later than this instant has not been observed.
    """

    persons: Int64
    instants: Int64
    signed_up: Int64
    as_of: int

    def observed(self, lengths: WindowLengths) -> Int64:
        """Return the observed milliseconds of each post window, 0 to its whole length."""
        return np.clip(self.as_of - self.instants, 0, lengths.post_ms)

    def baseline(self, lengths: WindowLengths) -> Int64:
        """Return the milliseconds of each baseline that were there: cut at sign-up."""
        return self.instants - _cut(self.instants - lengths.baseline_ms, self)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WindowCounts:
    """Events in each push's windows.

    Attributes:
        n_baseline: Int64[pushes, metrics], events in [t - baseline, t), cut at sign-up.
        n_post: Int64[pushes, metrics], events in the observed part of [t, t + post).
        n_aligned: As n_baseline; where the post window is still open, only events in the same
            hours of each earlier block of the post window's length.
        baseline_ms: Int64[pushes], milliseconds n_baseline was counted over.
        post_ms: Int64[pushes], milliseconds n_post was counted over.
        aligned_ms: Int64[pushes], milliseconds n_aligned was counted over.
    """

    n_baseline: Int64
    n_post: Int64
    n_aligned: Int64
    baseline_ms: Int64
    post_ms: Int64
    aligned_ms: Int64


class EventIndex:
    """Sorted (person, instant) keys of each tracked event, ready to be searched."""

    def __init__(self, timelines: Timelines) -> None:
        """Index timelines; keys are person * span + instant, which int64 holds easily."""
        instants = timelines.instants
        self._origin = int(instants.min()) if len(instants) else 0
        # one extra millisecond on either side keeps clipped bounds outside every event
        self._span = (int(instants.max()) - self._origin if len(instants) else 0) + 3
        keys = timelines.persons * self._span + (instants - self._origin + 1)
        self._keys = [keys[timelines.events == i] for i in range(len(timelines.event_names))]

    def count_before(self, event: int, persons: Int64, instants: Int64) -> Int64:
        """Return how many indexed events of lower key precede each (person, instant)."""
        offsets = np.clip(instants - self._origin + 1, 0, self._span - 1)
        return np.searchsorted(self._keys[event], persons * self._span + offsets).astype(np.int64)

    def count_between(self, event: int, persons: Int64, starts: Int64, ends: Int64) -> Int64:
        """Return how many events each person (-1: nobody) had in [start, end)."""
        found = self.count_before(event, persons, ends) - self.count_before(event, persons, starts)
        return np.where((persons >= 0) & (ends > starts), found, 0)

    def happened(self, event: int, start: int, end: int) -> tuple[Int64, Int64]:
        """Return person and instant of an event's happenings in [start, end), by person."""
        persons, offsets = np.divmod(self._keys[event], self._span)
        instants = offsets - 1 + self._origin
        inside = (instants >= start) & (instants < end)
        return persons[inside], instants[inside]

    def instant_at(self, event: int, places: Int64) -> Int64:
        """Return the instants of an event's happenings by their places as `count_before` counts."""
        instants: Int64 = self._keys[event][places] % self._span - 1 + self._origin
        return instants


def count_windows(
    index: EventIndex,
    sends: Sends,
    lengths: WindowLengths,
    *,
    metrics: Sequence[Sequence[int]],
) -> WindowCounts:
    """Count events of each metric in each push's baseline and post window, half-open and exact.

    Args:
        index: The indexed timelines.
        sends: The pushes.
        lengths: Window lengths.
        metrics: For each metric the positions of its events in the timelines' event_names.
    """
    order = _by_person(sends)
    ordered = _taken(sends, order)
    starts = _cut(ordered.instants - lengths.baseline_ms, ordered)
    observed = ordered.observed(lengths)
    edges = [starts, ordered.instants, ordered.instants + observed]
    baseline, post = _between(index, ordered, metrics, edges)
    aligned, aligned_ms = baseline.copy(), ordered.instants - starts
    is_open = observed < lengths.post_ms
    if is_open.any():
        open_sends = _taken(ordered, np.flatnonzero(is_open))
        aligned[is_open], aligned_ms[is_open] = _same_hours(index, open_sends, lengths, metrics)
    back = np.argsort(order)
    return WindowCounts(
        n_baseline=baseline[back],
        n_post=post[back],
        n_aligned=aligned[back],
        baseline_ms=(ordered.instants - starts)[back],
        post_ms=observed[back],
        aligned_ms=aligned_ms[back],
    )


def count_blocks(
    index: EventIndex, sends: Sends, lengths: WindowLengths, *, metrics: Sequence[Sequence[int]]
) -> tuple[list[NDArray[np.int32]], NDArray[np.bool_]]:
    """Count each metric in each block of the post window's length before each push.

    Where the post window is still open, each block is cut to the hours observed so far.

    Returns:
        For each metric Int32[pushes, blocks], the nearest block first, and whether each block
        lies wholly after the sign-up.
    """
    order = _by_person(sends)
    ordered = _taken(sends, order)
    back = np.argsort(order)
    observed = ordered.observed(lengths)
    is_open = np.flatnonzero(observed < lengths.post_ms)
    steps = np.arange(1, lengths.n_blocks + 1) * lengths.post_ms
    starts = ordered.instants[:, None] - steps

    def of_event(event: int) -> NDArray[np.int32]:
        edges = np.column_stack([ordered.instants, starts])
        before = [index.count_before(event, ordered.persons, edge) for edge in edges.T]
        counts = np.stack([b - a for b, a in pairwise(before)], axis=1).astype(np.int32)
        cut = _taken(ordered, is_open)
        for block in range(lengths.n_blocks if len(is_open) else 0):
            first = starts[is_open, block]
            counts[is_open, block] = index.count_between(
                event, cut.persons, first, first + observed[is_open]
            )
        counts[ordered.persons < 0] = 0
        return counts[back]

    found = _each_event(of_event, metrics)
    whole = starts >= ordered.signed_up[:, None]
    return [sum(found[e] for e in events[1:]) + found[events[0]] for events in metrics], whole[back]


def _by_person(sends: Sends) -> NDArray[np.int64]:
    """Return the order in which neighbouring searches share cache lines."""
    return np.lexsort((sends.instants, sends.persons))


def _blocks(sends: Sends, lengths: WindowLengths) -> Iterator[tuple[Int64, Int64]]:
    """Yield, going back in time, the hours observed so far of each block before each push."""
    observed = sends.observed(lengths)
    for j in range(1, lengths.n_blocks + 1):
        starts = sends.instants - j * lengths.post_ms
        yield starts, starts + observed


def _same_hours(
    index: EventIndex, sends: Sends, lengths: WindowLengths, metrics: Sequence[Sequence[int]]
) -> tuple[Int64, Int64]:
    """Count the hours of each earlier block that correspond to the hours observed so far.

    Six observed evening hours compared with whole days show +72 % without any effect, so both
    sides are cut to the same hours and nothing is scaled up.
    """
    counts = np.zeros((len(sends.persons), len(metrics)), dtype=np.int64)
    total = np.zeros(len(sends.persons), dtype=np.int64)
    for starts, ends in _blocks(sends, lengths):
        cut = np.minimum(_cut(starts, sends), ends)
        counts += _between(index, sends, metrics, [cut, ends])[0]
        total += ends - cut
    return counts, total


def _between(
    index: EventIndex,
    sends: Sends,
    metrics: Sequence[Sequence[int]],
    edges: Sequence[Int64],
) -> list[Int64]:
    """Return, for each two consecutive edges, Int64[pushes, metrics] events in [edge, next)."""
    seen = sends.persons >= 0

    def of_event(event: int) -> list[Int64]:
        return [index.count_before(event, sends.persons, edge) for edge in edges]

    before = _each_event(of_event, metrics)
    found = []
    for i in range(len(edges) - 1):
        counts = np.zeros((len(seen), len(metrics)), dtype=np.int64)
        for metric, events in enumerate(metrics):
            for event in events:
                counts[:, metric] += before[event][i + 1] - before[event][i]
        found.append(np.where(seen[:, None], counts, 0))
    return found


def _each_event(work: Callable[[int], T], metrics: Sequence[Sequence[int]]) -> dict[int, T]:
    """Return what work makes of each event some metric needs, side by side."""
    wanted = sorted({event for events in metrics for event in events})
    with ThreadPoolExecutor(_THREADS) as pool:  # searchsorted lets other threads run
        return dict(zip(wanted, pool.map(work, wanted), strict=True))


def _cut(starts: Int64, sends: Sends) -> Int64:
    """Move starts to the sign-up where that is later, at most to the delivery."""
    return np.minimum(np.maximum(starts, sends.signed_up), sends.instants)


def _taken(sends: Sends, rows: NDArray[np.integer]) -> Sends:
    return Sends(
        persons=sends.persons[rows],
        instants=sends.instants[rows],
        signed_up=sends.signed_up[rows],
        as_of=sends.as_of,
    )

"""Stretches of time nothing is known of: a window that touches one counts too little."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.activity.timelines import Int64

INCOMPLETE = "incomplete"
"""Stands as the status of what rests on a hole; its numbers are withheld."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Holes:
    """Disjoint half-open stretches [start, end), milliseconds since 1970 UTC, in order of time.

    Attributes:
        starts: Int64[holes].
        ends: Int64[holes].
    """

    starts: Int64
    ends: Int64

    @classmethod
    def of(cls, pairs: Iterable[tuple[int, int]]) -> Holes:
        """Return stretches as they are, overlapping and touching ones as one."""
        starts: list[int] = []
        ends: list[int] = []
        for start, end in sorted(pair for pair in pairs if pair[0] < pair[1]):
            if ends and start <= ends[-1]:
                ends[-1] = max(ends[-1], end)
            else:
                starts.append(start)
                ends.append(end)
        return cls(starts=np.array(starts, dtype=np.int64), ends=np.array(ends, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.starts)

    def touch(self, starts: Int64, ends: Int64) -> NDArray[np.bool_]:
        """Return which windows [start, end) share an instant with a hole.

        Args:
            starts: Int64[windows].
            ends: Int64[windows]; an empty window touches nothing.
        """
        if not len(self):
            return np.zeros(len(starts), dtype=np.bool_)
        after = np.searchsorted(self.ends, starts, side="right")
        there = after < len(self)
        next_start = self.starts[np.minimum(after, len(self) - 1)]
        touched: NDArray[np.bool_] = there & (next_start < ends) & (starts < ends)
        return touched

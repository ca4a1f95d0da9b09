"""Other pushes around a moment: how many, and how far their windows reach into this one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.activity.timelines import MS_PER_HOUR, Int64
from core.measure.ratios import Floats
from core.measure.state import Moments
from core.measure.windows import NEVER

_ORIGIN_BITS = 44
"""Milliseconds of 500 years; with them persons up to half a million millions fit into int64."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PushIndex:
    """Deliveries as sorted keys of person and instant, ready to be searched.

    Attributes:
        keys: Int64[pushes], person shifted by the bits of an instant, plus the instant.
    """

    keys: Int64

    @classmethod
    def of(cls, persons: Int64, instants: Int64) -> PushIndex:
        """Index deliveries."""
        return cls(keys=np.sort(_keys(persons, instants)))

    def count(self, moments: Moments, start_ms: Int64 | int, end_ms: Int64 | int) -> Int64:
        """Return how many pushes each person got in [instant + start, instant + end)."""
        low = np.searchsorted(self.keys, _keys(moments.persons, moments.instants + start_ms))
        high = np.searchsorted(self.keys, _keys(moments.persons, moments.instants + end_ms))
        counts: Int64 = np.maximum(high - low, 0).astype(np.int64)
        return counts

    def reached(self, moments: Moments, window_ms: int) -> Floats:
        """Return hours of each moment's window that lie in windows of earlier pushes, summed.

        A push at the moment itself is the one that is measured and does not count.
        """
        return self._overlap(moments, 1 - window_ms, 0, window_ms)

    def followed(self, moments: Moments, window_ms: int) -> Floats:
        """Return hours of each moment's window that lie in windows of later pushes, summed."""
        return self._overlap(moments, 1, window_ms, window_ms)

    def last_before(self, moments: Moments) -> Int64:
        """Return the last delivery before each moment, NEVER where there was none."""
        place = np.searchsorted(self.keys, _keys(moments.persons, moments.instants)) - 1
        if not len(self.keys):
            return np.full(len(moments), NEVER)
        found = self.keys[np.maximum(place, 0)]
        same = (place >= 0) & (found >> _ORIGIN_BITS == moments.persons)
        return np.where(same, found & ((1 << _ORIGIN_BITS) - 1), NEVER)

    def _overlap(self, moments: Moments, start: int, end: int, window_ms: int) -> Floats:
        base = _keys(moments.persons, np.zeros_like(moments.instants))
        low = np.searchsorted(self.keys, base + moments.instants + start)
        high = np.searchsorted(self.keys, base + moments.instants + end)
        hours = np.zeros(len(moments))
        for step in range(int((high - low).max(initial=0))):
            there = low + step < high
            at = self.keys[np.minimum(low + step, len(self.keys) - 1)] - base
            away = np.abs(at - moments.instants)
            hours += np.where(there, (window_ms - away) / MS_PER_HOUR, 0.0)
        return hours


def _keys(persons: Int64, instants: Int64) -> Int64:
    return (persons << _ORIGIN_BITS) + np.clip(instants, 0, (1 << _ORIGIN_BITS) - 1)

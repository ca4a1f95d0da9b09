"""What a push takes from the next one: within 48 h of another, a push has part of its effect.

Without the earlier push the later one would have had its whole effect, unless yet another lay
within 48 h before it. What it would have done more is therefore no gain of the earlier push: in
the earlier push's window it belongs to what would have happened without it. Who is sent later
pushes is held as it was.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.demo.effects import REPEAT_FACTOR
from core.demo.responses import Windows
from core.demo.world import WINDOW_MS, Flags, Floats, Ints

_LONG_AGO = -(2**60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What pushes took from the next ones.

    Attributes:
        push: Number of the push that took it, each once.
        extra: Events expected that the next push would have added more in the window of this one
            (negative: put off more), pushes x metrics.
        extra_seen: `extra` of the part of the window that has passed.
    """

    push: Ints
    extra: Floats
    extra_seen: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliveries:
    """Each user's last deliveries as campaigns go by; the arrays change.

    Attributes:
        last_ms: When the last push arrived.
        before_ms: When the one before it did.
        push: The last push's number in the chunk.
    """

    last_ms: Ints
    before_ms: Ints
    push: Ints

    @classmethod
    def none(cls, n: int) -> Deliveries:
        """Return n users nobody has sent anything."""
        return cls(
            last_ms=np.full(n, _LONG_AGO),
            before_ms=np.full(n, _LONG_AGO),
            push=np.full(n, -1),
        )

    def add(self, user: Ints, *, delivered_ms: Ints, push: Ints) -> None:
        """Note deliveries of one campaign, each user once."""
        self.before_ms[user] = self.last_ms[user]
        self.last_ms[user] = delivered_ms
        self.push[user] = push

    def is_halved_by_last(self, user: Ints, delivered_ms: Ints) -> Flags:
        """Return which further deliveries would be whole if the last push were not there."""
        opens_ms = delivered_ms - WINDOW_MS
        return np.asarray((self.last_ms[user] > opens_ms) & (self.before_ms[user] <= opens_ms))


def taken_from(
    windows: Windows, deliveries: Deliveries, *, user: Ints, strength: Floats, as_of_ms: int
) -> Taken:
    """Return what the users' last pushes take from the pushes that follow now.

    Args:
        windows: The windows of the pushes that follow.
        deliveries: The users' deliveries before them.
        user: Whose, per push that follows.
        strength: Events expected on top per unit of a window's weight, as delivered, pushes x
            metrics.
        as_of_ms: The demo's now.
    """
    rows = np.flatnonzero(deliveries.is_halved_by_last(user, windows.starts_ms[:, 0]))
    some, earlier = windows.take(rows), user[rows]
    begins_ms = deliveries.last_ms[earlier]
    ends_ms = begins_ms + WINDOW_MS
    before = some.weight_until(begins_ms)
    lacking = strength[rows] * (1 / REPEAT_FACTOR - 1)
    seen_ms = np.clip(as_of_ms, begins_ms, ends_ms)
    return Taken(
        push=deliveries.push[earlier],
        extra=lacking * (some.weight_until(ends_ms) - before)[:, None],
        extra_seen=lacking * (some.weight_until(seen_ms) - before)[:, None],
    )

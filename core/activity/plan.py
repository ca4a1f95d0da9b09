"""What has to be asked again and what is known: pure functions over stretches of time.

A slice that ended more than the settling time before it was fetched is settled: late events have
arrived, and it is never fetched again. A younger one stands until its time to live is over.
All instants are milliseconds since 1970 UTC, all stretches half-open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.activity.source import Period
from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR

MS_PER_SECOND = 1000
YOUNG_TTL_SECONDS = 3600
CLOCK_SLACK = 5 * 60 * MS_PER_SECOND
"""How far in the future a slice may have been fetched, by a neighbour that began later."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Slice:
    """A stretch of time [start, end) whose events were read at fetched_at."""

    start: int
    end: int
    fetched_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """The part [start, end) of a period that a stored slice answers."""

    slice: Slice
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a period is put together: every instant is in exactly one use or one gap.

    Attributes:
        uses: Stored slices and the part each answers, in order of time.
        gaps: What has to be fetched, in order of time, each short enough for one question.
    """

    uses: tuple[Use, ...]
    gaps: tuple[Period, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """When a slice is believed, and how long one may be.

    Attributes:
        now: The instant of asking, milliseconds since 1970 UTC.
        slice_days: Days one question may span.
        settle_hours: Hours after its end from which a slice is final.
        ttl_seconds: Seconds an unsettled slice is believed.
        refresh: Whether unsettled slices are fetched again whatever their age.
    """

    now: int
    slice_days: int
    settle_hours: int
    ttl_seconds: int = YOUNG_TTL_SECONDS
    refresh: bool = False

    @property
    def settled_until(self) -> int:
        """Return the UTC midnight before which a slice fetched now is settled."""
        return _midnight(self.now - self.settle_hours * MS_PER_HOUR)

    def is_settled(self, known: Slice) -> bool:
        """Say whether a slice had settled when it was fetched."""
        return known.end <= known.fetched_at - self.settle_hours * MS_PER_HOUR

    def is_usable(self, known: Slice) -> bool:
        """Say whether a stored slice still stands; one from the future never does."""
        age = self.now - known.fetched_at
        if age < -CLOCK_SLACK:  # by a clock that was wrong, when it may not even have ended
            return False
        return self.is_settled(known) or (not self.refresh and age < self.ttl_seconds * 1000)


def whole_days(period: Period, now: int) -> Period:
    """Return the UTC days a period touches, ending at the next whole second after now."""
    end = min(-_midnight(-int(period.end)), -(-now // MS_PER_SECOND) * MS_PER_SECOND)
    start = _midnight(int(period.start))  # numpy's integers cannot be sent
    return Period(start, max(start, end))


def plan_fetch(wanted: Period, stored: Sequence[Slice], rules: Rules) -> Plan:
    """Return which stored slices answer which part of a period, and what has to be fetched.

    Args:
        wanted: The period, as `whole_days` gives it.
        stored: Every slice that is kept for the same question, in any order.
        rules: When a slice is believed, and how long one may be.
    """
    usable = [known for known in stored if rules.is_usable(known) and known.start < known.end]
    uses: list[Use] = []
    gaps: list[Period] = []
    position = wanted.start
    while position < wanted.end:
        best = _best_at(position, usable, rules)
        if best is None:
            after = _next_start(position, usable, wanted.end)
            gaps += cut(Period(position, after), rules)
        else:
            after = min(best.end, wanted.end)
            if not rules.is_settled(best):
                final = [known for known in usable if rules.is_settled(known)]
                after = _next_start(position, final, after)
            uses.append(Use(slice=best, start=position, end=after))
        position = after
    return Plan(uses=tuple(uses), gaps=tuple(gaps))


def cut(gap: Period, rules: Rules) -> list[Period]:
    """Return a gap as slices of at most slice_days.

    They end at UTC midnights, and one ends where settled time does, so that the next day fetches
    only what had not settled.
    """
    pieces = []
    position = gap.start
    while position < gap.end:
        after = min(_midnight(position) + rules.slice_days * MS_PER_DAY, gap.end)
        if position < rules.settled_until < after:
            after = rules.settled_until
        pieces.append(Period(position, after))
        position = after
    return pieces


def halves(period: Period) -> tuple[Period, Period] | None:
    """Return a period as two, cut at a whole second, or None for one second or less."""
    seconds = (period.end - period.start) // MS_PER_SECOND
    if seconds < 2:
        return None
    middle = period.start + seconds // 2 * MS_PER_SECOND
    return Period(period.start, middle), Period(middle, period.end)


def _best_at(position: int, usable: Sequence[Slice], rules: Rules) -> Slice | None:
    """Return the slice to use from a position on: settled before young, then the furthest."""
    covering = [known for known in usable if known.start <= position < known.end]
    return max(covering, key=lambda s: (rules.is_settled(s), s.end, s.fetched_at), default=None)


def _next_start(position: int, slices: Sequence[Slice], end: int) -> int:
    return min((known.start for known in slices if position < known.start < end), default=end)


def _midnight(instant: int) -> int:
    return instant // MS_PER_DAY * MS_PER_DAY

"""What was asked of PostHog lately: when the next request may start, and who is refused it.

Times are seconds on the clock of whoever holds the record. Kept as text they are ages, so that a
clock that is set anew, or another process's clock, does not change them.
"""

from __future__ import annotations

import json
import math
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

WINDOWS = (60.0, 3600.0)
"""Seconds within which starts are counted: a minute and an hour."""
FAILURES = 3
"""Questions that failed in a row, after which no more are asked for a while."""
REST_SECONDS = 15.0
"""Seconds between single requests to a source that fails."""
LONGEST_CLOSED = 3600.0
"""Seconds PostHog may keep us away; its own limits never last longer."""
_VERSION = 1
_US = 1_000_000
_MOST_STARTS = 50_000
_MOST_WORDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How fast may be asked: starts a minute and an hour, seconds between them, at once."""

    per_minute: int
    per_hour: int
    spacing: float
    in_flight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Until when nothing is asked, and why."""

    until: float = -math.inf
    why: str = ""


@dataclass(slots=True, kw_only=True)
class Record:
    """Starts of requests, failures in a row, and until when nothing is asked.

    Attributes:
        starts: When requests of the last hour began, in order.
        failures: Questions that failed one after another.
        failed_at: When the last of them did.
        closed: PostHog's own word to stay away.
        resting: The rest after failures, and what failed.
    """

    starts: deque[float] = field(default_factory=deque)
    failures: int = 0
    failed_at: float = -math.inf
    closed: Stop = Stop()
    resting: Stop = Stop()

    def copy(self) -> Record:
        """Return a record that changes by itself."""
        return replace(self, starts=deque(self.starts))

    def due(self, limits: Limits, now: float) -> float:
        """Return when the next request may start."""
        self._forget(now)
        waits = [now]
        if self.starts:
            waits.append(self.starts[-1] + limits.spacing)
        for count, seconds in zip((limits.per_minute, limits.per_hour), WINDOWS, strict=True):
            if len(self.starts) >= count:
                waits.append(self.starts[-count] + seconds)
        return max(waits)

    def stop(self, now: float) -> Stop | None:
        """Return what stands in the way of any request now."""
        stops = [stop for stop in (self.closed, self.resting) if stop.until > now]
        return max(stops, key=lambda stop: stop.until, default=None)

    def is_failing(self, now: float) -> bool:
        """Return whether so many questions failed that only single requests are made."""
        self._forget(now)
        return self.failures >= FAILURES

    def begin(self, now: float) -> None:
        """Note the start of a request; where questions fail, the next is a while away."""
        if self.is_failing(now):
            self.resting = Stop(until=now + REST_SECONDS, why=self.resting.why)
        self.starts.append(now)

    def sent(self, now: float) -> None:
        """Count the request that began last from now on, when it is on its way."""
        if self.starts:
            self.starts[-1] = max(self.starts[-1], now)

    def fail(self, now: float, why: str) -> None:
        """Note a question that failed with all its tries."""
        self._forget(now)
        self.failures += 1
        self.failed_at = now
        until = now + REST_SECONDS if self.failures >= FAILURES else -math.inf
        self.resting = Stop(until=until, why=why[:_MOST_WORDS])

    def answer(self) -> None:
        """Note a question that was answered."""
        self.failures = 0
        self.resting = Stop()

    def close(self, until: float, why: str) -> None:
        """Note that PostHog wants nobody to ask before then."""
        if until > self.closed.until:
            self.closed = Stop(until=until, why=why[:_MOST_WORDS])

    def _forget(self, now: float) -> None:
        while self.starts and self.starts[0] <= now - WINDOWS[1]:
            self.starts.popleft()
        if self.failed_at <= now - LONGEST_CLOSED:
            self.answer()


def to_text(record: Record, now: float) -> str:
    """Return a record as text that any process can read: whole microseconds before or after now."""
    return json.dumps(
        {
            "version": _VERSION,
            "starts": [int((now - start) * _US) for start in record.starts],
            "failures": record.failures,
            "failed": _us(min(now - record.failed_at, LONGEST_CLOSED)),
            "closed": [_us(max(record.closed.until - now, 0.0)), record.closed.why],
            "resting": [_us(max(record.resting.until - now, 0.0)), record.resting.why],
        }
    )


def from_text(text: str, now: float, elapsed: float) -> Record:
    """Return the record a text holds.

    Args:
        text: As `to_text` gave it.
        now: The reader's clock.
        elapsed: Seconds since the text was written.

    Raises:
        ValueError: The text is anything else.
    """
    kept = json.loads(text)
    if not isinstance(kept, dict) or kept.get("version") != _VERSION:
        raise ValueError("not a record of this version")
    written = now - elapsed
    record = Record(
        starts=_starts(kept.get("starts"), written),
        failures=_whole(kept.get("failures"), _MOST_STARTS),
        failed_at=written - _seconds(kept.get("failed"), LONGEST_CLOSED),
        closed=_stop(kept.get("closed"), written, LONGEST_CLOSED),
        resting=_stop(kept.get("resting"), written, REST_SECONDS),
    )
    record._forget(now)  # noqa: SLF001 - its own module
    return record


def _starts(kept: Any, written: float) -> deque[float]:  # noqa: ANN401 - anything in a file
    if not isinstance(kept, list) or len(kept) > _MOST_STARTS or not set(map(type, kept)) <= {int}:
        raise ValueError("no list of starts")
    if kept and not 0 <= min(kept) <= max(kept) <= (WINDOWS[1] + 1) * _US:
        raise ValueError("no ages")
    return deque(sorted(written - age / _US for age in kept))


def _stop(kept: Any, written: float, longest: float) -> Stop:  # noqa: ANN401
    if not isinstance(kept, list) or len(kept) != 2 or not isinstance(kept[1], str):
        raise ValueError("no stop")
    left = _seconds(kept[0], longest + 1)
    why = "".join(letter if letter.isprintable() else " " for letter in kept[1][:_MOST_WORDS])
    return Stop(until=written + left if left else -math.inf, why=why)


def _seconds(kept: Any, most: float) -> float:  # noqa: ANN401
    return _whole(kept, int(most * _US)) / _US


def _whole(kept: Any, most: int) -> int:  # noqa: ANN401
    if type(kept) is not int or not 0 <= kept <= most:
        raise ValueError("no number in its range")
    return kept


def _us(seconds: float) -> int:
    return max(math.floor(seconds * _US), 0)

"""PostHog's limits on queries by key: request rate, places at once, bytes read an hour.

Sources: posthog/rate_limit.py@00b34d8 (DRF's sliding windows), clickhouse/client/limit.py@01ccdfb,
api_queries_budget.py@21f310d. All time is the monotonic clock's.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from .errors import over_budget, throttled, too_many_running

GIGABYTE = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a key may ask; the defaults are PostHog's own.

    Attributes:
        rates: (requests, seconds) windows; all of them hold.
        other_rates: the same for other endpoints than the query one.
        places: queries at once.
        place_wait: seconds a query waits for a place before its 429.
        seconds: execution cap of a query.
        max_rows: rows a query can return.
        default_rows: rows of a query without LIMIT.
        max_body: bytes of a request.
        budget_per_hour: bytes read that flow back an hour; 0 turns the budget off.
        budget_hours: hours of flow the budget can hold.
        cache_seconds: how long an answer stays fresh for `refresh` other than `force_*`.
    """

    rates: Sequence[tuple[int, float]] = ((240, 60.0), (2_400, 3_600.0))
    other_rates: Sequence[tuple[int, float]] = ((480, 60.0), (4_800, 3_600.0))
    places: int = 3
    place_wait: float = 30.0
    seconds: float = 10.0
    max_rows: int = 50_000
    default_rows: int = 100
    max_body: int = 20_971_520
    budget_per_hour: float = 200 * GIGABYTE
    budget_hours: float = 24.0
    cache_seconds: float = 21_600.0


class Throttle:
    """Sliding windows over the requests let through, one history a window, as DRF keeps them."""

    def __init__(self, rates: Sequence[tuple[int, float]]) -> None:
        self._windows = [(most, span, deque[float]()) for most, span in rates]
        self._lock = threading.Lock()

    def admit(self) -> None:
        """Count a request.

        Raises:
            Refusal: 429 with `Retry-After`, when a window is full.
        """
        now = time.monotonic()
        with self._lock:
            waits = [wait for window in self._windows if (wait := _admit(window, now)) is not None]
        if waits:
            raise throttled(max(waits))


def _admit(window: tuple[int, float, deque[float]], now: float) -> float | None:
    most, span, history = window
    while history and history[0] <= now - span:
        history.popleft()
    if len(history) < most:
        history.append(now)
        return None
    oldest = history[0] if history else now
    return span - (now - oldest)


class Places:
    """A fixed number of queries at once; the next waits, then is refused."""

    def __init__(self, count: int, wait: float) -> None:
        self._free = threading.BoundedSemaphore(count)
        self._wait = wait

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold a place.

        Raises:
            Refusal: 429 without `Retry-After`, when none came free in time.
        """
        if not self._free.acquire(timeout=self._wait):
            raise too_many_running()
        try:
            yield
        finally:
            self._free.release()


class Budget:
    """A token bucket of bytes read; a query may overdraw it, the next one then waits.

    The debt never exceeds an hour of flow, so nobody waits longer than that.
    """

    def __init__(self, per_hour: float, hours: float) -> None:
        self._flow = per_hour
        self._capacity = per_hour * hours
        self._tokens = self._capacity
        self._refilled_at = time.monotonic()
        self._lock = threading.Lock()

    def check(self) -> None:
        """Refuse when nothing is left.

        Raises:
            Refusal: 429 `api_queries_budget_exceeded` with `Retry-After` and what remains.
        """
        remaining = self._refill()
        if remaining is None or remaining > 0:
            return
        raise over_budget(max(1, math.ceil(-remaining / (self._flow / 3600))), remaining)

    def charge(self, bytes_read: int) -> float | None:
        """Take what a query read; return what remains, None where there is no budget."""
        if self._refill() is None:
            return None
        with self._lock:
            self._tokens = max(self._tokens - bytes_read, -self._flow)
            return self._tokens

    def _refill(self) -> float | None:
        if self._flow <= 0:
            return None
        with self._lock:
            now = time.monotonic()
            gained = (now - self._refilled_at) / 3600 * self._flow
            self._refilled_at = now
            self._tokens = min(self._capacity, self._tokens + gained)
            return self._tokens

"""Which sends are looked at, and what counts as now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from core.errors import ConfigError

DEFAULT_DAYS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Sends with an instant in [since, until), looked at from as_of. All are aware, UTC."""

    since: datetime
    until: datetime
    as_of: datetime

    @property
    def as_of_ms(self) -> int:
        """Return as_of in milliseconds since 1970 UTC."""
        return to_ms(self.as_of)


def span_of(*, since: date | None, until: date | None, as_of: datetime, timezone: str) -> Span:
    """Return the span two dates name in the business time zone.

    Args:
        since: First day; left out, the day 60 days before as_of.
        until: First day no longer in it; left out, as_of.
        as_of: Now, aware; nothing later is looked at.
        timezone: The business time zone.

    Raises:
        ConfigError: The span holds no time.
    """
    now = as_of.astimezone(UTC)
    first = since or (now.astimezone(ZoneInfo(timezone)) - timedelta(days=DEFAULT_DAYS)).date()
    start = midnight(first, timezone)
    end = min(midnight(until, timezone), now) if until else now
    if start >= end:
        raise ConfigError(
            f"The period from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC is empty: choose "
            "--since earlier than --until and than --as-of."
        )
    return Span(since=start, until=end, as_of=now)


def midnight(day: date, timezone: str) -> datetime:
    """Return the instant a day begins in a time zone, in UTC."""
    return datetime.combine(day, time(), ZoneInfo(timezone)).astimezone(UTC)


def to_ms(instant: datetime) -> int:
    """Return an aware instant as milliseconds since 1970 UTC, floored."""
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)

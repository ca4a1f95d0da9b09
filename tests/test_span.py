"""Which sends a period holds."""

from datetime import UTC, date, datetime

import pytest

from core.errors import ConfigError
from core.span import midnight, span_of, to_ms

NOW = datetime(2026, 10, 31, 4, tzinfo=UTC)


def test_span_of_defaults_to_the_sixty_days_before():
    span = span_of(since=None, until=None, as_of=NOW, timezone="America/New_York")
    assert span.since == datetime(2026, 9, 1, 4, tzinfo=UTC)
    assert span.until == NOW


def test_span_of_dates_are_days_of_the_business_zone():
    span = span_of(
        since=date(2026, 3, 7), until=date(2026, 3, 9), as_of=NOW, timezone="America/New_York"
    )
    assert span.since == datetime(2026, 3, 7, 5, tzinfo=UTC)
    assert span.until == datetime(2026, 3, 9, 4, tzinfo=UTC)


def test_span_of_ends_at_as_of_at_the_latest():
    span = span_of(since=None, until=date(2027, 1, 1), as_of=NOW, timezone="UTC")
    assert span.until == NOW


def test_span_of_without_time_in_it_raises():
    with pytest.raises(ConfigError, match="--since"):
        span_of(since=date(2026, 9, 2), until=date(2026, 9, 2), as_of=NOW, timezone="UTC")


def test_to_ms_floors():
    assert to_ms(datetime(1970, 1, 1, 0, 0, 1, 999_999, tzinfo=UTC)) == 1999
    assert to_ms(midnight(date(1970, 1, 2), "UTC")) == 86_400_000

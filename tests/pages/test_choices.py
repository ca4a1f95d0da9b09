"""Filters as values: whatever an address says, they are sound."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from core.errors import ConfigError
from core.frames import LAYERS
from core.sections import Analysis
from core.settings import Settings
from core.span import span_of
from pages.parts.choices import Choices, choices_of, period_of, span_around

ZONE = "America/New_York"
AS_OF = datetime(2026, 10, 31, 4, tzinfo=UTC)  # midnight there
SETTINGS = Settings()


def of(**values: object) -> Choices:
    return choices_of(values, SETTINGS)


def period(**values: object) -> tuple[str, str]:
    found = period_of(of(**values), as_of=AS_OF, timezone=ZONE)
    return found.since.isoformat(), found.until.isoformat()


def test_choices_of_nothing_is_the_default() -> None:
    assert of() == Choices(
        period="60 days",
        dates=None,
        layers=LAYERS,
        metric="confirmed_trades",
        method="headline",
        confidence_level=0.95,
        outliers="keep",
        min_recipients=30,
    )


@pytest.mark.parametrize(
    "values",
    [
        {"period": "7000 days", "metric": "nonsense", "outliers": "all", "min": -4},
        {"method": "joint"},
        {"period": None, "metric": 3, "confidence": "0.95", "min": True, "layers": "1"},
        {"confidence": float("nan"), "min": "30", "layers": ["9", None], "dates": "x"},
        {"period": ["7 days"], "metric": {}, "outliers": [], "layers": {}, "dates": [1, 2]},
    ],
)
def test_choices_of_nonsense_is_the_default(values: dict[str, object]) -> None:
    assert choices_of(values, SETTINGS) == of()


def test_choices_of_sound_values_keeps_them() -> None:
    chosen = of(
        period="14 days", layers=["3", "1"], metric="sessions", method="classic", confidence=0.99,
        outliers="winsorize", min=100,
    )  # fmt: skip
    assert chosen.layers == ("1", "3")
    assert not chosen.has_all_layers
    assert (chosen.metric, chosen.confidence_level) == ("sessions", 0.99)
    assert (chosen.outliers, chosen.min_recipients) == ("winsorize", 100)


def test_choices_of_configured_defaults_are_offered() -> None:
    settings = Settings(analysis=Analysis(confidence_level=0.8, min_recipients=7))
    chosen = choices_of({"confidence": 0.8}, settings)
    assert (chosen.confidence_level, chosen.min_recipients) == (0.8, 7)


def test_choices_of_dates_need_the_period_that_asks_for_them() -> None:
    dates = [date(2026, 9, 1), date(2026, 9, 3)]
    assert of(dates=dates).dates is None
    assert of(period="Dates", dates=dates).dates == tuple(dates)
    assert of(period="Dates", dates=dates[::-1]).dates is None


def test_period_of_the_default_is_what_the_command_line_reads() -> None:
    span = span_of(since=None, until=None, as_of=AS_OF, timezone=ZONE)
    found = period_of(of(), as_of=AS_OF, timezone=ZONE)
    assert (found.since, found.until) == (span.since, span.until)
    assert found.is_within(span)
    assert found.text == "2026-09-01 to 2026-10-30"


def test_period_of_days_begins_at_midnight_of_the_business_zone() -> None:
    assert period(period="30 days") == ("2026-10-01T00:00:00-04:00", "2026-10-31T00:00:00-04:00")


def test_period_of_dates_holds_both_days_whole() -> None:
    dates = (date(2026, 9, 10), date(2026, 9, 12))
    since, until = period(period="Dates", dates=dates)
    assert (since, until) == ("2026-09-10T00:00:00-04:00", "2026-09-13T00:00:00-04:00")


def test_period_of_half_a_choice_of_dates_is_the_default() -> None:
    assert period(period="Dates", dates=[date(2026, 9, 10)]) == period()


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        (date(2024, 1, 1), date(2026, 1, 1), "more than the 366 days"),
        (date(2027, 1, 1), date(2027, 1, 2), "has not begun"),
    ],
)
def test_period_of_impossible_dates_raises(first: date, last: date, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        period(period="Dates", dates=(first, last))


def test_before_is_the_same_length_also_across_a_clock_change() -> None:
    as_of = datetime(2026, 11, 11, 5, tzinfo=UTC)
    found = period_of(of(period="14 days"), as_of=as_of, timezone=ZONE)
    before = found.before()
    zone = ZoneInfo(ZONE)
    assert before.until == found.since == datetime(2026, 10, 28, tzinfo=zone)
    assert before.since == datetime(2026, 10, 14, tzinfo=zone)
    assert found.length == "the 14 days before"


def test_span_around_leaves_room_for_campaigns_that_reach_beyond() -> None:
    dates = (date(2026, 6, 10), date(2026, 6, 12))
    found = period_of(of(period="Dates", dates=dates), as_of=AS_OF, timezone=ZONE)
    span = span_around(found, as_of=AS_OF, timezone=ZONE)
    assert found.is_within(span)
    assert (span.since.date(), span.until.date()) == (date(2026, 6, 3), date(2026, 6, 20))


def test_span_around_never_ends_after_now() -> None:
    found = period_of(of(period="1 year"), as_of=AS_OF, timezone=ZONE)
    assert span_around(found, as_of=AS_OF, timezone=ZONE).until == AS_OF

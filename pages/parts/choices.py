"""What the filters chose, as values: checked, and turned into periods. Knows no Streamlit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Literal, TypeGuard, TypeVar, get_args
from zoneinfo import ZoneInfo

from core.errors import ConfigError
from core.frames import LAYERS
from core.sections import Analysis, Outliers
from core.settings import Settings
from core.span import DEFAULT_DAYS, Span, span_of

T = TypeVar("T")
Method = Literal["headline", "classic"]

DATES = "Dates"
DEFAULT_PERIOD = f"{DEFAULT_DAYS} days"
PERIODS: MappingProxyType[str, int | None] = MappingProxyType(
    {
        "7 days": 7,
        "14 days": 14,
        "30 days": 30,
        DEFAULT_PERIOD: DEFAULT_DAYS,
        "1 year": 365,
        DATES: None,
    }
)
"""What a period is called in the address -> its days; None where two dates say it."""
LONGEST_DAYS = 366
OUTLIERS: tuple[Outliers, ...] = get_args(Outliers)
METHODS: tuple[Method, ...] = get_args(Method)
"""What every number is by: each campaign's best evidence, or plain before and after."""
LEVELS = (0.90, 0.95, 0.99)
MARGIN_DAYS = 7
"""A campaign's deliveries may begin or end this long outside of two chosen dates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the filters say; every value is one that exists.

    Attributes:
        period: One of PERIODS.
        dates: First and last day, both inside, in the business time zone; only with DATES.
        layers: The chosen layers; all of them where none is chosen.
        metric: One of the configured metrics.
        method: One of METHODS.
        confidence_level: Of every interval.
        outliers: The outlier rule.
        min_recipients: Measured users a campaign needs.
    """

    period: str = DEFAULT_PERIOD
    dates: tuple[date, date] | None = None
    layers: tuple[str, ...] = LAYERS
    metric: str
    method: Method = "headline"
    confidence_level: float
    outliers: Outliers
    min_recipients: int

    @property
    def is_far(self) -> bool:
        """Say whether the period may begin before the days that are read first."""
        days = PERIODS[self.period]
        return days is None or days > DEFAULT_DAYS

    @property
    def has_all_layers(self) -> bool:
        """Say whether no layer is left out."""
        return set(self.layers) == set(LAYERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Campaigns whose first delivery lies in [since, until), aware, in the business time zone."""

    since: datetime
    until: datetime

    @property
    def text(self) -> str:
        """Return its first and last day, "2026-09-01 to 2026-10-30"."""
        last = (self.until - timedelta(milliseconds=1)).date()
        return (
            f"{self.since.date()}"
            if last == self.since.date()
            else f"{self.since.date()} to {last}"
        )

    @property
    def length(self) -> str:
        """Return how long it is and that it is over, "the 30 days before"."""
        days = round((self.until - self.since) / timedelta(days=1))
        return f"the {days} days before" if days > 1 else "the day before"

    def before(self) -> Period:
        """Return the period of the same length that ends where this one begins."""
        since, until = self.since.replace(tzinfo=None), self.until.replace(tzinfo=None)
        earlier = since - (until - since)
        return Period(since=earlier.replace(tzinfo=self.since.tzinfo), until=self.since)

    def is_within(self, span: Span) -> bool:
        """Say whether a load of the span holds all of it."""
        return self.since >= span.since and self.until <= span.until


def choices_of(values: Mapping[str, object], settings: Settings) -> Choices:
    """Return what widgets or an address say, with the default wherever they say nothing sound.

    Args:
        values: period, dates, layers, metric, method, confidence, outliers, min; in any state.
        settings: Where the defaults come from.
    """
    analysis = settings.analysis
    period = _one_of(values.get("period"), list(PERIODS), DEFAULT_PERIOD)
    least = values.get("min")
    return Choices(
        period=period,
        dates=_two_dates(values.get("dates")) if period == DATES else None,
        layers=_layers(values.get("layers")),
        metric=_one_of(values.get("metric"), list(settings.metrics), next(iter(settings.metrics))),
        method=_one_of(values.get("method"), METHODS, METHODS[0]),
        confidence_level=_one_of(
            values.get("confidence"), levels_of(analysis), analysis.confidence_level
        ),
        outliers=_one_of(values.get("outliers"), OUTLIERS, analysis.outliers),
        min_recipients=least if _is_least(least) else analysis.min_recipients,
    )


def levels_of(analysis: Analysis) -> list[float]:
    """Return the confidence levels to choose from, the configured one among them."""
    return sorted({*LEVELS, analysis.confidence_level})


def period_of(choices: Choices, *, as_of: datetime, timezone: str) -> Period:
    """Return the period that is chosen, looked at from an instant.

    Raises:
        ConfigError: The chosen dates hold no time, or more of it than is read at once.
    """
    days = PERIODS[choices.period]
    now = as_of.astimezone(ZoneInfo(timezone))
    if days is not None or choices.dates is None:
        first, end = (now - timedelta(days=days or DEFAULT_DAYS)).date(), None
    else:
        first, last = choices.dates
        end = last + timedelta(days=1)
        if (end - first).days > LONGEST_DAYS:
            raise ConfigError(
                f"{first} to {last} is more than the {LONGEST_DAYS} days that are read at once: "
                "choose dates closer together."
            )
        if first > now.date():
            raise ConfigError(
                f"{first} to {last} has not begun: the data ends {now:%Y-%m-%d %H:%M}. Choose "
                "earlier dates."
            )
    span = span_of(since=first, until=end, as_of=as_of, timezone=timezone)
    zone = ZoneInfo(timezone)
    return Period(since=span.since.astimezone(zone), until=span.until.astimezone(zone))


def span_around(period: Period, *, as_of: datetime, timezone: str) -> Span:
    """Return the span to load so that every campaign of a period is read whole."""
    margin = timedelta(days=MARGIN_DAYS)
    return span_of(
        since=(period.since - margin).date(),
        until=min((period.until + margin).date(), as_of.astimezone(UTC).date() + 2 * margin),
        as_of=as_of,
        timezone=timezone,
    )


def _one_of(value: object, options: Sequence[T], otherwise: T) -> T:
    """Return the option that equals a value, else the default."""
    return next((option for option in options if option == value), otherwise)


def _two_dates(value: object) -> tuple[date, date] | None:
    if not isinstance(value, Sequence) or len(value) != 2:
        return None
    first, last = value
    is_sound = isinstance(first, date) and isinstance(last, date) and first <= last
    return (first, last) if is_sound else None


def _layers(value: object) -> tuple[str, ...]:
    chosen = set(value) if isinstance(value, (list, tuple, set)) else set()
    return tuple(layer for layer in LAYERS if layer in chosen) or LAYERS


def _is_least(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 2 <= value <= 1_000_000

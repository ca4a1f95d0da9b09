"""The one place where numbers become text.

Three significant digits, two for relative effects; an estimate and its interval at equal precision,
never finer than the interval supports; a true minus; thousands separators; an em dash for what is
missing, with the reason where there is one.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple, SupportsFloat
from zoneinfo import ZoneInfo

import pandas as pd
from pandas.api.typing import NAType

from core.errors import DataError

MISSING = "—"
MINUS = "−"
_DIGITS = 3
_RELATIVE_DIGITS = 2
_RELATIVE_DECIMALS = 2
_MOST_DECIMALS = 8
_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)

Number = SupportsFloat | NAType | None
Instant = pd.Timestamp | datetime | None


class Bounds(NamedTuple):
    """Both ends of an interval; one that is missing or infinite is no bound."""

    low: float
    high: float


REASONS = MappingProxyType(
    {
        "ok": "",
        "window_open": "window still open",
        "incomplete": "part of the data is missing",
        "too_few_users": "too few users",
        "no_users": "no users",
        "no_campaigns": "no campaign qualifies",
        "no_recipients": "nobody received it",
        "no_deliveries": "nothing was delivered",
        "no_baseline": "no time before the push",
        "no_baseline_events": "no events before the push",
        "baseline_near_zero": "baseline too close to zero",
        "no_events": "no events at all",
        "no_variation": "everyone changed by the same amount",
        "no_comparison": "nobody to compare with",
        "no_support": "too few comparable users",
        "no_holdout": "nobody was held out",
        "too_few_held_out": "too few were held out",
        "no_trigger": "no trigger recorded",
        "trigger_unknown": "what set it off is not known",
        "triggered_sends": "not for sends that people set off",
        "not_triggered": "only for sends that people set off",
        "always_on": "pushed nearly every time",
        "too_few_earlier_triggers": "too few earlier triggers without a push",
        "too_few_weeks": "too few weeks before it",
        "too_few_days": "too few days were read",
        "contaminated_baseline": "other pushes fill the earlier weeks",
        "not_separable": "not separable from other pushes",
        "selected_on_activity": "recipients were chosen by activity",
        "too_little_data": "too few events",
        "too_few_events": "too few events",
        "not_identified": "no sound comparison",
        "not_loaded": "not enough was read for it",
        "not_mapped": "no recipient found in the activity data",
        "outliers": "the outlier rule left too few users",
        "failed_checks": "did not pass its self-checks",
        "no_data": "no data",
    }
)
"""Why a number is missing, by status, short enough to stand in a cell."""


def reason(status: str | None) -> str:
    """Return why a number is missing, in a short phrase; nothing where it is not.

    Args:
        status: A status of the declared tables. One that is not known is returned in words, so
            that a new status is never silent.
    """
    if status is None or pd.isna(status):
        return REASONS["no_data"]
    return REASONS.get(status, status.replace("_", " "))


def missing(status: str | None) -> str:
    """Return the em dash with its reason."""
    why = reason(status)
    return f"{MISSING} {why}" if why else MISSING


def is_missing(value: Number) -> bool:
    """Say whether a number is None, NA, NaN or infinite."""
    return not math.isfinite(_plain(value))


def percent(fraction: Number, ci: tuple[float, float] | None = None) -> str:
    """Return a relative effect with its sign, "+19.7 % [17.2, 22.3]".

    Args:
        fraction: The effect as a fraction; 0.12 is +12 %.
        ci: Its interval, as fractions.
    """
    return _estimate(fraction, ci, factor=100, digits=_RELATIVE_DIGITS, unit=" %")


def points(fraction: Number, ci: tuple[float, float] | None = None) -> str:
    """Return a difference of two shares in percentage points, "+1.2 pp [0.3, 2.1]".

    Args:
        fraction: The difference as a fraction; 0.012 is +1.2 pp.
        ci: Its interval, as fractions.
    """
    return _estimate(fraction, ci, factor=100, digits=_RELATIVE_DIGITS, unit=" pp")


def signed(value: Number, ci: tuple[float, float] | None = None) -> str:
    """Return an absolute effect with its sign, "+0.0123 [0.0041, 0.0205]".

    Args:
        value: The effect in its own unit.
        ci: Its interval, in the same unit.
    """
    return _estimate(value, ci, factor=1, digits=_DIGITS, unit="")


def rate(value: Number, ci: tuple[float, float] | None = None) -> str:
    """Return a rate without a sign in front, "0.0713".

    Args:
        value: Events per user per day.
        ci: Its interval, in the same unit.
    """
    return _estimate(value, ci, factor=1, digits=_DIGITS, unit="").removeprefix("+")


def count(number: Number) -> str:
    """Return a whole number with thousands separators, "8,412"."""
    if is_missing(number):
        return MISSING
    return _fixed(_plain(number), 0)


def share(fraction: Number) -> str:
    """Return a part of a whole, "97.2 %"; what is nearly all or nearly nothing says so.

    Args:
        fraction: The part, 0 to 1.
    """
    if is_missing(fraction):
        return MISSING
    value = 100 * _plain(fraction)
    if 0 < value < 0.1:
        return "< 0.1 %"
    if 99.9 < value < 100:
        return "> 99.9 %"
    return f"{_fixed(value, 0 if value in {0.0, 100.0} else 1)} %"


def confidence(level: Number) -> str:
    """Return a confidence level, "95 %" or "99.5 %"."""
    if is_missing(level):
        return MISSING
    return f"{100 * _plain(level):.6g} %"


def pvalue(value: Number) -> str:
    """Return a p- or q-value to three decimals, "0.042" or "< 0.001"."""
    if is_missing(value):
        return MISSING
    return "< 0.001" if _plain(value) < 0.001 else f"{_plain(value):.3f}"


def size(n_bytes: Number) -> str:
    """Return a number of bytes in decimal units, "1.2 MB"."""
    if is_missing(n_bytes):
        return MISSING
    value = _plain(n_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{_fixed(value, 0 if unit == 'B' or value >= 99.95 else 1)} {unit}"
        value /= 1000
    return f"{_fixed(value, 1)} TB"


def interval(ci: tuple[float, float], *, decimals: int) -> str:
    """Return an interval in brackets; a side without a bound says so instead of a number.

    Args:
        ci: Low and high.
        decimals: Decimals of both, those of the estimate they belong to.
    """
    low, high = ci
    if is_missing(low) and is_missing(high):
        return "[no bounds]"
    lower = "no lower bound" if is_missing(low) else _fixed(_plain(low), decimals)
    upper = "no upper bound" if is_missing(high) else _fixed(_plain(high), decimals)
    return f"[{lower}, {upper}]"


def duration(length: timedelta | None) -> str:
    """Return a length of time in its one or two largest units, "2 d 5 h" or "45 min"."""
    if length is None or pd.isna(length):
        return MISSING
    if length < _MINUTE:
        return "less than a minute"
    if length < _HOUR:
        return f"{length // _MINUTE} min"
    if length < 2 * _DAY:
        hours, rest = divmod(length, _HOUR)
        minutes = rest // _MINUTE
        return f"{hours} h" if hours >= 6 or not minutes else f"{hours} h {minutes} min"
    days, rest = divmod(length, _DAY)
    hours = rest // _HOUR
    return f"{days} d {hours} h" if hours and days < 7 else f"{days:,} d"


def closes_in(closes_at: Instant, as_of: Instant) -> str:
    """Return how long a window stays open, "closes in 17 h", or "closed".

    Args:
        closes_at: The end of the window, with a zone.
        as_of: The instant looked from, with a zone.

    Raises:
        DataError: An instant carries no zone.
    """
    if closes_at is None or as_of is None or pd.isna(closes_at) or pd.isna(as_of):
        return MISSING
    left = _aware(closes_at) - _aware(as_of)
    return "closed" if left <= timedelta(0) else f"closes in {duration(left)}"


def instant(moment: Instant, zone: str = "UTC") -> str:
    """Return an instant to the minute in a zone, "2026-10-13 09:02 EDT".

    Args:
        moment: The instant, with a zone of its own.
        zone: The zone to show it in.

    Raises:
        DataError: The instant carries no zone.
    """
    if moment is None or pd.isna(moment):
        return MISSING
    return _aware(moment).astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M %Z")


def day(moment: Instant, zone: str = "UTC") -> str:
    """Return the day an instant falls on in a zone, "2026-10-13".

    Raises:
        DataError: The instant carries no zone.
    """
    if moment is None or pd.isna(moment):
        return MISSING
    return _aware(moment).astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d")


def exact(moment: Instant) -> str:
    """Return an instant for machines, ISO 8601 in UTC to the millisecond; empty where missing.

    Raises:
        DataError: The instant carries no zone.
    """
    if moment is None or pd.isna(moment):
        return ""
    text = _aware(moment).astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _aware(moment: pd.Timestamp | datetime) -> datetime:
    """Return the instant as a datetime, to the microsecond, once it carries a zone."""
    plain = moment.to_pydatetime(warn=False) if isinstance(moment, pd.Timestamp) else moment
    if plain.tzinfo is None:
        raise DataError(
            f"The instant {plain} carries no time zone; give it one before it is shown."
        )
    return plain


def _estimate(
    value: Number,
    ci: tuple[float, float] | None,
    *,
    factor: int,
    digits: int,
    unit: str,
) -> str:
    scaled = factor * _plain(value)
    if is_missing(scaled):
        return MISSING
    bounds = None if ci is None else Bounds(*(factor * _plain(side) for side in ci))
    decimals = _decimals(scaled, bounds, digits=digits)
    if digits == _RELATIVE_DIGITS:
        decimals = min(max(decimals, 1 if abs(scaled) < 99.95 else 0), _RELATIVE_DECIMALS)
    text = _fixed(scaled, decimals)
    is_zero = not text.strip("0.")
    sign = "" if is_zero or text.startswith(MINUS) else "+"
    brackets = "" if bounds is None else f" {interval(bounds, decimals=decimals)}"
    return f"{sign}{text}{unit}{brackets}"


def _plain(value: Number) -> float:
    """Return the number as a float, NaN where there is none."""
    return math.nan if value is None or isinstance(value, NAType) else float(value)


def _decimals(value: float, bounds: Bounds | None, *, digits: int) -> int:
    """Return the decimals that show `digits` of the estimate, as far as its interval supports."""
    reach = [abs(side - value) for side in bounds or () if math.isfinite(side)]
    half = min(reach, default=0.0)
    wanted = _decimals_of(value, digits)
    supported = _decimals_of(half, digits)
    needed = _decimals_of(half, 1)  # fewer would print both ends of a narrow interval alike
    if wanted is None or supported is None or needed is None:
        return wanted if wanted is not None else supported or 0
    return min(max(wanted, needed), supported)


def _decimals_of(value: float, digits: int) -> int | None:
    """Return the decimals that show so many significant digits; None for zero, which has none."""
    if value == 0:
        return None
    exponent = int(f"{value:.{digits - 1}e}".partition("e")[2])
    return min(max(0, digits - 1 - exponent), _MOST_DECIMALS)


def _fixed(value: float, decimals: int) -> str:
    text = f"{abs(value):,.{decimals}f}"
    is_negative = value < 0 and bool(text.strip("0.,"))
    return f"{MINUS}{text}" if is_negative else text

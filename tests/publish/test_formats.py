from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DataError
from core.frames import CAMPAIGNS
from core.publish import formats

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "ci", "text"),
    [
        (0.197, (0.172, 0.223), "+19.7 % [17.2, 22.3]"),
        (0.012, (0.003, 0.021), "+1.2 % [0.3, 2.1]"),
        (-0.012, (-0.021, 0.003), "−1.2 % [−2.1, 0.3]"),
        (0.12, None, "+12.0 %"),
        (0.0034, None, "+0.34 %"),
        (0.00034, (-0.45, 0.6), "0.0 % [−45.0, 60.0]"),
        (-0.000001, None, "0.00 %"),
        (0.0, None, "0.0 %"),
        (0.0, (0.0, 0.0), "0.0 % [0.0, 0.0]"),
        (0.9996, (0.5, 1.2), "+100 % [50, 120]"),
        (2.5, (1.1, NAN), "+250 % [110, no upper bound]"),
        (0.1, (NAN, 0.2), "+10.0 % [no lower bound, 20.0]"),
        (0.1, (-np.inf, np.inf), "+10.0 % [no bounds]"),
        (12.345, (10, 13.5), "+1,234 % [1,000, 1,350]"),
        (0.197, (0.1965, 0.1975), "+19.70 % [19.65, 19.75]"),
        (np.float64(0.3), None, "+30.0 %"),
        (None, None, "—"),
        (NAN, (0.1, 0.2), "—"),
        (pd.NA, None, "—"),
    ],
)
def test_percent(value, ci, text):
    assert formats.percent(value, ci) == text


def test_points_says_percentage_points():
    assert formats.points(0.012, (0.003, 0.021)) == "+1.2 pp [0.3, 2.1]"


@pytest.mark.parametrize(
    ("value", "ci", "text"),
    [
        (0.0123, (0.0041, 0.0205), "+0.0123 [0.0041, 0.0205]"),
        (-0.0123, None, "−0.0123"),
        (0.00001, (-0.0523, 0.0523), "0.0000 [−0.0523, 0.0523]"),
        (1234.5, (-200, 2800), "+1,234 [−200, 2,800]"),
        (12.34, (12.32, 12.36), "+12.34 [12.32, 12.36]"),
        (9.996, None, "+10.0"),
        (0, None, "0"),
        (None, None, "—"),
    ],
)
def test_signed(value, ci, text):
    assert formats.signed(value, ci) == text


def test_rate_has_no_plus_in_front():
    assert formats.rate(0.0713) == "0.0713"
    assert formats.rate(0.0713, (0.0651, 0.0775)) == "0.0713 [0.0651, 0.0775]"


@pytest.mark.parametrize(
    ("number", "text"),
    [(8412, "8,412"), (1234567.0, "1,234,567"), (0, "0"), (-3, "−3"), (None, "—"), (NAN, "—")],
)
def test_count(number, text):
    assert formats.count(number) == text


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (0.972, "97.2 %"),
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.99999, "> 99.9 %"),
        (0.00001, "< 0.1 %"),
        (None, "—"),
    ],
)
def test_share_never_rounds_to_all_or_nothing(fraction, text):
    assert formats.share(fraction) == text


@pytest.mark.parametrize(("level", "text"), [(0.95, "95 %"), (0.995, "99.5 %"), (None, "—")])
def test_confidence(level, text):
    assert formats.confidence(level) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.042, "0.042"), (0.0004, "< 0.001"), (0.001, "0.001"), (NAN, "—")]
)
def test_pvalue(value, text):
    assert formats.pvalue(value) == text


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_951, "100 kB"),
        (999_600, "1.0 MB"),
        (1.2e6, "1.2 MB"),
        (5e15, "5,000.0 TB"),
        (None, "—"),
    ],
)
def test_size(n_bytes, text):
    assert formats.size(n_bytes) == text


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(seconds=30), "less than a minute"),
        (timedelta(minutes=45), "45 min"),
        (timedelta(hours=1), "1 h"),
        (timedelta(minutes=90), "1 h 30 min"),
        (timedelta(hours=17, minutes=12), "17 h"),
        (timedelta(hours=47, minutes=59), "47 h"),
        (timedelta(hours=53), "2 d 5 h"),
        (timedelta(hours=48), "2 d"),
        (timedelta(days=400, hours=5), "400 d"),
        (None, "—"),
    ],
)
def test_duration(length, text):
    assert formats.duration(length) == text


def test_closes_in_counts_down_and_ends():
    now = pd.Timestamp("2026-10-31T04:00Z")
    assert formats.closes_in(now + pd.Timedelta(hours=17), now) == "closes in 17 h"
    assert formats.closes_in(now, now) == "closed"
    assert formats.closes_in(pd.NaT, now) == "—"


def test_instant_is_shown_in_the_zone_asked_for():
    moment = pd.Timestamp("2026-11-01T05:30:00Z")
    assert formats.instant(moment, "America/New_York") == "2026-11-01 01:30 EDT"
    later = moment + pd.Timedelta(hours=1)
    assert formats.instant(later, "America/New_York") == "2026-11-01 01:30 EST"
    assert formats.instant(None) == "—"


def test_day_is_the_day_in_the_zone():
    moment = datetime(2026, 10, 14, 2, tzinfo=UTC)
    assert formats.day(moment, "America/New_York") == "2026-10-13"
    assert formats.day(moment) == "2026-10-14"
    assert formats.day(pd.NaT) == "—"


def test_exact_is_utc_with_milliseconds():
    moment = pd.Timestamp("2026-10-13T09:02:03.0049-04:00")
    assert formats.exact(moment) == "2026-10-13T13:02:03.004Z"
    assert formats.exact(pd.NaT) == ""


def test_instant_without_zone_raises():
    with pytest.raises(DataError, match="no time zone"):
        formats.instant(pd.Timestamp("2026-10-13T09:02"))


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("ok", ""),
        ("too_few_users", "too few users"),
        ("window_open", "window still open"),
        ("no_comparison", "nobody to compare with"),
        ("a_new_status", "a new status"),
        (None, "no data"),
    ],
)
def test_reason(status, text):
    assert formats.reason(status) == text


def test_reason_covers_every_declared_status():
    (declared,) = (c.meaning for c in CAMPAIGNS.columns if c.name == "status")
    assert set(declared.split(", ")) <= set(formats.REASONS)


def test_missing_is_a_dash_with_its_reason():
    assert formats.missing("no_baseline_events") == "— no events before the push"
    assert formats.missing("ok") == "—"


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_percent_keeps_estimate_and_interval_at_equal_precision(value, half):
    text = formats.percent(value, (value - half, value + half))
    estimate, _, rest = text.partition(" % [")
    low, high = rest.rstrip("]").split(", ")
    decimals = {len(part.partition(".")[2]) for part in (estimate, low, high)}
    assert len(decimals) == 1
    assert "-" not in text
    assert not any(part in text for part in ("−0.0 ", "−0.0,", "−0.0]", "+0.0 ", "−0 ", "+0 "))


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_every_format_takes_every_float(value):
    for function in (formats.percent, formats.signed, formats.rate, formats.count, formats.share):
        assert function(value)

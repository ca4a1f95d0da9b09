from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from core.errors import DataError
from core.publish import alttext
from tests.publish import examples


def _campaigns():
    frame = examples.lifts()
    names = examples.campaigns()[["campaign_id", "name"]]
    return frame[frame["metric"] == "confirmed_trades"].merge(names, on="campaign_id")


def test_forest_says_takeaway_counts_and_extremes():
    said = alttext.forest(_campaigns(), title="Most campaigns rose.")
    assert said.startswith("Most campaigns rose. Dots with intervals, 6 rows: 5 above zero, ")
    assert "0 below zero, 0 including zero, 1 without a number." in said
    ordered = _campaigns().sort_values("rel_effect_size", ascending=False)
    assert f"Highest: {ordered['name'].iloc[0]}, +" in said
    assert f"lowest: {ordered['name'].iloc[4]}, +" in said


def test_forest_of_one_or_none_has_no_extremes():
    assert alttext.forest(_campaigns().head(1), title="").endswith("].")
    assert alttext.forest(_campaigns().head(0), title="") == (
        "Dots with intervals, 0 rows: 0 above zero, 0 below zero, 0 including zero."
    )


def test_metrics_dots_says_every_metric():
    frame = examples.lifts()
    said = alttext.metrics_dots(frame[frame["campaign_id"] == "c00"], title="t")
    assert "confirmed trades +" in said
    assert "sessions −" in said
    assert "no upper bound" in said


def test_lift_by_week_says_first_and_last():
    weeks = pd.date_range("2026-09-07", periods=6, freq="7D", tz="UTC")
    said = alttext.lift_by_week(_campaigns().assign(week=weeks), title="Steady")
    assert said.startswith("Steady. Lift by week, 6 weeks: 5 above zero")
    assert "From week of 2026-09-07, +" in said
    assert "to week of 2026-10-12, +" in said
    none = _campaigns().head(0).assign(week=weeks[:0])
    assert alttext.lift_by_week(none, title="").endswith("0 including zero.")


def test_activity_around_says_means_and_expectation():
    offset = np.arange(-24, 24)
    rate = np.where(offset >= 0, 0.06, 0.04)
    frame = pd.DataFrame({"offset": offset, "rate": rate, "expected": 0.045})
    assert alttext.activity_around(frame, title="Up") == (
        "Up. Mean events per user per hour around the push: 24 hours before 0.0400, "
        "24 hours after 0.0600, expected after 0.0450."
    )
    assert "expected" not in alttext.activity_around(frame[["offset", "rate"]], title="Up")


def test_ledger_bars_says_every_step_and_what_is_left():
    frame = pd.DataFrame({"step": ["rows", "measured"], "n": [1000, 932]})
    assert alttext.ledger_bars(frame, title="Most") == (
        "Most. Steps: rows 1,000, measured 932; 93.2 % are left."
    )
    assert alttext.ledger_bars(frame.head(0), title="") == "Steps: none."


def test_lacking_a_column_raises():
    with pytest.raises(DataError, match="lacks the column week"):
        alttext.lift_by_week(_campaigns(), title="t")

"""Two saved runs beside each other."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from core.errors import DataError
from core.health.compare import compare, settings_changes
from core.health.frames import RUN_CHANGES
from tests.health.records import MEASURED, headline, record

BEFORE = record(
    0,
    headlines=(
        headline("all", 0.20),
        headline("2", 0.20),
        headline("same", 0.10),
        headline("moved", 0.10),
        headline("leapt", 0.10),
        headline("closed", None, status="window_open", verdict="too early"),
        headline("old", 0.05),
    ),
)
NOW = record(
    1,
    headlines=(
        headline("all", 0.21),
        headline("2", 0.20),
        headline("same", 0.10),
        headline("moved", 0.12),
        headline("leapt", 0.30),
        headline("closed", 0.4),
        headline("new", 0.01),
    ),
)


def by_name(table: pd.DataFrame) -> pd.DataFrame:
    return table.set_index("of")


def test_compare_says_what_changed() -> None:
    found = by_name(compare(NOW, BEFORE))
    assert found["change"].to_dict() == {
        "all": "effect", "2": "same", "new": "new", "old": "gone", "closed": "status",
        "leapt": "effect", "moved": "effect", "same": "same",
    }  # fmt: skip
    closed = found.loc["closed"]
    assert (closed["status_before"], closed["verdict_before"]) == ("window_open", "too early")
    assert (closed["status"], closed["verdict"]) == ("ok", "works")
    assert found.loc["moved", "difference"] == pytest.approx(0.02)
    assert pd.isna(found.loc["closed", "difference"])


def test_compare_says_where_a_number_left_the_earlier_interval() -> None:
    found = by_name(compare(NOW, BEFORE))
    assert found.index[found["is_outside"]].tolist() == ["leapt"]


def test_compare_of_an_open_end_never_is_outside() -> None:
    before = replace(BEFORE, headlines=(headline("a", 0.1, rel_effect_size_ci_high=None),))
    now = replace(NOW, headlines=(headline("a", 9.0),))
    assert not compare(now, before)["is_outside"].any()
    lower = replace(NOW, headlines=(headline("a", -1.0),))
    assert compare(lower, before)["is_outside"].all()


def test_compare_is_the_declared_table_with_layers_first_then_what_changed() -> None:
    found = compare(NOW, BEFORE)
    pd.testing.assert_frame_equal(found, RUN_CHANGES.checked(found))
    assert found["of"].tolist() == [
        "all", "2", "new", "old", "closed", "leapt", "moved", "same",
    ]  # fmt: skip
    assert found["level"].tolist() == ["layer"] * 2 + ["campaign"] * 6


def test_compare_with_itself_is_the_same() -> None:
    found = compare(NOW, NOW)
    assert set(found["change"]) == {"same"}
    assert (found["difference"].dropna() == 0).all()
    assert settings_changes(NOW, NOW) == ()


def test_compare_of_runs_without_campaigns_is_empty() -> None:
    bare = replace(NOW, headlines=())
    assert compare(bare, bare).empty
    assert set(compare(bare, BEFORE)["change"]) == {"gone"}


@pytest.mark.parametrize("order", [1, -1])
def test_compare_with_a_failed_run_is_refused(order: int) -> None:
    failed = replace(BEFORE, status="failed", error="It broke.")
    with pytest.raises(DataError, match="failed and holds no numbers"):
        compare(*[NOW, failed][::order])


def test_settings_changes_name_each() -> None:
    other = replace(
        MEASURED, outliers="winsorize", metrics={"confirmed_trades": ("Trade Confirmed", "Swap")}
    )
    said = settings_changes(replace(BEFORE, settings=other, version="0.2.0"), BEFORE)
    assert said == (
        "Version: 0.1.0 before, 0.2.0 now.",
        "Outliers: keep before, winsorize now.",
        "Metric confirmed trades: Trade Confirmed before, Trade Confirmed, Swap now.",
        "Metric sessions: $pageview before, none now.",
    )

"""Alerts: raised where a threshold is missed, told once, in words that say what to do."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest

from core.frames import CAMPAIGNS
from core.health.alerts import MIN_REQUESTS, alerts_of, state_of, told_of
from core.health.frames import ALERTS, VERDICTS
from core.health.records import Cost, Record, Score, Told
from core.quality.frames import SCORES
from core.sections import Alerts
from tests.health.records import record

RUN = record(4)
LAST = record(3)


def campaigns(**columns: list[Any]) -> pd.DataFrame:
    """Return CAMPAIGNS of two sends that went well, with some columns replaced."""
    known: dict[str, list[Any]] = {}
    for column in CAMPAIGNS.columns:
        known[column.name] = {
            "text": ["x", "x"],
            "integer": [0, 0],
            "flag": [True, True],
            "number": [0.0, 0.0],
            "instant": [pd.NaT, pd.NaT],
        }[column.kind]
    known |= {
        "campaign_id": ["a", "b"], "name": ["Drop A", "Drop B"], "layer": ["1", "2"],
        "status": ["ok", "ok"], "n_delivered": [100, 200], "n_mapped": [99, 199],
        "window_closes_at": [LAST.as_of - timedelta(days=9)] * 2, **columns,
    }  # fmt: skip
    frame = pd.DataFrame(known)
    for column in CAMPAIGNS.columns:
        if column.kind == "instant":
            frame[column.name] = pd.to_datetime(frame[column.name], utc=True).dt.as_unit("ms")
    return frame


def verdicts() -> pd.DataFrame:
    rows = {"campaign_id": ["a", "b"], "word": ["works", "no clear effect"],
            "number": ["+12.0 % [3.0, 21.0]", "+1.0 % [-8.0, 9.0]"]}  # fmt: skip
    return VERDICTS.checked(pd.DataFrame(rows).astype("str"))


def raised(run: Record = RUN, **changed: Any) -> pd.DataFrame:
    given = {
        "campaigns": campaigns(), "scores": SCORES.empty(), "verdicts": verdicts(),
        "rules": Alerts(), "now": run.started_at, "last": LAST, **changed,
    }  # fmt: skip
    return alerts_of(run, **given)


def one(table: pd.DataFrame) -> pd.Series:
    assert len(table) == 1
    return table.iloc[0]


def test_run_that_went_well_raises_nothing() -> None:
    found = raised()
    assert found.empty
    pd.testing.assert_frame_equal(found, ALERTS.empty())


def test_mapping_below_its_threshold_names_the_lowest_campaign() -> None:
    run = replace(RUN, mapped_share=0.9312)
    alert = one(raised(run, campaigns=campaigns(n_mapped=[99, 150])))
    assert (alert["kind"], alert["about"], alert["severity"]) == ("mapping", "all", "act")
    assert (alert["value"], alert["threshold"]) == (0.9312, 0.95)
    assert "93.1 %" in alert["words"]
    assert "Lowest: Drop B, 75.0 %" in alert["words"]


@pytest.mark.parametrize(("share", "n"), [(0.95, 0), (0.9499, 1), (None, 0), (1.0, 0)])
def test_mapping_is_held_against_its_threshold(share: float | None, n: int) -> None:
    found = raised(replace(RUN, mapped_share=share))
    assert len(found) == n
    assert all("95.0 % of recipients" not in words for words in found["words"])


def test_thresholds_are_those_of_the_settings() -> None:
    rules = Alerts(mapped_share=0.5, quality=0.5, error_rate=0.9, data_age_hours=1000)
    run = replace(
        RUN, mapped_share=0.6, scores=(Score(level="all", of="all", side="combined", score=0.6),),
        cost=Cost(requests=100, errors=80), newest_event_at=RUN.started_at - timedelta(days=30),
    )  # fmt: skip
    assert raised(run, rules=rules).empty
    assert set(raised(run)["kind"]) == {"mapping", "quality", "errors", "data_age"}


def test_quality_below_its_threshold_names_the_lowest_part() -> None:
    scores = pd.DataFrame(
        {
            "level": "all", "of": "all", "side": ["activity", "database", "combined"],
            "part": ["user_coverage", "identifier_format", "activity"], "weight": 0.3,
            "score": [0.61, 0.99, 0.2], "threshold": 0.95, "n": 1, "n_of": 1, "inputs": "x",
            "status": "ok",
        }
    )  # fmt: skip
    run = replace(RUN, scores=(Score(level="all", of="all", side="combined", score=0.84),))
    alert = one(raised(run, scores=scores))
    assert alert["kind"] == "quality"
    assert "84.0 %, below 95.0 %. Lowest: user coverage (activity), 61.0 %" in alert["words"]


def test_quality_that_is_not_known_raises_nothing() -> None:
    assert raised(replace(RUN, scores=())).empty


@pytest.mark.parametrize(
    ("requests", "errors", "n"),
    [(MIN_REQUESTS, 2, 1), (MIN_REQUESTS - 1, 10, 0), (100, 5, 0), (100, 6, 1), (0, 0, 0)],
)
def test_errors_are_a_rate_of_enough_requests(requests: int, errors: int, n: int) -> None:
    found = raised(replace(RUN, cost=Cost(requests=requests, errors=errors, retries=1)))
    assert len(found) == n
    assert set(found["severity"]) <= {"know"}


@pytest.mark.parametrize(("hours", "n"), [(47, 0), (48, 0), (49, 1)])
def test_data_age_is_counted_to_the_end_of_what_was_to_be_read(hours: int, n: int) -> None:
    end = RUN.started_at - timedelta(days=100)
    found = raised(replace(RUN, newest_event_at=end - timedelta(hours=hours)), now=end)
    assert len(found) == n
    assert (found["value"] == hours).all()
    assert (found["about"] == RUN.source).all()


def test_data_age_of_no_event_at_all_is_an_alert() -> None:
    alert = one(raised(replace(RUN, newest_event_at=None)))
    assert "No tracked event was read" in alert["words"]
    assert pd.isna(alert["value"])


def test_partial_run_counts_what_is_withheld() -> None:
    found = raised(replace(RUN, status="partial"), campaigns=campaigns(status=["incomplete", "ok"]))
    alert = one(found)
    assert (alert["kind"], alert["value"]) == ("partial", 1.0)
    assert "1 campaign is withheld" in alert["words"]


def test_failed_run_says_what_it_said() -> None:
    alert = one(raised(replace(RUN, status="failed", error="The database is away. Start it.")))
    assert (alert["kind"], alert["severity"]) == ("failed", "act")
    assert alert["words"].endswith("failed: The database is away. Start it.")


@pytest.mark.parametrize(
    ("hours", "is_complete", "n"),
    [(-1, True, 0), (0, True, 0), (1, True, 1), (6, True, 1), (7, True, 0), (1, False, 0)],
)
def test_window_that_closed_since_the_last_run_is_told_with_its_verdict(
    *,
    hours: int,
    is_complete: bool,
    n: int,
) -> None:
    closes = [LAST.as_of + timedelta(hours=hours), LAST.as_of - timedelta(days=9)]
    table = campaigns(window_closes_at=closes, window_complete=[is_complete, True])
    found = raised(campaigns=table)
    assert len(found) == n
    if n:
        assert (found["about"].iloc[0], found["severity"].iloc[0]) == ("a", "know")
        assert found["words"].iloc[0] == (
            "The window of Drop A has closed: works, +12.0 % [3.0, 21.0]."
        )


def test_first_run_knows_of_no_window_that_closed_since() -> None:
    table = campaigns(window_closes_at=[RUN.as_of, RUN.as_of])
    assert raised(campaigns=table, last=None).empty
    assert len(raised(campaigns=table)) == 2


def test_alerts_to_act_on_come_first() -> None:
    run = replace(RUN, cost=Cost(requests=100, errors=50), mapped_share=0.1, status="partial")
    assert raised(run)["severity"].tolist() == ["act", "act", "know"]


def test_names_of_campaigns_are_cut_to_one_harmless_line() -> None:
    name = "Line one\nLine two\x1b[2J ann@example.com " + "long " * 40
    table = campaigns(name=[name, "b"], n_mapped=[1, 199])
    words = one(raised(replace(RUN, mapped_share=0.5), campaigns=table))["words"]
    assert "Line one Line two [2J <e-mail> long" in words
    assert len(words) < 400
    assert "\n" not in words


def test_message_people_were_sent_stands_in_no_alert() -> None:
    table = campaigns(
        name=["Ann, your shoes!", "Drop B"], title=["Ann, your shoes!", "B is here"],
        n_mapped=[1, 199], window_closes_at=[RUN.as_of, RUN.as_of],
    )  # fmt: skip
    found = raised(replace(RUN, mapped_share=0.5), campaigns=table)
    assert "Lowest: campaign a, 1.0 %" in found["words"].iloc[0]
    assert found["words"].iloc[1].startswith("The window of campaign a has closed")
    assert found["words"].iloc[2].startswith("The window of Drop B has closed")


def told(alerts: pd.DataFrame) -> tuple[Told, ...]:
    return tuple(replace(kept, is_told=True) for kept in told_of(alerts, [])[0])


def test_alert_is_news_once() -> None:
    alerts = raised(replace(RUN, mapped_share=0.9312))
    kept, news = told_of(alerts, [LAST])
    assert len(news) == 1
    assert not kept[0].is_told
    again, news = told_of(alerts, [replace(LAST, alerts=told(alerts))])
    assert news.empty
    assert again[0].is_told


def test_alert_that_was_not_told_last_time_is_still_news() -> None:
    alerts = raised(replace(RUN, mapped_share=0.9312))
    kept, _ = told_of(alerts, [])
    assert len(told_of(alerts, [replace(LAST, alerts=kept)])[1]) == 1


def test_alert_that_went_away_in_between_is_news_again() -> None:
    alerts = raised(replace(RUN, mapped_share=0.9312))
    earlier = [replace(record(1), alerts=told(alerts)), record(2)]
    assert len(told_of(alerts, earlier)[1]) == 1


def test_alert_told_before_a_run_failed_is_no_news_after_it() -> None:
    alerts = raised(replace(RUN, mapped_share=0.9312))
    failed = replace(record(2), status="failed", error="Away.")
    failure = raised(failed)
    earlier = [replace(record(1), alerts=told(alerts)), replace(failed, alerts=told(failure))]
    assert told_of(alerts, earlier)[1].empty
    assert told_of(failure, earlier)[1].empty


def test_changed_value_is_news_a_slightly_changed_one_is_not() -> None:
    earlier = [replace(LAST, alerts=told(raised(replace(RUN, mapped_share=0.9312))))]
    close, far = (raised(replace(RUN, mapped_share=share)) for share in (0.9345, 0.91))
    assert told_of(close, earlier)[1].empty
    assert len(told_of(far, earlier)[1]) == 1


@pytest.mark.parametrize(
    ("kind", "one", "other", "is_same"),
    [
        ("data_age", 50.0, 71.9, True),
        ("data_age", 50.0, 72.0, False),
        ("partial", 3.0, 4.0, False),
        ("window_closed", float("nan"), float("nan"), True),
    ],
)
def test_state_of_says_what_must_change(
    kind: str,
    one: float,
    other: float,
    *,
    is_same: bool,
) -> None:
    assert (state_of(kind, one) == state_of(kind, other)) is is_same

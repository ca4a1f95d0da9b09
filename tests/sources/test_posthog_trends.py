"""PostHog's own totals against the stand-in: a real engine, a real zone, answers that go wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pandas as pd
import pytest

from core.activity.source import Usage
from core.errors import PostHogBusy, PostHogDenied, PostHogError, QueryTooBig
from core.quality.native import TOLD, day_starts
from core.sections import PostHog
from core.sources.posthog_client import Gate, Limits
from core.sources.posthog_trends import MOST_DAYS, Insights
from tests.posthog_standin import PostHogStandIn
from tests.posthog_standin.worlds import SmallWorld, write_small_world

ZONE = "America/New_York"
FIRST, LAST = date(2026, 10, 20), date(2026, 11, 9)  # the clocks go back on 1 November
EVENTS = ("purchase", "app_open", "never_happened")
PARTIAL = {"status": 504, "body": {"detail": "Query has hit the max execution time"}}


class Open(Gate):
    """Lets everything through."""

    @contextmanager
    def passage(self, limits: Limits, **_: Any) -> Iterator[Callable[[], None]]:
        yield lambda: None


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> SmallWorld:
    return write_small_world(tmp_path_factory.mktemp("trends"))


@pytest.fixture(scope="module")
def running(world: SmallWorld) -> Iterator[PostHogStandIn]:
    with PostHogStandIn(
        events=world.events_glob,
        persons=world.persons_glob,
        timezone=ZONE,
        limits={"rates": ((10_000, 60.0),)},
    ) as standin:
        yield standin


@pytest.fixture
def posthog(running: PostHogStandIn) -> PostHogStandIn:
    running.reset()
    return running


@pytest.fixture
def usage() -> Usage:
    return Usage()


@pytest.fixture
def insights(posthog: PostHogStandIn, usage: Usage) -> Iterator[Insights]:
    asking = insights_of(posthog, usage)
    yield asking
    asking.close()


def insights_of(posthog: PostHogStandIn, usage: Usage, **settings: Any) -> Insights:
    given = {"host": posthog.url, "project_id": posthog.project_id, "api_key": posthog.api_key}
    return Insights(PostHog(**{**given, **settings}), usage, sleep=lambda _: None, gate=Open())


def expected(world: SmallWorld, *, once: bool = False) -> pd.DataFrame:
    """Return each event's rows by local midnight, zeros included, straight from the export."""
    rows = world.unique if once else world.rows
    midnight = rows["timestamp"].dt.tz_convert(ZONE).dt.normalize().dt.tz_convert("UTC")
    days = pd.date_range(FIRST, LAST, tz=ZONE).tz_convert("UTC").as_unit("ms")
    counts = rows.groupby([rows["event"], midnight.dt.as_unit("ms")]).size()
    index = pd.MultiIndex.from_product([sorted(EVENTS), days], names=["event", "day"])
    return counts.reindex(index, fill_value=0).rename("n").reset_index()


def test_daily_totals_are_those_of_local_days(insights: Insights, world: SmallWorld) -> None:
    found = insights.daily_totals(EVENTS, FIRST, LAST)
    pd.testing.assert_frame_equal(found[["event", "day", "n"]], expected(world), check_dtype=False)
    assert found["n"].sum() > 500
    assert (found["n"][found["event"] == "never_happened"] == 0).all()
    hours = (found["until"] - found["day"]).dt.total_seconds() / 3600
    assert sorted(hours.unique()) == [24.0, 25.0]


def test_daily_totals_cost_one_request_that_says_what_it_asks(
    insights: Insights, posthog: PostHogStandIn, usage: Usage
) -> None:
    insights.daily_totals(EVENTS, FIRST, LAST)
    [asked] = posthog.requests()
    assert (asked["kind"], asked["refresh"]) == ("TrendsQuery", "force_blocking")
    assert asked["name"] == "its own totals by day"
    assert (usage.requests, usage.errors) == (1, 0)
    assert usage.bytes_read > 0


def test_daily_totals_of_many_events_are_asked_for_in_batches(
    insights: Insights, posthog: PostHogStandIn
) -> None:
    names = [*EVENTS, *(f"event {i}" for i in range(30))]
    found = insights.daily_totals(names, LAST, LAST)
    assert found["event"].tolist() == sorted(names)
    assert len(posthog.requests()) == 2


def test_daily_totals_too_big_at_once_are_asked_for_in_halves(
    insights: Insights, posthog: PostHogStandIn, world: SmallWorld
) -> None:
    posthog.script([PARTIAL, PARTIAL])
    found = insights.daily_totals(EVENTS, FIRST, LAST)
    found = found.sort_values(["event", "day"], ignore_index=True)
    assert found["n"].tolist() == expected(world)["n"].tolist()
    assert len(posthog.requests()) > 3


def test_daily_totals_of_one_event_and_day_too_big_say_so(
    insights: Insights, posthog: PostHogStandIn
) -> None:
    posthog.script([{**PARTIAL, "repeat": 0}])
    with pytest.raises(QueryTooBig, match="its own totals"):
        insights.daily_totals(["purchase"], LAST, LAST)


def test_daily_totals_of_none_are_empty(insights: Insights, posthog: PostHogStandIn) -> None:
    assert insights.daily_totals([], FIRST, LAST).empty
    assert posthog.requests() == []


@pytest.mark.parametrize("first", [date(2026, 10, 9), date(2026, 11, 10)])
def test_daily_totals_of_more_than_a_month_or_of_no_day_are_refused(
    insights: Insights, first: date
) -> None:
    assert (LAST - date(2026, 10, 9)).days + 1 > MOST_DAYS
    with pytest.raises(ValueError, match="days were asked for"):
        insights.daily_totals(EVENTS, first, LAST)


SERIES = {"action": {"id": "purchase"}, "days": ["2026-11-09"], "data": [5]}


@pytest.mark.parametrize(
    "wrong",
    [
        {"results": []},
        {"results": [{**SERIES, "action": {"id": "other"}}]},
        {"results": [{**SERIES, "days": ["2026-11-08"]}]},
        {"results": [{**SERIES, "data": [5, 6]}]},
        {"results": [{**SERIES, "data": [-1]}]},
        {"results": [{**SERIES, "data": [1.5]}]},
        {"results": [{**SERIES, "data": ["5"]}]},
        {"results": [{**SERIES, "data": [True]}]},
        {"results": [{**SERIES, "data": [None]}]},
        {"results": [SERIES, SERIES]},
        {"results": {"purchase": 5}},
        {"results": None},
        {"error": "broken"},
        {"is_cached": True},
    ],
)
def test_daily_totals_of_another_form_are_asked_for_again(
    insights: Insights, posthog: PostHogStandIn, usage: Usage, wrong: dict[str, Any]
) -> None:
    posthog.script([{"set_fields": wrong}])
    found = insights.daily_totals(["purchase"], LAST, LAST)
    assert len(found) == 1
    assert (usage.requests, usage.retries) == (2, 1)


def test_daily_totals_that_stay_wrong_are_given_up(
    insights: Insights, posthog: PostHogStandIn
) -> None:
    posthog.script([{"set_fields": {"results": []}, "repeat": 0}])
    with pytest.raises(PostHogBusy, match="other events or days"):
        insights.daily_totals(["purchase"], LAST, LAST)


@pytest.mark.parametrize("zone", [None, "", "Moon/Crater", 7])
def test_daily_totals_in_no_known_zone_are_not_believed(
    insights: Insights, posthog: PostHogStandIn, usage: Usage, zone: Any
) -> None:
    posthog.script([{"set_fields": {"timezone": zone}, "repeat": 0}])
    with pytest.raises(PostHogError, match="time zone"):
        insights.daily_totals(["purchase"], LAST, LAST)
    assert usage.requests == 1


def test_daily_totals_take_whole_numbers_written_as_floats(
    insights: Insights, posthog: PostHogStandIn
) -> None:
    posthog.script([{"set_fields": {"results": [{**SERIES, "data": [5.0]}]}}])
    assert insights.daily_totals(["purchase"], LAST, LAST)["n"].tolist() == [5]


def test_daily_totals_that_a_key_may_not_have_are_denied(
    posthog: PostHogStandIn, usage: Usage
) -> None:
    asking = insights_of(posthog, usage, api_key=posthog.key_without_scope)
    with pytest.raises(PostHogDenied, match="query:read"):
        asking.daily_totals(EVENTS, FIRST, LAST)
    asking.close()


def test_rows_by_day_tell_copies_from_events(insights: Insights, world: SmallWorld) -> None:
    told = TOLD.checked(insights.daily_totals(EVENTS, FIRST, LAST))
    starts = day_starts(told)
    end = int(told["until"].dt.as_unit("ms").astype("int64").max())
    rows = insights.rows_by_day(EVENTS, starts, end)
    days = pd.to_datetime(starts[rows["day"]], unit="ms", utc=True).as_unit("ms")
    found = rows.assign(day=days).set_index(["event", "day"])
    for column, once in (("n", False), ("n_once", True)):
        wanted = expected(world, once=once).set_index(["event", "day"])["n"]
        wanted = wanted[wanted > 0]
        assert found[column].sort_index().tolist() == wanted.sort_index().tolist()
    assert (rows["n"] > rows["n_once"]).any()


def test_rows_by_day_of_other_events_are_asked_for_again(
    insights: Insights, posthog: PostHogStandIn, usage: Usage
) -> None:
    told = insights.daily_totals(EVENTS, LAST, LAST)
    end = int(told["until"].dt.as_unit("ms").astype("int64").max())
    posthog.script([{"append_rows": [["stranger", 0, 1, 1]]}])
    rows = insights.rows_by_day(EVENTS, day_starts(told), end)
    assert set(rows["event"]) == {"purchase", "app_open"}
    assert usage.retries == 1

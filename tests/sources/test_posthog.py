"""Tests of the PostHog source against the stand-in, a real engine over a small world."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.activity.source import Activity, Hole, Period, Usage
from core.activity.store import Store
from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR, Timelines
from core.errors import PostHogBusy, PostHogDenied, QueryTooBig
from core.sections import PostHog
from core.sources.posthog import PostHogSource
from core.sources.posthog_client import Gate, Limits, PostHogClient
from tests.posthog_standin import PostHogStandIn

EVENTS = ["Trade Confirmed", "$pageview", "PDP add to closet"]
CROWDED = "Offer Expired"
N_PERSONS, N_MERGED, N_GHOSTS, N_DAYS = 240, 20, 5, 40
NOW = 1_790_763_630_456  # 2026-09-30 10:20:30.456 UTC
MIDNIGHT = NOW // MS_PER_DAY * MS_PER_DAY
RECENT = Period(NOW - 2 * MS_PER_DAY, NOW)
SETTLED = Period(MIDNIGHT - 20 * MS_PER_DAY, MIDNIGHT - 18 * MS_PER_DAY)
CROWD_AT = MIDNIGHT - 10 * MS_PER_DAY + 3 * MS_PER_HOUR
SEED = 20260930


def _person(number: int) -> str:
    return str(uuid.UUID(int=(0x0190 << 112) | (7 << 76) | (1 << 63) | int(number)))


def _uuids(rng: np.random.Generator, count: int) -> list[str]:
    return [str(uuid.UUID(bytes=rng.bytes(16), version=4)) for _ in range(count)]


def _export(
    when: np.ndarray, names: Sequence[str], distinct: Sequence[str], person: Sequence[Any]
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "uuid": _uuids(np.random.default_rng(SEED + len(when)), len(when)),
            "event": names,
            "distinct_id": distinct,
            "person_id": person,
            "properties": "{}",
            "person_properties": "{}",
            "timestamp": pd.to_datetime(when, unit="us", utc=True),
        }
    )


def _events() -> pd.DataFrame:
    """Return events of known, merged and person-less users, some of them exported twice."""
    rng = np.random.default_rng(SEED)
    n = 9000
    when = rng.integers((NOW - N_DAYS * MS_PER_DAY) * 1000, NOW * 1000, n)
    when[:400] = when[:400] // (MS_PER_DAY * 1000) * (MS_PER_DAY * 1000)
    when[400:800] = when[400:800] // 1_000_000 * 1_000_000 - 1
    who = rng.integers(0, N_PERSONS + N_GHOSTS, n)
    is_ghost = who >= N_PERSONS
    is_early = (when < (NOW - 25 * MS_PER_DAY) * 1000) & (who < N_MERGED)
    distinct = np.where(is_ghost, [f"ghost_{w}" for w in who], [f"u_{w}" for w in who])
    distinct = np.where(is_early, [f"anon_{w}" for w in who], distinct)
    person = np.array([_person(w) for w in who], dtype=object)
    person[is_early] = [_person(w + 5000) for w in who[is_early]]
    person[is_ghost] = None
    frame = _export(when, rng.choice([*EVENTS, "App opened"], n), distinct, person)
    crowd = _export(
        (CROWD_AT + rng.integers(0, 1000, 130)) * 1000,
        [CROWDED] * 130,
        [f"u_{w}" for w in range(100, 230)],
        [_person(w) for w in range(100, 230)],
    )
    return pd.concat([frame, crowd, frame.sample(frac=0.02, random_state=1)], ignore_index=True)


def _people() -> pd.DataFrame:
    emails = {n: f"user{n}@example.com" for n in range(N_PERSONS)}
    emails |= {1: " User1@Example.COM ", 2: "ÉMILE@example.com", 30: "shared@example.com"}
    emails |= {31: "Shared@example.com"}
    ids = [(f"u_{n}", n) for n in range(N_PERSONS)] + [(f"anon_{n}", n) for n in range(N_MERGED)]
    return pd.DataFrame(
        {
            "team_id": 1,
            "distinct_id": [distinct for distinct, _ in ids],
            "person_id": [_person(n) for _, n in ids],
            "person_distinct_id_version": [int(d.startswith("anon")) for d, _ in ids],
            "properties": [json.dumps({"email": emails[n]}) for _, n in ids],
        }
    )


class World:
    """An export, and what it says about a period by plain pandas."""

    def __init__(self, folder: Path, events: pd.DataFrame, people: pd.DataFrame) -> None:
        self.events, self.people = events, people
        self.files = {"events": folder / "events.parquet", "persons": folder / "persons.parquet"}
        events.to_parquet(self.files["events"])
        people.to_parquet(self.files["persons"])

    def expected(
        self, period: Period, names: Sequence[str], moved: dict[str, str] | None = None
    ) -> pd.DataFrame:
        known = dict(zip(self.people["distinct_id"], self.people["person_id"], strict=True))
        rows = self.events.drop_duplicates("uuid")
        instant = rows["timestamp"].dt.as_unit("us").astype("int64") // 1000
        person = rows["distinct_id"].map(known | (moved or {})).fillna(rows["distinct_id"])
        frame = pd.DataFrame({"person": person, "instant": instant, "event": rows["event"]})
        inside = (instant >= period.start) & (instant < period.end) & rows["event"].isin(names)
        return _sorted(frame[inside])


def _sorted(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame.astype({"person": "str", "event": "str", "instant": "int64"})
    return frame.sort_values(["person", "instant", "event"], ignore_index=True)


def _rows(timelines: Timelines) -> pd.DataFrame:
    names = np.asarray(timelines.event_names, dtype=object)
    return _sorted(
        pd.DataFrame(
            {
                "person": np.asarray(timelines.person_ids, dtype=object)[timelines.persons],
                "instant": timelines.instants,
                "event": names[timelines.events],
            }
        )
    )


class Open(Gate):
    """Lets everything through."""

    @contextmanager
    def passage(self, limits: Limits, **_: Any) -> Iterator[Callable[[], None]]:
        yield lambda: None


class Rig:
    """A source over a stand-in, with a clock of its own and a folder to keep things."""

    def __init__(
        self,
        posthog: PostHogStandIn,
        folder: Path,
        *,
        wall: Callable[[], float] = time.time,
        **settings: Any,
    ) -> None:
        self.posthog, self.folder = posthog, folder
        self.now = NOW
        self.settings = PostHog(
            **{
                "host": posthog.url,
                "project_id": posthog.project_id,
                "api_key": posthog.api_key,
                **settings,
            }
        )
        self.store = Store(folder)
        client = PostHogClient(self.settings, Usage(), sleep=lambda _: None, gate=Open(), wall=wall)
        self.source = PostHogSource(self.settings, self.store, now=lambda: self.now, client=client)
        self.steps: list[tuple[str, int, int]] = []

    def fetch(self, period: Period, events: Sequence[str] = EVENTS, **options: Any) -> Activity:
        return self.source.fetch(
            period, events, on_progress=lambda *step: self.steps.append(step), **options
        )

    def asked(self) -> list[dict[str, Any]]:
        """Return the requests since the last call, and forget them."""
        requests = self.posthog.requests()
        self.posthog.reset()
        return requests

    def close(self) -> None:
        self.source.close()


LIMITS = {"rates": ((100_000, 60.0),)}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"), _events(), _people())


@pytest.fixture(scope="module")
def standin(world: World) -> Iterator[PostHogStandIn]:
    with PostHogStandIn(**world.files, limits=LIMITS) as running:
        yield running


@pytest.fixture
def rig(standin: PostHogStandIn, tmp_path: Path) -> Iterator[Rig]:
    standin.reset()
    rig = Rig(standin, tmp_path / "cache")
    yield rig
    rig.close()


def test_fetch_returns_each_event_of_the_period_once(rig: Rig, world: World) -> None:
    period = Period(NOW - 38 * MS_PER_DAY + 12_345, NOW)
    activity = rig.fetch(period)
    timelines = activity.timelines
    assert timelines.event_names == tuple(EVENTS)
    pd.testing.assert_frame_equal(_rows(timelines), world.expected(period, EVENTS))
    known = dict(zip(world.people["distinct_id"], world.people["person_id"], strict=True))
    seen = dict(zip(activity.seen["distinct_id"], activity.seen["person_id"], strict=True))
    assert seen == {distinct: known.get(distinct, distinct) for distinct in seen}
    assert {"ghost_241", "anon_3", "u_3"} <= set(seen)
    assert activity.seen["is_current"].all()
    assert activity.notices == ()
    asked = rig.asked()
    assert len(asked) == 6
    assert {request["refresh"] for request in asked} == {"force_blocking"}


@pytest.mark.parametrize("shift", [0, 1, 999, 1000])
def test_fetch_is_exact_to_the_millisecond(rig: Rig, world: World, shift: int) -> None:
    edge = world.expected(SETTLED, EVENTS)["instant"].iloc[7]
    period = Period(edge + shift, SETTLED.end - shift)
    expected = world.expected(period, EVENTS)
    pd.testing.assert_frame_equal(_rows(rig.fetch(period).timelines), expected)
    assert set(rig.fetch(period).timelines.person_ids) == set(expected["person"])


def test_fetch_again_asks_for_nothing(rig: Rig, world: World) -> None:
    period = Period(NOW - 20 * MS_PER_DAY, NOW)
    rig.fetch(period)
    n_slices = len(rig.asked())
    again = Rig(rig.posthog, rig.folder)  # another process, as far as anybody can tell
    pd.testing.assert_frame_equal(
        _rows(again.fetch(period).timelines), world.expected(period, EVENTS)
    )
    part = Period(SETTLED.start + 5, SETTLED.end - 5)
    pd.testing.assert_frame_equal(_rows(again.fetch(part).timelines), world.expected(part, EVENTS))
    assert again.asked() == []
    assert again.source.usage.cache_hits == n_slices + 1
    again.close()


def test_fetch_on_the_next_day_asks_for_that_day_and_what_had_not_settled(
    rig: Rig, world: World
) -> None:
    rig.now = NOW - 2 * MS_PER_DAY
    rig.fetch(Period(NOW - 30 * MS_PER_DAY, rig.now))
    rig.asked()
    rig.now = NOW - MS_PER_DAY + 1
    period = Period(NOW - 29 * MS_PER_DAY, rig.now)
    activity = rig.fetch(period)
    pd.testing.assert_frame_equal(_rows(activity.timelines), world.expected(period, EVENTS))
    assert activity.seen["is_current"].all()
    names = sorted(request["name"] for request in rig.asked())
    assert names == ["a slice of activity", "a slice of activity", "merged persons"]


def test_fetch_refetches_the_unsettled_after_an_hour_or_on_refresh(rig: Rig) -> None:
    period = Period(NOW - 5 * MS_PER_DAY, NOW)
    rig.fetch(period)
    assert len(rig.asked()) == 2
    rig.fetch(period, refresh=True)
    names = [request["name"] for request in rig.asked()]
    assert sorted(names) == ["a slice of activity"]
    rig.now = NOW + MS_PER_HOUR
    rig.fetch(period)
    assert len(rig.asked()) == 1


def test_fetch_with_refresh_learns_of_merges_at_once(rig: Rig) -> None:
    rig.fetch(SETTLED)
    rig.asked()
    rig.now = NOW + 1
    rig.fetch(SETTLED, refresh=True)
    assert [request["name"] for request in rig.asked()] == ["merged persons"]


def test_fetch_of_the_future_or_of_no_events_is_empty(rig: Rig) -> None:
    for activity in (
        rig.fetch(Period(NOW + MS_PER_DAY, NOW + 9 * MS_PER_DAY)),
        rig.fetch(RECENT, []),
        rig.fetch(RECENT, ["Never tracked"]),
    ):
        assert len(activity.timelines) == 0
        assert len(activity.seen) == 0
    assert len(rig.asked()) == 1


def test_fetch_orders_events_as_asked_and_keeps_them_apart(rig: Rig, world: World) -> None:
    for names in (EVENTS[:2], EVENTS[1:], ["$pageview", "Trade Confirmed"]):
        timelines = rig.fetch(SETTLED, names).timelines
        assert timelines.event_names == tuple(names)
        pd.testing.assert_frame_equal(_rows(timelines), world.expected(SETTLED, names))
    assert len(rig.asked()) == 2


def test_fetch_by_two_at_once_asks_once(rig: Rig, world: World) -> None:
    period = Period(NOW - 20 * MS_PER_DAY, NOW)
    rigs = [rig, Rig(rig.posthog, rig.folder), Rig(rig.posthog, rig.folder)]
    rig.posthog.script([{"hold": 0.2}] * 4)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda one: one.fetch(period), rigs))
    assert len(rig.asked()) == 4
    for activity in found:
        pd.testing.assert_frame_equal(_rows(activity.timelines), world.expected(period, EVENTS))
    for other in rigs[1:]:
        other.close()


def test_fetch_reports_slices(rig: Rig) -> None:
    rig.fetch(Period(NOW - 20 * MS_PER_DAY, NOW))
    step = "Fetching activity from PostHog"
    assert rig.steps == [(step, done, 4) for done in range(5)]
    rig.steps.clear()
    rig.fetch(Period(NOW - 20 * MS_PER_DAY, NOW))
    assert rig.steps == [(step, 4, 4)]


def test_fetch_splits_slices_that_come_back_full(rig: Rig, world: World) -> None:
    rig.posthog.set_limits(max_rows=100)
    activity = rig.fetch(SETTLED)
    pd.testing.assert_frame_equal(_rows(activity.timelines), world.expected(SETTLED, EVENTS))
    asked = rig.asked()
    assert len(asked) > 3
    assert any(request["rows"] == 100 for request in asked)
    rig.fetch(SETTLED)
    assert rig.asked() == []
    assert rig.steps[-1][1] == rig.steps[-1][2]


def test_fetch_does_not_believe_an_answer_that_was_silently_cut(rig: Rig, world: World) -> None:
    rig.posthog.script([{"rows_clamp": 30}])
    pd.testing.assert_frame_equal(
        _rows(rig.fetch(SETTLED).timelines), world.expected(SETTLED, EVENTS)
    )
    assert len(rig.asked()) == 3


@pytest.mark.parametrize("status", [504, 512])
def test_fetch_splits_slices_that_are_too_costly(rig: Rig, world: World, status: int) -> None:
    rig.posthog.script([{"status": status, "body": {"detail": "max execution time"}}] * 2)
    pd.testing.assert_frame_equal(
        _rows(rig.fetch(SETTLED).timelines), world.expected(SETTLED, EVENTS)
    )
    assert len(rig.asked()) == 5


def test_fetch_divides_a_crowded_second_by_person(rig: Rig, world: World) -> None:
    rig.posthog.set_limits(max_rows=50)
    period = Period(CROWD_AT - 5000, CROWD_AT + 5000)
    timelines = rig.fetch(period, [CROWDED]).timelines
    assert len(timelines.person_ids) == 130
    pd.testing.assert_frame_equal(_rows(timelines), world.expected(period, [CROWDED]))
    rig.asked()
    rig.fetch(period, [CROWDED])
    assert rig.asked() == []


def test_fetch_where_nothing_is_small_enough_soon_says_so(rig: Rig) -> None:
    rig.posthog.script([{"status": 504, "body": {"detail": "too slow"}, "repeat": 0}])
    with pytest.raises(QueryTooBig, match=r"The second from 2026-.* batch export"):
        rig.fetch(SETTLED)
    assert len(rig.asked()) < 90


def test_fetch_of_more_persons_than_rows_are_given(tmp_path: Path) -> None:
    rng = np.random.default_rng(SEED)
    n = 50_400
    when = rng.integers(SETTLED.start * 1000, SETTLED.end * 1000, n)
    people = pd.DataFrame(
        {
            "team_id": 1,
            "distinct_id": [f"u_{i}" for i in range(n)],
            "person_id": [_person(i) for i in range(n)],
            "person_distinct_id_version": 0,
            "properties": "{}",
        }
    )
    events = _export(when, ["$pageview"] * n, people["distinct_id"], people["person_id"])
    world = World(tmp_path, events, people)
    with PostHogStandIn(**world.files, limits=LIMITS) as posthog:
        rig = Rig(posthog, tmp_path / "cache")
        timelines = rig.fetch(SETTLED, ["$pageview"]).timelines
        assert max(request["rows"] for request in rig.asked()) == 50_000
        rig.close()
    assert len(timelines.person_ids) == n
    pd.testing.assert_frame_equal(_rows(timelines), world.expected(SETTLED, ["$pageview"]))


@pytest.mark.parametrize(
    "fault",
    [
        {"set_fields": {"columns": ["who", "codes", "distinct_ids", "n_rows"]}},
        {"append_rows": [["p", ["a"], ["1"], 1]]},
        {"append_rows": [["p", ["a"], [-1], 1]]},
        {"duplicate_rows": 1},
        {"truncate": 1000},
        {"status": 503, "body": {}},
    ],
)
def test_fetch_rejects_a_wrong_answer_and_asks_again(
    rig: Rig, world: World, fault: dict[str, Any]
) -> None:
    rig.posthog.script([fault])
    pd.testing.assert_frame_equal(
        _rows(rig.fetch(SETTLED).timelines), world.expected(SETTLED, EVENTS)
    )
    assert len(rig.asked()) == 2


def test_fetch_that_loses_rows_is_never_partial(rig: Rig, world: World) -> None:
    rig.posthog.script([{"drop_rows": 1}])
    pd.testing.assert_frame_equal(
        _rows(rig.fetch(SETTLED).timelines), world.expected(SETTLED, EVENTS)
    )


def _outside(rows: pd.DataFrame, holes: Sequence[Hole]) -> pd.DataFrame:
    """Return the rows whose instant lies in no hole."""
    inside = [(rows["instant"] >= hole.start) & (rows["instant"] < hole.end) for hole in holes]
    return rows[~np.logical_or.reduce(inside)].reset_index(drop=True)


def test_fetch_that_fails_in_part_names_the_holes_and_keeps_the_rest(
    rig: Rig, world: World
) -> None:
    period = Period(NOW - 38 * MS_PER_DAY, NOW)
    rig.posthog.script([{"delay": 0}, {"delay": 0}, {"delay": 0}])
    rig.posthog.script([{"status": 503, "body": {}, "repeat": 5 * 3, "match": "codes"}])
    activity = rig.fetch(period)
    assert activity.holes
    assert all(period.start <= hole.start < hole.end <= period.end for hole in activity.holes)
    assert all("kept" in hole.why for hole in activity.holes)
    answered = sum(
        request["status"] == 200 and "codes" in request["query"] for request in rig.asked()
    )
    assert 3 <= answered < 6
    expected = world.expected(period, EVENTS)
    left = _outside(expected, activity.holes)
    pd.testing.assert_frame_equal(_rows(activity.timelines), left)
    assert len(left) < len(expected)
    again = Rig(rig.posthog, rig.folder)  # as a later run, that nothing holds back
    whole = again.fetch(period)
    assert whole.holes == ()
    pd.testing.assert_frame_equal(_rows(whole.timelines), expected)
    slices = [request for request in rig.asked() if "codes" in request["query"]]
    assert len(slices) == 6 - answered
    again.close()


def test_fetch_of_which_nothing_could_be_had_is_an_error(rig: Rig) -> None:
    rig.posthog.script([{"status": 503, "body": {}, "repeat": 0}])
    with pytest.raises(PostHogBusy, match="kept"):
        rig.fetch(Period(NOW - 38 * MS_PER_DAY, NOW))


def test_fetch_that_is_not_allowed_stops_at_once(rig: Rig) -> None:
    other = Rig(rig.posthog, rig.folder, api_key="phx_wrong", max_in_flight=1)
    with pytest.raises(PostHogDenied, match="scope query:read"):
        other.fetch(Period(NOW - 38 * MS_PER_DAY, NOW))
    assert len(rig.asked()) == 1
    other.close()


def test_fetch_with_another_key_reads_what_is_kept(rig: Rig) -> None:
    rig.fetch(SETTLED)
    rig.asked()
    other = Rig(rig.posthog, rig.folder, api_key="phx_rotated")
    assert len(other.fetch(SETTLED).timelines) > 0
    assert rig.asked() == []
    other.close()


def test_fetch_over_a_damaged_value_asks_for_that_slice_again(rig: Rig, world: World) -> None:
    period = Period(NOW - 20 * MS_PER_DAY, NOW)
    rig.fetch(period)
    rig.asked()
    rig.store.put(rig.store.keys("slice/")[0], b"not a table")
    pd.testing.assert_frame_equal(
        _rows(rig.fetch(period).timelines), world.expected(period, EVENTS)
    )
    assert len(rig.asked()) == 1
    rig.store.put("slice/" + "0" * 64 + "/x/y/z", b"a key of nobody's")
    rig.store.put(rig.store.keys("slice/")[1].rsplit("/", 1)[0] + "/soon", b"no number")
    rig.fetch(period)
    assert rig.asked() == []


def test_fetch_without_room_to_keep_anything_goes_on(
    standin: PostHogStandIn, world: World, tmp_path: Path
) -> None:
    standin.reset()
    occupied = tmp_path / "file"
    occupied.write_text("not a folder")
    rig = Rig(standin, occupied)
    activity = rig.fetch(SETTLED)
    pd.testing.assert_frame_equal(_rows(activity.timelines), world.expected(SETTLED, EVENTS))
    assert "cannot be opened" in activity.notices[0]
    rig.close()


def test_fetch_after_persons_were_merged(world: World, tmp_path: Path) -> None:
    with PostHogStandIn(**world.files, limits=LIMITS) as posthog:
        rig = Rig(posthog, tmp_path / "cache")
        period = Period(SETTLED.start, SETTLED.end + 3 * MS_PER_DAY)
        before = rig.fetch(period)
        posthog.merge("u_50", _person(60))
        posthog.merge("u_60", _person(70))  # and _person(60) keeps u_50
        posthog.merge("anon_4", _person(200))
        posthog.merge("u_4", _person(200))
        moved = {"u_50": _person(60), "u_60": _person(70)}
        moved |= {"anon_4": _person(200), "u_4": _person(200)}
        assert {_person(4), _person(50), _person(60)} <= set(before.timelines.person_ids)
        # The same day nobody asks again: identities are a day old at most.
        same_day = rig.fetch(period)
        pd.testing.assert_frame_equal(_rows(same_day.timelines), _rows(before.timelines))
        rig.now += MS_PER_DAY + 1
        rig.asked()
        after = rig.fetch(period)
        assert [request["name"] for request in rig.asked()] == ["merged persons"]
        seen = dict(zip(after.seen["distinct_id"], after.seen["person_id"], strict=True))
        assert after.seen["is_current"].all()
        assert seen["u_4"] == _person(200)
        assert _person(4) not in after.timelines.person_ids
        expected = world.expected(period, EVENTS, {"anon_4": _person(200), "u_4": _person(200)})
        theirs = _rows(after.timelines)
        mine = expected["person"] == _person(200)
        pd.testing.assert_frame_equal(
            theirs[theirs["person"] == _person(200)].reset_index(drop=True),
            expected[mine].reset_index(drop=True),
        )
        # A cold fetch sees them all as they are now, and a lookup names every id of a person.
        cold = Rig(posthog, tmp_path / "other")
        pd.testing.assert_frame_equal(
            _rows(cold.fetch(period).timelines), world.expected(period, EVENTS, moved)
        )
        persons = cold.source.persons_of(["anon_4"])
        assert set(persons["distinct_id"]) == {"anon_4", "u_4", "u_200"}
        assert set(persons["person_id"]) == {_person(200)}
        cold.close()
        rig.close()


def test_fetch_where_merged_persons_are_too_many_leaves_them_to_be_looked_up(
    rig: Rig, world: World
) -> None:
    rig.fetch(SETTLED)
    rig.asked()
    rig.now += 2 * MS_PER_DAY
    rig.posthog.script([{"match": "HAVING", "status": 504, "body": {}, "repeat": 0}])
    activity = rig.fetch(SETTLED)
    pd.testing.assert_frame_equal(_rows(activity.timelines), world.expected(SETTLED, EVENTS))
    assert not activity.seen["is_current"].any()


def test_fetch_asks_for_merged_persons_in_parts_where_they_are_many(rig: Rig) -> None:
    rig.fetch(SETTLED)
    rig.asked()
    rig.now += 2 * MS_PER_DAY
    rig.posthog.set_limits(max_rows=15)
    activity = rig.fetch(SETTLED)
    assert activity.seen["is_current"].all()
    assert len(rig.asked()) == 9


def test_persons_of_returns_every_distinct_id_of_the_persons(rig: Rig) -> None:
    found = rig.source.persons_of(["anon_3", "u_77", "unknown", "ghost_241", "u_77", "x\0y", ""])
    pairs = set(zip(found["distinct_id"], found["person_id"], strict=True))
    assert pairs == {("anon_3", _person(3)), ("u_3", _person(3)), ("u_77", _person(77))}
    assert [str(kind) for kind in found.dtypes] == ["str", "str"]
    (asked,) = rig.asked()
    assert asked["values"] == {"ids": 4}


def test_persons_of_nobody_asks_nothing(rig: Rig) -> None:
    for ids in ([], ["", "\0"]):
        found = rig.source.persons_of(ids)
        assert list(found.columns) == ["distinct_id", "person_id"]
        assert len(found) == 0
    assert list(rig.source.persons_with([" "]).columns) == ["email", "person_id"]
    assert rig.asked() == []


def test_persons_of_hostile_ids_finds_nobody(rig: Rig) -> None:
    ids = ["') OR 1=1 --", "{ids}", "\\", "'", "u_1' --", "%", "u\\_1"]
    assert len(rig.source.persons_of(ids)) == 0


def test_persons_with_matches_trimmed_and_case_folded(rig: Rig) -> None:
    asked = ["user1@example.com", " USER5@example.com", "émile@example.com", "no@example.com"]
    found = rig.source.persons_with(asked)
    pairs = set(zip(found["email"], found["person_id"], strict=True))
    assert pairs == {
        ("user1@example.com", _person(1)),
        ("user5@example.com", _person(5)),
        ("émile@example.com", _person(2)),
    }


def test_persons_with_an_email_of_several_persons_returns_them_all(rig: Rig) -> None:
    found = rig.source.persons_with(["shared@example.com"])
    assert set(found["person_id"]) == {_person(30), _person(31)}
    assert set(found["email"]) == {"shared@example.com"}


@pytest.mark.parametrize(
    ("look_up", "asked"),
    [
        ("persons_of", ["anon_3", "u_3", "u_77", "u_5", "u_6"]),
        ("persons_with", ["user1@example.com", "user5@example.com", "shared@example.com"]),
    ],
)
def test_lookups_too_big_at_once_are_asked_for_by_halves(
    rig: Rig, tmp_path: Path, look_up: str, asked: list[str]
) -> None:
    whole = getattr(rig.source, look_up)(asked)
    rig.asked()
    other = Rig(rig.posthog, tmp_path / "other")
    rig.posthog.script([{"set_fields": {"hasMore": True}}])
    found = getattr(other.source, look_up)(asked)
    other.close()
    assert len(other.asked()) == 3
    by = list(whole.columns)
    pd.testing.assert_frame_equal(
        found.sort_values(by, ignore_index=True), whole.sort_values(by, ignore_index=True)
    )


@pytest.mark.parametrize("look_up", ["persons_of", "persons_with"])
def test_lookups_are_of_a_thousand_at_most(rig: Rig, look_up: str) -> None:
    ask = getattr(rig.source, look_up)
    ask([f"u_{n}" for n in range(1000)])
    assert len(rig.asked()) == 1
    with pytest.raises(ValueError, match="1,001"):
        ask([f"u_{n}" for n in range(1001)])
    assert rig.asked() == []


def test_lookups_are_kept_for_a_day(rig: Rig) -> None:
    for _ in range(2):
        persons = rig.source.persons_of(["u_2", "u_1"])
        emails = rig.source.persons_with(["user8@example.com", "user7@example.com"])
    assert len(rig.asked()) == 2
    assert set(persons["distinct_id"]) == {"anon_1", "u_1", "anon_2", "u_2"}
    assert dict(zip(emails["email"], emails["person_id"], strict=True)) == {
        "user7@example.com": _person(7),
        "user8@example.com": _person(8),
    }
    rig.source.persons_of(["u_1"])
    assert len(rig.asked()) == 1
    rig.now += MS_PER_DAY + 1
    rig.source.persons_of(["u_2", "u_1"])
    rig.source.persons_with(["user8@example.com", "user7@example.com"])
    assert len(rig.asked()) == 2


def test_nothing_kept_or_said_holds_a_key_or_an_email(rig: Rig) -> None:
    rig.fetch(SETTLED)
    rig.source.persons_with([f"user{n}@example.com" for n in range(100)])
    rig.store.close()
    kept = b"".join(path.read_bytes() for path in rig.folder.rglob("*") if path.is_file())
    assert rig.posthog.api_key.encode() not in kept
    assert b"example.com" not in kept
    rig.posthog.script([{"status": 400, "body": {"detail": "Bad user3@example.com"}}])
    with pytest.raises(PostHogDenied) as refused:
        rig.source.persons_with(["user3@example.com"])
    assert "@" not in str(refused.value)


def test_check_says_which_events_there_are(rig: Rig, world: World) -> None:
    found = rig.source.check([*EVENTS, "trade confirmed"])
    assert [check.ok for check in found] == [True, True, True, True, None]
    assert "project 1 at 127.0.0.1" in found[0].what
    recent = Period(NOW - 30 * MS_PER_DAY, NOW)
    n_events = len(world.expected(recent, EVENTS[:1]))
    said = int(found[1].words.split()[1].replace(",", ""))
    assert n_events <= said <= n_events * 1.05  # those exported twice included
    assert "spelling" in found[4].words
    assert len(rig.asked()) == 2


def test_check_of_a_wrong_key_says_what_to_do(rig: Rig) -> None:
    other = Rig(rig.posthog, rig.folder, api_key="phx_wrong")
    (found,) = other.source.check(EVENTS)
    assert found.ok is False
    assert "scope query:read" in found.words
    other.close()


def test_source_names_itself(rig: Rig) -> None:
    assert rig.source.kind == "posthog"
    assert rig.source.label == f"PostHog project 1 at {rig.posthog.url.removeprefix('http://')}"


def test_source_by_itself_makes_a_client_that_keeps_the_limits(
    standin: PostHogStandIn, tmp_path: Path
) -> None:
    standin.reset()
    rig = Rig(standin, tmp_path / "cache")
    source = PostHogSource(rig.settings, rig.store, now=lambda: NOW)
    source.fetch(Period(NOW - 38 * MS_PER_DAY, NOW), EVENTS)
    asked = rig.asked()
    assert len(asked) == 6
    at_once = [sum(b["started"] <= a["started"] < b["ended"] for b in asked) for a in asked]
    assert max(at_once) <= 3
    assert source.usage.requests == 6
    assert source.usage.bytes_read > 0
    rig.close()
    source.close()


def test_fetch_by_a_clock_ahead_settles_by_posthogs(
    standin: PostHogStandIn, tmp_path: Path, world: World
) -> None:
    standin.reset()
    date = {"headers": {"Date": "Thu, 01 Jan 2026 00:00:00 GMT"}}
    standin.script([date] * 20)
    ten_days = 10 * MS_PER_DAY
    posthogs = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    hasty = Rig(standin, tmp_path, wall=lambda: posthogs + ten_days / 1000)
    (hole,) = hasty.fetch(Period(SETTLED.start, NOW)).holes
    hasty.close()
    assert (hole.start, hole.end) == (NOW - ten_days, NOW)
    assert "240.0 hours ahead of PostHog's" in hole.why
    standin.reset()
    later = Rig(standin, tmp_path)
    later.now = NOW + MS_PER_HOUR
    late = Period(MIDNIGHT - 12 * MS_PER_DAY, MIDNIGHT - 10 * MS_PER_DAY)
    activity = later.fetch(late)
    later.close()
    assert activity.holes == ()
    assert "a slice of activity" in [one["name"] for one in standin.requests()]
    pd.testing.assert_frame_equal(_rows(activity.timelines), world.expected(late, EVENTS))


@pytest.mark.parametrize("date", ["", "yesterday", "Thu, 99 Jan 2026 00:00:00 GMT"])
def test_fetch_believes_its_clock_where_posthogs_is_not_to_be_read(
    standin: PostHogStandIn, tmp_path: Path, date: str
) -> None:
    standin.reset()
    standin.script([{"headers": {"Date": date}}] * 20)
    rig = Rig(standin, tmp_path)
    assert rig.fetch(Period(NOW - 20 * MS_PER_DAY, NOW)).holes == ()
    rig.close()

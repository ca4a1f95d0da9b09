"""Events by day: gaps are found, rare events' empty days are none, clocks may change."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR, Timelines, from_rows
from core.measure.holes import Holes
from core.quality.days import event_days, midnights, near_events, push_days

NEW_YORK = "America/New_York"
NO_HOLES = Holes.of([])
N_DAYS = 63
RATES = {"common": 200.0, "usual": 40.0, "some": 8.0, "rare": 0.5}
WEEK = np.array([0.9, 1.0, 1.1, 1.0, 0.8, 1.3, 1.2])


def ms(text: str, zone: str = "UTC") -> int:
    return int(pd.Timestamp(text).tz_localize(zone).value // 10**6)


def timelines_of(counts: np.ndarray, bounds: np.ndarray, names: list[str], seed: int) -> Timelines:
    """Return timelines with so many events, Int[events, days], between the bounds."""
    rng = np.random.default_rng(seed)
    events, days = np.nonzero(counts)
    repeats = counts[events, days]
    events, days = np.repeat(events, repeats), np.repeat(days, repeats)
    widths = bounds[days + 1] - bounds[days]
    instants = bounds[days] + (rng.random(len(days)) * widths).astype(np.int64)
    people = [f"p{i}" for i in range(50)]
    return from_rows(people, rng.integers(0, 50, len(days)), instants, events, event_names=names)


def found(
    counts: np.ndarray, *, zone: str = NEW_YORK, first: str = "2026-09-20", holes: Holes = NO_HOLES
) -> pd.DataFrame:
    start = ms(first, zone)
    bounds = midnights(start, start + counts.shape[1] * MS_PER_DAY - 12 * MS_PER_HOUR, zone)
    timelines = timelines_of(counts, bounds, list(RATES)[: len(counts)], seed=1)
    end = int(bounds[-1])
    return event_days(timelines, zone=zone, start=start, end=end, holes=holes)


def drawn(seed: int, *, scatter: float = 0.0) -> np.ndarray:
    """Return counts by event and day as they come by chance, weekdays and busy days included."""
    rng = np.random.default_rng(seed)
    mean = np.array(list(RATES.values()))[:, None] * WEEK[np.arange(N_DAYS) % 7]
    if scatter:
        mean = mean * rng.gamma(1 / scatter, scatter, N_DAYS)
    return rng.poisson(mean)


def test_midnights_of_days_on_which_clocks_change():
    hours = np.diff(midnights(ms("2026-10-31", NEW_YORK), ms("2026-11-03", NEW_YORK), NEW_YORK))
    assert (hours / MS_PER_HOUR).tolist() == [24, 25, 24]
    hours = np.diff(midnights(ms("2026-03-07", NEW_YORK), ms("2026-03-10", NEW_YORK), NEW_YORK))
    assert (hours / MS_PER_HOUR).tolist() == [24, 23, 24]


def test_midnights_that_clocks_skip_or_have_twice():
    skipped = midnights(ms("2026-04-23"), ms("2026-04-25"), "Africa/Cairo")
    at = pd.to_datetime(skipped, unit="ms", utc=True).tz_convert("Africa/Cairo")
    assert at.strftime("%d %H:%M").tolist() == ["23 00:00", "24 01:00", "25 00:00", "26 00:00"]
    twice = midnights(ms("2026-10-31 12:00"), ms("2026-11-01 12:00"), "America/Havana")
    assert (np.diff(twice) / MS_PER_HOUR).tolist() == [24, 25]


def test_event_days_count_events_and_persons_of_local_days():
    day = ms("2026-11-01", NEW_YORK)
    at = day + np.array([0, 10, 25 * MS_PER_HOUR - 1, 25 * MS_PER_HOUR, -1])
    timelines = from_rows(["a", "b"], np.array([0, 0, 1, 1, 0]), at, np.zeros(5), event_names=["e"])
    table = event_days(
        timelines, zone=NEW_YORK, start=day - MS_PER_DAY, end=day + 49 * MS_PER_HOUR, holes=NO_HOLES
    )
    assert table["n_events"].tolist() == [1, 3, 1]
    assert table["n_persons"].tolist() == [1, 2, 1]
    assert table["day"].dt.tz_convert(NEW_YORK).dt.strftime("%m-%d %H").tolist() == [
        "10-31 00", "11-01 00", "11-02 00",
    ]  # fmt: skip
    assert table["is_whole"].all()
    assert not table["is_gap"].any()


def test_event_days_find_gaps_and_leave_rare_events_alone():
    counts = drawn(3)
    counts[0, 30], counts[0, 37], counts[1, 12] = 0, 30, 0
    counts[3] = np.random.default_rng(4).poisson(0.5, N_DAYS)
    table = found(counts)
    gaps = table[table["is_gap"]]
    place = gaps["day"].dt.tz_convert(NEW_YORK).dt.tz_localize(None) - pd.Timestamp("2026-09-20")
    told = set(zip(gaps["event"], place.dt.days, gaps["why"], strict=True))
    assert told == {
        ("common", 30, "no events"), ("common", 37, "far too few events"),
        ("usual", 12, "no events"),
    }  # fmt: skip
    rare = table[table["event"] == "rare"]
    assert (rare["n_events"] == 0).sum() > 20
    expected = table.loc[table["is_gap"] & (table["event"] == "usual"), "expected"]
    assert expected.between(40, 60).all()


def test_event_days_find_a_long_outage():
    counts = drawn(5)
    counts[:2, 25:36] = 0
    table = found(counts)
    gaps = table[table["is_gap"]].groupby("event").size()
    assert gaps.to_dict() == {"common": 11, "usual": 11}


@pytest.mark.parametrize("scatter", [0.0, 0.05])
def test_event_days_of_sound_worlds_have_hardly_a_gap(scatter):
    n_gaps = sum(found(drawn(seed, scatter=scatter))["is_gap"].sum() for seed in range(25))
    assert n_gaps <= 1  # of 25 x 4 x 63 event-days; 8 of 504,000 were seen in a longer count


def test_event_days_that_were_not_read_are_gaps_and_expect_nothing_of_others():
    hole = (ms("2026-10-20 15:00", NEW_YORK), ms("2026-10-21 01:00", NEW_YORK))
    counts = drawn(6)
    counts[:, 30:32] = 0
    table = found(counts, holes=Holes.of([hole]))
    gaps = table[table["is_gap"]]
    assert set(gaps["why"]) == {"not read"}
    days = gaps["day"].dt.tz_convert(NEW_YORK).dt.strftime("%m-%d")
    assert set(days) == {"10-20", "10-21"}
    assert len(gaps) == 2 * len(RATES)
    assert not gaps["is_whole"].any()
    week_on = table[(table["event"] == "common") & (table["day"].dt.strftime("%m-%d") == "10-27")]
    assert week_on["expected"].iloc[0] > 100


def test_event_days_of_an_event_that_never_shows():
    counts = drawn(7)
    counts[1] = 0
    table = found(counts)
    own = table[table["event"] == "usual"]
    assert (own["why"] == "never seen").all()
    assert not table.loc[table["event"] != "usual", "is_gap"].any()


def test_event_days_cut_at_either_end_are_not_whole_and_no_gaps():
    start, end = ms("2026-09-20 18:00", NEW_YORK), ms("2026-11-01 06:00", NEW_YORK)
    bounds = midnights(start, end, NEW_YORK)
    counts = np.full((1, len(bounds) - 1), 200)
    counts[0, [0, -1]] = 3
    timelines = timelines_of(counts, bounds, ["e"], seed=2)
    table = event_days(timelines, zone=NEW_YORK, start=start, end=end, holes=NO_HOLES)
    assert table["is_whole"].tolist() == [False, *[True] * 41, False]
    assert not table["is_gap"].any()


def pushes_by_day(shares: list[float], n: int = 400) -> tuple[np.ndarray, ...]:
    days = np.repeat(np.arange(len(shares)), n)
    instants = ms("2026-10-20 18:00", NEW_YORK) + days * MS_PER_DAY
    is_active = np.concatenate([np.arange(n) < share * n for share in shares])
    return np.full(len(days), "1", dtype=object), instants, is_active, days


def test_push_days_mark_a_day_far_from_the_layers_others():
    layers, instants, is_active, days = pushes_by_day([0.8, 0.82, 0.2, 0.79, 0.81, 0.8])
    told = np.ones(len(days), dtype=bool)
    table = push_days(layers, instants, is_active, is_told=told, zone=NEW_YORK)
    assert table["is_odd"].tolist() == [False, False, True, False, False, False]
    assert table["n_pushes"].tolist() == [400] * 6
    assert table["active_share"].tolist()[2] == pytest.approx(0.2)
    assert table["expected_share"].tolist()[2] == pytest.approx(0.8)
    calm = push_days(layers, instants, is_active, is_told=days != 2, zone=NEW_YORK)
    assert not calm["is_odd"].any()


def test_push_days_keep_layers_apart_and_need_other_days():
    layers, instants, is_active, days = pushes_by_day([0.9, 0.1, 0.9])
    layers[days == 1] = "3"
    told = np.ones(len(days), dtype=bool)
    table = push_days(layers, instants, is_active, is_told=told, zone=NEW_YORK)
    assert table["layer"].tolist() == ["1", "1", "3"]
    assert table["expected_share"].isna().all()
    assert not table["is_odd"].any()
    nothing = np.zeros(0, dtype=np.int64)
    none = push_days(layers[:0], nothing, is_active[:0], is_told=is_active[:0], zone=NEW_YORK)
    assert none.empty


def test_near_events_are_those_a_plain_search_finds():
    rng = np.random.default_rng(8)
    people = [f"p{i}" for i in range(12)]
    owners, at = rng.integers(0, 12, 60), rng.integers(0, 1000, 60)
    timelines = from_rows(people, owners, at, np.zeros(60), event_names=["e"])
    persons = rng.integers(-1, 12, 300)
    starts = rng.integers(-200, 1200, 300)
    ends = starts + rng.integers(0, 60, 300)
    expected = [
        person >= 0 and any(
            start <= when < end
            for when in timelines.instants[timelines.persons == person]
        )
        for person, start, end in zip(persons, starts, ends, strict=True)
    ]  # fmt: skip
    assert near_events(timelines, persons, starts, ends).tolist() == expected
    empty = from_rows(people, owners[:0], at[:0], np.zeros(0), event_names=["e"])
    assert not near_events(empty, persons, starts, ends).any()

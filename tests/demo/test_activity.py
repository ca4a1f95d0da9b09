from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from core.demo.activity import Happenings, Intensity, draw_events, draw_intensity
from core.demo.people import People, draw_people
from core.demo.schedule import plan_campaigns
from core.demo.world import DAY_MS, HOUR_MS, LEAD_DAYS, World

WORLD = World(n_users=2_000, seed=11)


@pytest.fixture(scope="module")
def people() -> People:
    return draw_people(WORLD, 0)


@pytest.fixture(scope="module")
def intensity(people: People) -> Intensity:
    return draw_intensity(WORLD, 0, people=people, campaigns=())


@pytest.fixture(scope="module")
def events(people: People, intensity: Intensity) -> Happenings:
    return draw_events(WORLD, 0, people=people, intensity=intensity)


def _by_day(values: np.ndarray) -> pd.Series:
    hours = pd.to_datetime(WORLD.first_ms + HOUR_MS * np.arange(WORLD.n_hours), unit="ms", utc=True)
    return pd.Series(values, index=hours.tz_convert("America/New_York"))


def test_draw_events_numbers_are_poisson_in_the_intensity(
    people: People, intensity: Intensity, events: Happenings
) -> None:
    expected = people.rates * intensity.per_hour.sum(axis=1, dtype=np.float64)[:, None]
    cells = events.user * expected.shape[1] + events.event
    seen = np.bincount(cells, minlength=expected.size).reshape(expected.shape)
    busy = expected > 5
    scores = (seen[busy] - expected[busy]) / np.sqrt(expected[busy])
    assert abs(scores.mean()) < 4 / np.sqrt(len(scores))
    assert scores.var() == pytest.approx(1.0, abs=0.05)


def test_draw_events_fall_into_hours_as_the_intensity_says(
    people: People, intensity: Intensity, events: Happenings
) -> None:
    expected = people.rates.sum(axis=1) @ intensity.per_hour
    hour = (events.at_ms - intensity.first_ms) // HOUR_MS
    seen = np.bincount(hour, minlength=len(expected))
    scores = (seen - expected) / np.sqrt(expected)
    assert scores.var() == pytest.approx(1.0, abs=0.15)
    assert abs(scores.mean()) < 4 / np.sqrt(len(scores))


def test_draw_events_are_in_order_and_never_before_sign_up(
    people: People, events: Happenings
) -> None:
    assert (np.diff(events.at_ms) >= 0).all()
    assert (events.at_ms > people.joined_ms[events.user]).all()


def test_draw_events_do_not_prefer_a_part_of_the_hour(events: Happenings) -> None:
    within = events.at_ms % HOUR_MS / HOUR_MS
    assert within.mean() == pytest.approx(0.5, abs=0.003)
    assert len(np.unique(events.at_ms % 1000)) == 1000


def test_draw_intensity_averages_to_one_day_before_the_trend(
    people: People, intensity: Intensity
) -> None:
    old = people.joined_ms < WORLD.first_ms
    daily = intensity.per_hour[old].mean() * 24
    assert daily == pytest.approx(1.06, abs=0.04)


def test_draw_intensity_comes_in_spells(intensity: Intensity, people: People) -> None:
    old = intensity.per_hour[(people.joined_ms < WORLD.first_ms) & (people.zone == 0)]
    relative = old / old.mean(axis=0)
    one, six, fortnight = (
        np.corrcoef(relative[:, :-lag].ravel(), relative[:, lag:].ravel())[0, 1]
        for lag in (1, 6, 336)
    )
    assert one > 0.8
    assert six > 0.45
    assert abs(fortnight) < 0.1


def test_draw_intensity_is_low_at_night_and_on_tuesdays(
    people: People, intensity: Intensity
) -> None:
    old = people.joined_ms < WORLD.first_ms
    busy = _by_day(intensity.per_hour[old & (people.zone == 0)].mean(axis=0))
    by_hour = busy.groupby(busy.index.hour).mean()
    by_weekday = busy.groupby(busy.index.day_of_week).mean()
    assert by_hour.idxmin() in {3, 4}
    assert by_hour.idxmax() in {19, 20, 21}
    assert by_weekday.idxmin() == 1
    assert by_weekday[1] < 0.85 * by_weekday.mean()


def test_draw_intensity_lifts_everybody_on_a_drop_day(people: People, intensity: Intensity) -> None:
    campaigns = plan_campaigns(World(n_users=2_000, seed=11, n_campaigns=1))
    lifted = draw_intensity(WORLD, 0, people=people, campaigns=campaigns)
    with np.errstate(invalid="ignore"):
        ratio = _by_day(np.nanmedian(lifted.per_hour / intensity.per_hour, axis=0))
    daily = ratio.groupby(ratio.index.date).median()
    drop_day = (pd.Timestamp(WORLD.start) + pd.Timedelta(days=campaigns[0].day)).date()
    assert daily[drop_day] == pytest.approx(1.30, abs=0.01)
    assert daily.drop(drop_day).max() == pytest.approx(1.12, abs=0.01)
    assert (daily.sub(1).abs() < 1e-3).sum() == len(daily) - 2


def test_draw_intensity_trends_upward(people: People, intensity: Intensity) -> None:
    old = people.joined_ms < WORLD.first_ms
    weekly = intensity.per_hour[old].mean(axis=0)[: 13 * 168].reshape(13, 168).mean(axis=1)
    slope = np.polyfit(np.arange(13), np.log(weekly), 1)[0]
    assert 0.0 < slope < 0.03


def test_happenings_between_is_half_open() -> None:
    kinds = np.zeros(4, dtype=np.int8)
    some = Happenings.sorted(np.arange(4), np.array([30, 10, 20, 40]), kinds)
    part = some.between(20, 40)
    assert some.at_ms[part].tolist() == [20, 30]
    assert some.user[part].tolist() == [2, 0]


def test_events_reach_back_35_days_before_the_first_send(events: Happenings) -> None:
    assert events.at_ms[0] < WORLD.first_ms + HOUR_MS
    assert WORLD.instant(0, 0) - WORLD.first_ms == LEAD_DAYS * DAY_MS

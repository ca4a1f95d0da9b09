from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pytest

from core.demo.world import DAY_MS, HOUR_MS, Stream, World, iso_texts
from core.errors import ConfigError


def test_as_of_of_default_world_is_new_york_midnight_after_60_days() -> None:
    assert World().as_of == datetime(2026, 10, 31, 4, 0, tzinfo=UTC)


def test_first_instant_lies_35_days_before_first_campaign_day() -> None:
    start = datetime(2026, 9, 1, 4, 0, tzinfo=UTC)
    assert start.timestamp() * 1000 - World().first_ms == 35 * DAY_MS


def test_grid_reaches_one_window_beyond_now_across_clock_change() -> None:
    world = World(n_days=90)
    end = world.first_ms + world.n_hours * HOUR_MS
    assert world.as_of == datetime(2026, 11, 30, 5, 0, tzinfo=UTC)
    assert end - world.as_of_ms == 49 * HOUR_MS


def test_instant_follows_wall_clock_across_clock_change() -> None:
    world = World(start=date(2026, 10, 31), n_days=5)
    hours = [datetime.fromtimestamp(world.instant(day, 9.5) / 1000, UTC).hour for day in (0, 2)]
    assert hours == [13, 14]


def test_chunk_size_adds_up_to_all_users() -> None:
    world = World(n_users=4_321)
    assert sum(world.chunk_size(chunk) for chunk in range(world.n_chunks)) == 4_321


def test_random_is_the_same_for_one_purpose_and_differs_between_purposes() -> None:
    draws = [
        World(seed=3).random(s).random() for s in (Stream.PEOPLE, Stream.PEOPLE, Stream.PUSHES)
    ]
    assert draws[0] == draws[1]
    assert draws[0] != draws[2]


def test_iso_texts_have_milliseconds_and_z() -> None:
    assert iso_texts(np.array([1_788_235_200_007])) == ["2026-09-01T04:00:00.007Z"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_users": 0},
        {"n_days": 0},
        {"seed": -1},
        {"activity": 0.0},
        {"effect_scale": -0.1},
        {"n_campaigns": -1},
        {"layers": (1, 4)},
        {"layers": ()},
    ],
)
def test_world_with_impossible_parameter_raises(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        World(**wrong)

from __future__ import annotations

import numpy as np
import pytest

from core.demo.activity import Intensity
from core.demo.effects import FADE_HOURS
from core.demo.repeats import Deliveries, taken_from
from core.demo.responses import N_METRICS, cut_windows
from core.demo.world import HOUR_MS, WINDOW_MS

FLAT = Intensity(per_hour=np.full((4, 240), 0.5, dtype=np.float32), first_ms=0)
FIRST_MS = 20 * HOUR_MS
FOREVER_MS = 10_000 * HOUR_MS


def _faded(hours: float) -> float:
    """Return the share of a fading effect of 48 h that falls into its first hours."""
    return float((1 - np.exp(-hours / FADE_HOURS)) / (1 - np.exp(-48 / FADE_HOURS)))


def _once(n: int = 4) -> Deliveries:
    deliveries = Deliveries.none(n)
    user = np.arange(n)
    deliveries.add(user, delivered_ms=np.full(n, FIRST_MS), push=100 + user)
    return deliveries


def _taken(
    deliveries: Deliveries, hours_later: float, *, as_of_ms: int = FOREVER_MS
) -> tuple[list[int], list[float], list[float]]:
    """Return push, extra and extra_seen where user 1 is sent a push that adds 6 events."""
    user, at_ms = np.array([1]), np.array([FIRST_MS + round(hours_later * HOUR_MS)])
    windows = cut_windows(FLAT, user=user, delivered_ms=at_ms)
    strength = np.full((1, N_METRICS), 6.0) / windows.weight.sum(axis=1)[:, None]
    taken = taken_from(windows, deliveries, user=user, strength=strength, as_of_ms=as_of_ms)
    return taken.push.tolist(), taken.extra[:, 0].tolist(), taken.extra_seen[:, 0].tolist()


@pytest.mark.parametrize("hours", [0.0, 0.3, 7.0, 24.0, 47.9])
def test_taken_from_is_the_other_half_inside_the_first_window(hours: float) -> None:
    push, extra, seen = _taken(_once(), hours)
    assert push == [101]
    assert extra == pytest.approx([6 * _faded(48 - hours)], abs=0.01)
    assert seen == pytest.approx(extra)


def test_taken_from_is_nothing_48_hours_later() -> None:
    assert _taken(_once(), 48.0) == ([], [], [])


def test_taken_from_users_sent_nothing_before_is_nothing() -> None:
    assert _taken(Deliveries.none(4), 5.0) == ([], [], [])


def test_taken_from_is_nothing_where_yet_another_push_halves_the_next() -> None:
    deliveries = _once()
    deliveries.add(
        np.array([1]), delivered_ms=np.array([FIRST_MS + 3 * HOUR_MS]), push=np.array([7])
    )
    assert _taken(deliveries, 40.0) == ([], [], [])
    push, extra, _ = _taken(deliveries, 49.0)
    assert push == [7]
    assert extra == pytest.approx([6 * _faded(2)], abs=0.01)


def test_taken_from_an_earlier_push_that_arrives_later_counts_only_its_own_window() -> None:
    _, extra, _ = _taken(_once(), -2.0)
    assert extra == pytest.approx([6 * (1 - _faded(2))], abs=0.01)


def test_taken_from_counts_only_what_has_passed_as_seen() -> None:
    _, extra, seen = _taken(_once(), 10.0, as_of_ms=FIRST_MS + 30 * HOUR_MS)
    assert seen == pytest.approx([6 * _faded(20)], abs=0.01)
    assert extra == pytest.approx([6 * _faded(38)], abs=0.01)
    _, _, none = _taken(_once(), 10.0, as_of_ms=FIRST_MS + 9 * HOUR_MS)
    assert none == [0.0]


def test_deliveries_remember_the_last_two() -> None:
    deliveries = _once()
    deliveries.add(np.array([2]), delivered_ms=np.array([FIRST_MS + 9]), push=np.array([300]))
    assert deliveries.last_ms[[1, 2]].tolist() == [FIRST_MS, FIRST_MS + 9]
    assert deliveries.before_ms[2] == FIRST_MS
    assert deliveries.before_ms[1] < -WINDOW_MS
    assert deliveries.push.tolist() == [100, 101, 300, 103]

from __future__ import annotations

import numpy as np
import pytest

from core.demo.activity import Happenings, Intensity
from core.demo.effects import FADE_HOURS
from core.demo.history import NOT_REMOVED, History
from core.demo.responses import N_METRICS, cut_windows, draw_extra, put_off
from core.demo.world import HOUR_MS, WINDOW_MS

N_HOURS = 120
FLAT = Intensity(per_hour=np.full((3, N_HOURS), 0.5, dtype=np.float32), first_ms=0)


def _bumpy() -> Intensity:
    per_hour = np.random.default_rng(2).gamma(0.5, 2.0, (3, N_HOURS)).astype(np.float32)
    return Intensity(per_hour=per_hour, first_ms=0)


def test_cut_windows_covers_48_hours_to_the_millisecond() -> None:
    delivered = np.array([5 * HOUR_MS + 1_234_567, 7 * HOUR_MS])
    windows = cut_windows(FLAT, user=np.array([0, 2]), delivered_ms=delivered)
    assert windows.lasts_ms.sum(axis=1).tolist() == [WINDOW_MS, WINDOW_MS]
    assert windows.starts_ms[:, 0].tolist() == delivered.tolist()
    assert windows.total == pytest.approx([24.0, 24.0])


def test_windows_before_counts_only_what_has_passed() -> None:
    windows = cut_windows(FLAT, user=np.array([0]), delivered_ms=np.array([10 * HOUR_MS + 600_000]))
    assert windows.total_before(20 * HOUR_MS) == pytest.approx([0.5 * (10 - 1 / 6)])
    assert windows.total_before(100 * HOUR_MS) == pytest.approx(windows.total)
    assert windows.weight_before(100 * HOUR_MS) == pytest.approx(windows.weight.sum(axis=1))


def test_windows_weight_until_cuts_hours_where_the_instant_lies() -> None:
    delivered = np.array([10 * HOUR_MS + 600_000, 30 * HOUR_MS])
    windows = cut_windows(FLAT, user=np.array([0, 1]), delivered_ms=delivered)
    whole = windows.weight.sum(axis=1)
    assert windows.weight_until(delivered) == pytest.approx([0.0, 0.0])
    assert windows.weight_until(delivered - HOUR_MS) == pytest.approx([0.0, 0.0])
    assert windows.weight_until(delivered + WINDOW_MS) == pytest.approx(whole)
    assert windows.weight_until(delivered + 9 * WINDOW_MS) == pytest.approx(whole)
    half = windows.weight_until(delivered + 3_000_000 + HOUR_MS // 2)
    fading = np.exp(-np.array([5 / 12, 5 / 6 + 0.5]) / FADE_HOURS) * [5 / 6, 0.5]
    assert half[0] == pytest.approx(0.5 * fading.sum())
    for hours in (5, 20):
        until = windows.weight_until(delivered + hours * HOUR_MS) / windows.weight.sum(axis=1)
        exact = (1 - np.exp(-hours / FADE_HOURS)) / (1 - np.exp(-48 / FADE_HOURS))
        assert until == pytest.approx([exact, exact], abs=0.001)


def test_windows_take_keeps_rows() -> None:
    windows = cut_windows(FLAT, user=np.array([0, 1]), delivered_ms=np.array([5, 7 * HOUR_MS]))
    second = windows.take(np.array([1]))
    assert (second.starts_ms == windows.starts_ms[1:]).all()
    assert (second.weight == windows.weight[1:]).all()
    assert second.total == pytest.approx(windows.total[1:])


def test_scale_makes_the_mean_effect_whole_where_intensity_is_uneven() -> None:
    windows = cut_windows(_bumpy(), user=np.array([0, 1]), delivered_ms=np.array([100, 9_999_999]))
    assert windows.scale * windows.weight.sum(axis=1) == pytest.approx(windows.total)


def test_scale_of_an_idle_user_is_zero() -> None:
    idle = Intensity(per_hour=np.zeros((1, N_HOURS), dtype=np.float32), first_ms=0)
    windows = cut_windows(idle, user=np.array([0]), delivered_ms=np.array([0]))
    assert windows.scale.tolist() == [0.0]


def test_draw_extra_is_poisson_inside_the_window_and_fades() -> None:
    n = 4_000
    user, delivered = np.zeros(n, np.int64), np.full(n, 3 * HOUR_MS + 777)
    windows = cut_windows(FLAT, user=user, delivered_ms=delivered)
    expected = np.zeros((n, N_METRICS))
    expected[:, 2], expected[:, 4] = 3.0, -1.0
    rng = np.random.default_rng(4)
    extra = draw_extra(rng, windows, user=user, push=np.arange(n), expected=expected)
    counts = np.bincount(extra.push, minlength=n)
    assert counts.mean() == pytest.approx(3.0, abs=0.1)
    assert counts.var() == pytest.approx(3.0, abs=0.3)
    assert set(extra.event.tolist()) == {2}
    since = (extra.at_ms - delivered[0]) / HOUR_MS
    assert since.min() >= 0
    assert since.max() < 48
    early = (1 - np.exp(-12 / FADE_HOURS)) / (1 - np.exp(-48 / FADE_HOURS))
    assert (since < 12).mean() == pytest.approx(early, abs=0.02)


def _history(n_events: int) -> History:
    rng = np.random.default_rng(5)
    at_ms = np.sort(rng.integers(0, 96 * HOUR_MS, n_events))
    event = rng.integers(0, N_METRICS + 2, n_events).astype(np.int8)
    return History.of(Happenings(user=rng.integers(0, 2, n_events), at_ms=at_ms, event=event))


def test_put_off_thins_only_the_pushed_users_events_in_the_window() -> None:
    history, start = _history(40_000), 12 * HOUR_MS
    windows = cut_windows(FLAT, user=np.array([1]), delivered_ms=np.array([start]))
    loss = np.zeros((1, N_METRICS))
    loss[0, 3] = 0.2 * windows.scale[0]
    put_off(
        np.random.default_rng(6), history,
        user=np.array([1]), push=np.array([17]), delivered_ms=np.array([start]), loss=loss,
    )  # fmt: skip
    lost = history.removed_by != NOT_REMOVED
    base = history.base
    inside = (base.user == 1) & (base.at_ms >= start) & (base.at_ms < start + WINDOW_MS)
    inside &= base.event == 3
    assert set(history.removed_by[lost].tolist()) == {17}
    assert not (lost & ~inside).any()
    assert lost.sum() / inside.sum() == pytest.approx(0.2, abs=0.04)


def test_put_off_takes_an_event_once() -> None:
    history = _history(2_000)
    for push in (1, 2):
        put_off(
            np.random.default_rng(push), history,
            user=np.array([0]), push=np.array([push]), delivered_ms=np.array([0]),
            loss=np.ones((1, N_METRICS)),
        )  # fmt: skip
    first = (history.removed_by == 1).sum()
    assert first > 0
    assert (history.removed_by[history.base.at_ms == history.base.at_ms[0]] <= 2).all()
    assert (history.removed_by == 2).sum() < first

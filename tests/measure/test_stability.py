"""Baseline stability against hand computation, loops over intervals, and simulation."""

from __future__ import annotations

import time

import numpy as np
import pytest

from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR
from core.measure.stability import (
    PushTimes,
    baseline_stability,
    contamination_share,
    graded_stability,
    push_overlap,
    weekly_counts,
)
from tests.measure.worlds import T, panel_of

WINDOW = 48 * MS_PER_HOUR
ONE = np.zeros(1, dtype=np.int64)


def stability(weekly, blocks=None, *, whole=None, campaigns=None, n_campaigns=1):
    """Return the stability of weekly counts given in the order of time."""
    nearest_first = np.asarray(weekly)[:, ::-1]
    n = len(nearest_first)
    return baseline_stability(
        nearest_first,
        np.zeros((n, 4), dtype=int) if blocks is None else blocks,
        whole=np.ones(nearest_first.shape, dtype=bool) if whole is None else whole,
        campaigns=np.zeros(n, dtype=np.int64) if campaigns is None else campaigns,
        n_campaigns=n_campaigns,
    )


def other_time(pushes, person, start, end, *, but=None):
    """Return the milliseconds of [start, end) in the windows of a person's pushes, one by one."""
    inside = np.zeros(end - start, dtype=bool)
    for i, (who, at) in enumerate(pushes):
        if who == person and i != but:
            inside[max(at - start, 0) : max(at + 48 - start, 0)] = True
    return int(inside.sum())


def random_pushes(seed, n=160, persons=12):
    """Return (person, hour) of pushes within 40 days, several at one hour among them."""
    rng = np.random.default_rng(seed)
    return [
        (int(p), int(h))
        for p, h in zip(rng.integers(0, persons, n), rng.integers(0, 960, n), strict=True)
    ]


def arrays(pushes):
    """Return persons and instants of pushes given in hours."""
    persons, hours = np.array(pushes, dtype=np.int64).T
    return persons, T + hours * MS_PER_HOUR


def test_weekly_counts_counts_four_whole_weeks_though_the_post_window_is_open() -> None:
    week = 7 * MS_PER_DAY
    events = [(0, -1, 0), (0, -week, 0), (0, -week - 1, 0), (0, -4 * week, 1), (0, 0, 0)]
    panel = panel_of(events, [(0, 0, 0)], as_of=T + 1)
    counts, whole = weekly_counts(panel.index, panel.sends, metrics=panel.metric_events)
    assert counts[0].tolist() == [[2, 1, 0, 0]]
    assert counts[1].tolist() == [[0, 0, 0, 1]]
    assert whole.all()


def test_weekly_counts_marks_weeks_before_the_sign_up() -> None:
    panel = panel_of([(0, -1, 0)], [(0, 0, 0)], signed_up=[T - 15 * MS_PER_DAY])
    assert weekly_counts(panel.index, panel.sends, metrics=[[0]])[1].tolist() == [
        [True, True, False, False]
    ]


def test_baseline_stability_of_exact_growth_is_its_rate() -> None:
    found = stability(np.array([[100, 110, 121, 133.1]] * 5) * 10)
    assert found.slope[0] == pytest.approx(np.log(1.1))
    # every user moves alike, so users add no uncertainty
    assert found.slope_ci_high[0] == pytest.approx(found.slope_ci_low[0], abs=1e-9)
    weeks = np.array([100, 110, 121, 133.1])
    assert found.cv[0] == pytest.approx(weeks.std(ddof=1) / weeks.mean())


def test_baseline_stability_slope_interval_covers_a_true_slope() -> None:
    rng = np.random.default_rng(29)
    growth = np.exp(0.04 * np.arange(4))
    weekly = rng.poisson(rng.gamma(0.6, 5, (400, 200, 1)) * growth).reshape(-1, 4)
    campaigns = np.repeat(np.arange(400), 200)
    found = stability(weekly, campaigns=campaigns, n_campaigns=400)
    covered = (found.slope_ci_low <= 0.04) & (found.slope_ci_high >= 0.04)
    assert 0.91 < covered.mean() < 0.985
    assert found.slope.mean() == pytest.approx(0.04, abs=0.01)


def test_baseline_stability_dispersion_is_one_for_poisson_and_more_for_bursts() -> None:
    rng = np.random.default_rng(31)
    rates = rng.gamma(0.6, 4, (4000, 1)) * np.ones(4)
    steady = stability(rng.poisson(rates))
    bursts = stability(rng.poisson(rates * rng.gamma(0.5, 2, rates.shape)))
    assert steady.dispersion[0] == pytest.approx(1, abs=0.06)
    assert bursts.dispersion[0] > 3


def test_baseline_stability_reliability_is_spearman_browns() -> None:
    rng = np.random.default_rng(37)
    blocks = rng.poisson(rng.gamma(0.6, 1, (300, 1)) * np.ones(15))
    found = stability(np.ones((300, 4)), blocks)
    r = np.corrcoef(blocks[:, 0:14:2].sum(axis=1), blocks[:, 1:14:2].sum(axis=1))[0, 1]
    assert found.reliability[0] == pytest.approx(2 * r / (1 + r))
    opposed = np.array([[3, 0], [0, 3], [2, 1], [1, 2]])
    assert stability(np.ones((4, 4)), opposed).reliability[0] == 0


def test_baseline_stability_leaves_newcomers_out_and_counts_them() -> None:
    whole = np.ones((4, 4), dtype=bool)
    whole[3, 3] = False
    weekly = np.array([[5, 5, 5, 5]] * 3 + [[0, 90, 90, 90]])
    found = stability(weekly, whole=whole)
    assert (found.n_users[0], found.short_tenure_share[0]) == (3, 0.25)
    assert found.slope[0] == pytest.approx(0)


def test_baseline_stability_keeps_campaigns_apart_and_says_what_is_not_known() -> None:
    weekly = np.array([[1, 2, 4, 8], [3, 3, 3, 3], [1, 0, 1, 1], [2, 2, 2, 2]])
    found = stability(weekly, campaigns=np.array([0, 1, 2, 1]), n_campaigns=4)
    np.testing.assert_allclose(found.slope, [np.log(2), 0, np.nan, np.nan], atol=1e-12)
    assert np.isnan(found.slope_ci_low[[0, 2, 3]]).all()
    assert found.slope_ci_low[1] == pytest.approx(0)
    assert np.isnan(found.short_tenure_share[3])
    assert found.n_users.tolist() == [1, 2, 1, 0]


def test_graded_stability_follows_the_conventions() -> None:
    slope = np.array([0.01, -0.03, 0.01, 0.01, 0.03, 0.06, 0.01, np.nan])
    contamination = np.array([0.05, 0.05, 0.15, 0.05, 0.15, 0.05, 0.35, 0.05])
    placebo = np.array([0.5, 0.5, 0.5, 0.03, 0.5, 0.5, 0.5, 0.5])
    found = graded_stability(slope, contamination, placebo_pvalue=placebo)
    assert found.grade.tolist() == [
        "green", "amber", "amber", "amber", "red", "red", "red", "amber"
    ]  # fmt: skip
    assert found.is_steady.tolist() == [True, False, True, True, False, False, True, False]
    assert found.is_clean.tolist() == [True, True, False, True, False, True, False, True]
    assert found.is_placebo_quiet.tolist() == [True] * 3 + [False] + [True] * 4


def test_graded_stability_without_placebo_goes_by_two_checks() -> None:
    found = graded_stability(np.array([0.0, 0.0]), np.array([0.0, np.nan]))
    assert found.grade.tolist() == ["green", "amber"]
    unknown = graded_stability(np.zeros(1), np.zeros(1), placebo_pvalue=np.array([np.nan]))
    assert unknown.grade.tolist() == ["amber"]


def test_contamination_share_equals_going_through_the_hours() -> None:
    pushes = random_pushes(41)
    persons, instants = arrays(pushes)
    campaigns = np.arange(len(pushes)) % 3
    starts = instants - 30 * MS_PER_DAY
    found = contamination_share(
        PushTimes.of(persons, instants), persons, starts, instants,
        campaigns=campaigns, n_campaigns=4,
    )  # fmt: skip
    hours = [other_time(pushes, who, at - 720, at) for who, at in pushes]
    expected = [
        np.mean([h for h, c in zip(hours, campaigns, strict=True) if c == code]) / 720
        for code in range(3)
    ]
    np.testing.assert_allclose(found[:3], expected)
    assert np.isnan(found[3])


def test_push_overlap_equals_going_through_the_hours() -> None:
    pushes = random_pushes(43)
    persons, instants = arrays(pushes)
    found = push_overlap(
        PushTimes.of(persons, instants), persons, instants,
        campaigns=np.zeros(len(pushes), dtype=np.int64), n_campaigns=1,
    )  # fmt: skip
    hours = [other_time(pushes, who, at, at + 48, but=i) for i, (who, at) in enumerate(pushes)]
    near = [
        any(
            i != j and who == other and at - 48 <= then < at + 48
            for j, (other, then) in enumerate(pushes)
        )
        for i, (who, at) in enumerate(pushes)
    ]
    assert found.hours[0] == pytest.approx(np.mean(hours))
    assert found.share[0] == pytest.approx(np.mean(near))


@pytest.mark.parametrize(
    ("other_hours", "share", "hours"),
    [(-48, 1, 0), (-49, 0, 0), (-12, 1, 36), (0, 1, 48), (12, 1, 36), (47, 1, 1), (48, 0, 0)],
)
def test_push_overlap_of_two_pushes(other_hours: int, share: float, hours: float) -> None:
    persons, instants = arrays([(7, 100), (7, 100 + other_hours), (6, 101), (8, 99)])
    found = push_overlap(
        PushTimes.of(persons, instants), persons[:1], instants[:1], campaigns=ONE, n_campaigns=1
    )
    assert (found.share[0], found.hours[0]) == (share, hours)


def test_contamination_and_overlap_of_nothing_are_missing() -> None:
    none = np.zeros(0, dtype=np.int64)
    pushes = PushTimes.of(none, none)
    assert np.isnan(push_overlap(pushes, none, none, campaigns=none, n_campaigns=2).share).all()
    share = contamination_share(pushes, ONE, ONE + T, ONE + T + 5, campaigns=ONE, n_campaigns=1)
    assert share.tolist() == [0]


def test_everything_takes_less_than_a_second_for_a_whole_product() -> None:
    rng = np.random.default_rng(47)
    n, n_campaigns = 141_000, 66
    campaigns = np.sort(rng.integers(0, n_campaigns, n))
    persons = rng.integers(0, 10_000, n)
    instants = T + rng.integers(0, 60 * MS_PER_DAY, n)
    weekly = [rng.poisson(1.0, (n, 4)).astype(np.int32) for _ in range(7)]
    blocks = [rng.poisson(0.3, (n, 15)).astype(np.int32) for _ in range(7)]
    whole = np.ones((n, 4), dtype=bool)
    place = {"campaigns": campaigns, "n_campaigns": n_campaigns}
    started = time.thread_time()  # the clock on the wall also times whatever else runs
    for week, block in zip(weekly, blocks, strict=True):
        baseline_stability(week, block, whole=whole, **place)
    pushes = PushTimes.of(persons, instants)
    contamination_share(pushes, persons, instants - 30 * MS_PER_DAY, instants, **place)
    push_overlap(pushes, persons, instants, **place)
    assert time.thread_time() - started < 1.0

"""Outlier rules."""

import numpy as np
import pytest

from core.measure.outliers import (
    VERDICT_SAFE,
    WHY,
    common_cap,
    largest_z,
    outlier_impact,
    within_iqr,
    within_zscore,
)


def test_within_zscore_can_never_drop_anyone_of_ten():
    values = np.array([0.0] * 9 + [1e9])
    assert within_zscore(values).all()
    assert np.abs((values - values.mean()) / values.std(ddof=1)).max() == pytest.approx(
        2.846, abs=1e-3
    )


def test_within_zscore_drops_the_extreme_of_many():
    values = np.append(np.random.default_rng(1).normal(size=500), 40.0)
    assert not within_zscore(values)[-1]
    assert within_zscore(values[:1]).all()


def test_within_iqr_uses_tukeys_fences():
    values = np.array([1.0, 2, 3, 4, 5, 100])
    assert within_iqr(values).tolist() == [True] * 5 + [False]


def test_common_cap_is_at_least_one_event():
    windows = np.zeros((50, 16))
    assert common_cap(windows, windows >= 0) == 1
    assert common_cap(windows, windows > 0) == 1
    windows[0] = 9
    assert common_cap(windows, windows >= 0) == 9


def heavy_windows(rng, n):
    """Return counts of unequal, bursting users in 16 windows of 2 days, without any effect."""
    mean = rng.gamma(0.4, 1 / 0.4, (n, 1)) * np.ones(16) * 2
    return rng.poisson(rng.gamma(0.6, np.maximum(mean, 1e-12) / 0.6))


def impact_of(windows, exists=None):
    """Return the four views by rule, baseline and post rates taken from the windows."""
    there = np.ones(windows.shape, dtype=bool) if exists is None else exists
    base, post = windows[:, 1:].mean(axis=1) / 2, windows[:, 0] / 2
    views = outlier_impact(base, post, windows=windows, exists=there)
    return {view.rule: view for view in views}


def test_largest_z_is_reached_by_one_value_apart_from_the_rest():
    for n in (2, 10, 11, 300):
        values = np.append(np.zeros(n - 1), 1.0)
        z = np.abs((values - values.mean()) / values.std(ddof=1)).max()
        assert largest_z(n) == pytest.approx(z)
    assert largest_z(10) == pytest.approx(2.846, abs=5e-4)
    assert largest_z(10) < 3 < largest_z(11)
    assert np.isnan(largest_z(1))


def test_outlier_impact_shows_removal_inventing_a_decline_and_capping_not():
    rng = np.random.default_rng(53)
    views = [impact_of(heavy_windows(rng, 1000)) for _ in range(150)]
    means = {
        rule: np.mean([view[rule].rel_effect_size for view in views])
        for rule in ("keep", "iqr", "zscore", "winsorize")
    }
    assert abs(means["keep"]) < 0.03
    assert abs(means["winsorize"]) < 0.03
    assert means["iqr"] < -0.3
    assert means["zscore"] < -0.1
    excludes = np.mean([v["winsorize"].ci_low > 0 or v["winsorize"].ci_high < 0 for v in views])
    assert excludes < 0.1
    dropped = views[0]["iqr"]
    assert dropped.n_touched_up > dropped.n_touched_down
    assert dropped.touched_share == 1 - dropped.n_users / 1000 > 0.05
    assert dropped.n_touched_up + dropped.n_touched_down == 1000 - dropped.n_users


def test_outlier_impact_gives_intervals_and_reasons_only_as_far_as_they_carry():
    views = impact_of(heavy_windows(np.random.default_rng(59), 400))
    for rule, view in views.items():
        assert view.is_verdict_safe == (rule in VERDICT_SAFE)
        assert view.why == WHY[rule]
        limits = [view.ci_low, view.ci_high, view.rel_ci_low, view.rel_ci_high]
        assert np.isnan(limits).all() == (not view.is_verdict_safe)
    keep = views["keep"]
    assert keep.ci_low < keep.effect_size < keep.ci_high
    assert (keep.touched_share, keep.n_users) == (0, 400)


def test_outlier_impact_caps_existing_windows_at_one_value():
    windows = np.ones((100, 16), dtype=int)
    windows[0, 0], windows[1, 5], windows[2, 3] = 90, 90, 90
    exists = np.ones(windows.shape, dtype=bool)
    exists[2, 3] = False
    exists[3, 1:] = False
    view = impact_of(windows, exists)["winsorize"]
    assert (view.n_users, view.n_touched_up, view.n_touched_down) == (99, 1, 1)
    assert view.effect_size == pytest.approx(0)
    assert view.touched_share == pytest.approx(2 / 99)


def test_outlier_impact_of_nobody_and_of_one_user_is_missing():
    nobody = outlier_impact(
        np.zeros(0),
        np.zeros(0),
        windows=np.zeros((0, 16), dtype=int),
        exists=np.zeros((0, 16), dtype=bool),
    )
    assert all(np.isnan(v.effect_size) and np.isnan(v.touched_share) for v in nobody)
    single = impact_of(np.full((1, 16), 3))["keep"]
    assert single.effect_size == 0
    assert np.isnan(single.ci_low)

"""Outlier rules."""

import numpy as np
import pytest

from core.measure.outliers import common_cap, within_iqr, within_zscore


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

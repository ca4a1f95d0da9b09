"""Benjamini and Hochberg's own example."""

import numpy as np
import pytest
from scipy import stats

from core.measure.multiplicity import bh_qvalues

BH_1995 = np.array(
    [.0001, .0004, .0019, .0095, .0201, .0278, .0298, .0344, .0459, .3240, .4262, .5719, .6528,
     .7590, 1]
)  # fmt: skip


def test_bh_qvalues_on_the_published_example():
    adjusted = bh_qvalues(BH_1995)
    assert (adjusted < 0.05).sum() == 4
    assert adjusted[:9] == pytest.approx(
        [0.0015, 0.003, 0.0095, 0.035625, 0.0603, 0.063857, 0.063857, 0.0645, 0.0765], abs=1e-6
    )


def test_bh_qvalues_leave_missing_ones_out_of_the_family():
    with_gap = np.insert(BH_1995, 3, np.nan)
    adjusted = bh_qvalues(with_gap)
    assert np.isnan(adjusted[3])
    assert np.delete(adjusted, 3) == pytest.approx(bh_qvalues(BH_1995))


def test_bh_qvalues_without_any_pvalue():
    assert np.isnan(bh_qvalues(np.array([np.nan, np.nan]))).all()


def test_bh_qvalues_agree_with_scipy():
    pvalues = np.random.default_rng(1).uniform(size=200) ** 2
    assert bh_qvalues(pvalues) == pytest.approx(stats.false_discovery_control(pvalues))

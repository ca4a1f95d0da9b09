"""Published examples, and simulated error rates where results are selected first."""

import numpy as np
import pytest
from scipy import stats

from core.errors import DataError
from core.measure.multiplicity import bh_qvalues, bh_rejected, drill_down, fcr_level

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


def test_bh_rejected_on_the_published_example():
    assert bh_rejected(BH_1995, 0.05).tolist() == [True] * 4 + [False] * 11
    assert bh_rejected(np.insert(BH_1995, 2, np.nan), 0.05).tolist() == (
        [True, True, False, True, True] + [False] * 11
    )
    assert bh_rejected(BH_1995, 0.07).sum() == 8
    assert not bh_rejected(np.array([]), 0.05).size


def test_drill_down_by_hand():
    primary = np.array([0.001, 0.02, 0.5, np.nan, 0.9])
    # two of four are selected, so each family is tested at 0.05 x 2 / 4 = 0.025
    metrics = np.array(
        [
            [0.001, 0.012, 0.024],  # all three: 0.024 <= 0.025
            [0.020, 0.030, 0.900],  # none: 0.02 > 0.025 / 3 and 0.03 > 0.05 / 3
            [0.500, 0.00001, 0.00001],  # not selected, whatever its metrics say
            [np.nan, 0.00001, 0.00001],
            [0.900, 0.900, 0.900],
        ]
    )
    expected = np.zeros((5, 3), dtype=bool)
    expected[0] = True
    assert np.array_equal(drill_down(primary, metrics, 0.05), expected)


def test_drill_down_leaves_missing_metrics_out_of_their_family():
    got = drill_down(np.array([0.001]), np.array([[0.001, np.nan, 0.05]]), 0.05)
    assert got.tolist() == [[True, False, True]]


def test_drill_down_without_a_selected_campaign():
    assert not drill_down(np.array([0.4, np.nan]), np.full((2, 3), 0.001), 0.05).any()


def test_drill_down_of_other_campaigns_raises():
    with pytest.raises(DataError, match="3 campaigns"):
        drill_down(np.full(3, 0.1), np.full((2, 6), 0.1), 0.05)


def test_drill_down_holds_the_rate_that_testing_at_the_full_rate_does_not():
    """66 campaigns, six correlated metrics, one campaign in ten works, on half its metrics."""
    rng = np.random.default_rng(3)
    corrected, naive = [], []
    for _ in range(400):
        effect = np.zeros((66, 6))
        effect[:6, :3] = 3.5
        z = effect + np.sqrt(0.5) * (rng.normal(size=(66, 1)) + rng.normal(size=(66, 6)))
        p = 2 * stats.norm.sf(np.abs(z))
        selected = np.flatnonzero(bh_rejected(p[:, 0], 0.05))
        if not len(selected):
            corrected.append(0.0)
            naive.append(0.0)
            continue
        full = np.vstack([bh_rejected(p[campaign], 0.05) for campaign in selected])
        for shares, rejected in (
            (corrected, drill_down(p[:, 0], p, 0.05)[selected]), (naive, full)
        ):  # fmt: skip
            is_false = rejected & (effect[selected] == 0)
            shares.append((is_false.sum(axis=1) / np.maximum(rejected.sum(axis=1), 1)).mean())
    assert np.mean(corrected) < 0.05
    assert np.mean(naive) > np.mean(corrected)


def test_fcr_level_of_published_counts():
    assert fcr_level(4, 15, 0.05) == pytest.approx(1 - 0.05 * 4 / 15)
    assert fcr_level(15, 15, 0.05) == pytest.approx(0.95)
    assert np.isnan(fcr_level(0, 15, 0.05))
    assert np.isnan(fcr_level(0, 0, 0.05))


@pytest.mark.parametrize("counts", [(3, 2), (-1, 2)])
def test_fcr_level_of_impossible_counts_raises(counts):
    with pytest.raises(DataError):
        fcr_level(*counts, 0.05)


def test_fcr_level_holds_where_selection_breaks_the_ordinary_interval():
    rng = np.random.default_rng(4)
    missed, missed_plain = [], []
    for _ in range(600):
        effect = np.where(rng.random(66) < 0.3, rng.normal(0, 2.5, 66), 0.0)
        z = rng.normal(effect)
        selected = bh_rejected(2 * stats.norm.sf(np.abs(z)), 0.05)
        off = np.abs(z - effect)[selected]
        n = max(len(off), 1)
        level = fcr_level(int(selected.sum()), 66, 0.05) if len(off) else 0.95
        missed.append((off > stats.norm.ppf((1 + level) / 2)).sum() / n)
        missed_plain.append((off > stats.norm.ppf(0.975)).sum() / n)
    assert np.mean(missed) < 0.05
    assert np.mean(missed_plain) > 0.1

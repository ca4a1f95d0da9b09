"""Ranks against scipy, and whether their probabilities come true."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from core.errors import DataError
from core.measure.hierarchy import draws, pool
from core.measure.ranks import TOP, ranks
from tests.measure.test_hierarchy import world


def test_ranks_count_from_the_largest():
    got = ranks(np.array([[3.0, 1.0, 2.0]] * 5))
    assert got.median_rank.tolist() == [1, 3, 2]
    assert (got.rank_low.tolist(), got.rank_high.tolist()) == ([1, 3, 2], [1, 3, 2])
    assert got.p_best.tolist() == [1, 0, 0]
    assert got.p_top.tolist() == [1, 1, 1]


def test_ranks_share_ties():
    got = ranks(np.array([[5.0, 5.0, 1.0, 1.0, 1.0]]))
    assert got.median_rank.tolist() == [1.5, 1.5, 4, 4, 4]
    assert got.p_best.tolist() == [0.5, 0.5, 0, 0, 0]


def test_ranks_share_the_last_top_places_among_ties():
    effects = np.concatenate([np.arange(20.0, 12.0, -1), np.zeros(4), [-1.0]])
    assert ranks(effects[None, :]).p_top == pytest.approx([1] * 8 + [0.5] * 4 + [0])


def test_ranks_interval_holds_its_share_of_draws():
    drawn = np.random.default_rng(1).normal(size=(4000, 30)) + np.linspace(0, 2, 30)
    got = ranks(drawn, confidence_level=0.8)
    rank = stats.rankdata(-drawn, axis=1)
    inside = ((got.rank_low <= rank) & (rank <= got.rank_high)).mean(axis=0)
    assert inside.min() >= 0.8
    assert got.confidence_level == 0.8


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 25), levels=st.integers(1, 30))
def test_ranks_agree_with_scipy_and_ignore_order(seed, k, levels):
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, levels, size=(15, k)).astype(float)  # many ties
    got = ranks(drawn)
    rank = stats.rankdata(-drawn, axis=1)
    assert got.median_rank == pytest.approx(np.quantile(rank, 0.5, axis=0, method="inverted_cdf"))
    assert got.p_best.sum() == pytest.approx(1)
    assert got.p_top.sum() == pytest.approx(min(k, TOP))
    order = rng.permutation(k)
    other = ranks(drawn[:, order] * 3 - 1)
    assert np.array_equal(other.median_rank, got.median_rank[order])
    assert other.p_top == pytest.approx(got.p_top[order])


def test_ranks_come_true_where_campaigns_share_people():
    """Rank intervals hold the true rank; P(best) and P(top) are frequencies."""
    rng = np.random.default_rng(11)
    inside, best, is_best, top, is_top = [], [], [], [], []
    for seed in range(250):
        effects, y, v = world(rng)
        got = ranks(draws(pool(y, v, confidence_level=0.95), n=1000, seed=seed))
        rank = stats.rankdata(-effects)
        inside.append((got.rank_low <= rank) & (rank <= got.rank_high))
        best.append(got.p_best)
        is_best.append(rank == 1)
        top.append(got.p_top)
        is_top.append(rank <= TOP)
    # whole ranks make it wider than its name: each tail holds less than 2.5 %
    assert 0.95 < np.mean(inside) < 0.99
    best, is_best, top, is_top = map(np.ravel, (best, is_best, top, is_top))
    for low, high in ((0, 0.05), (0.05, 0.15), (0.15, 0.4), (0.4, 1.01)):
        rows = (low <= best) & (best < high)
        # four standard errors of a frequency
        slack = 4 * np.sqrt(best[rows].mean() / rows.sum())
        assert is_best[rows].mean() == pytest.approx(best[rows].mean(), abs=slack), (low, high)
    for low, high in ((0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.01)):
        rows = (low <= top) & (top < high)
        assert is_top[rows].mean() == pytest.approx(top[rows].mean(), abs=0.06), (low, high)


@pytest.mark.parametrize(
    "drawn", [np.zeros((0, 3)), np.zeros((3, 0)), np.zeros(3), np.array([[1.0, np.nan]])]
)
def test_ranks_without_draws_raise(drawn):
    with pytest.raises(DataError):
        ranks(drawn)

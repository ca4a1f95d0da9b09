"""Joint draws over layers: one layer as by itself, shared people against brute force."""

import numpy as np
import pytest

from core.errors import DataError
from core.measure.hierarchy import pool
from core.measure.layered import layered_draws

ONE = np.array([0.1, 0.3, -0.1, 0.25, 0.05])


def covariance_of(n, *, shared=0.4, sd=0.15):
    return sd**2 * (shared + (1 - shared) * np.eye(n))


def pooled(y, v, groups):
    return [
        pool(y[groups == g], v[np.ix_(groups == g, groups == g)], confidence_level=0.95)
        for g in range(groups.max() + 1)
    ]


def drawn(y, v, groups, *, n=40_000, seed=3):
    return layered_draws(y, v, groups, pooled(y, v, groups), n=n, seed=seed)


def test_layered_draws_of_one_layer_are_those_of_its_hierarchy():
    v, groups = covariance_of(5), np.zeros(5, dtype=np.intp)
    found, alone = drawn(ONE, v, groups), pooled(ONE, v, groups)[0]
    np.testing.assert_allclose(found.mean(axis=0), alone.shrunk, atol=0.006)
    np.testing.assert_allclose(found.std(axis=0), alone.shrunk_sd, rtol=0.06)


def test_layered_draws_of_layers_of_strangers_are_those_of_each():
    y, v = np.concatenate([ONE, ONE + 0.4]), np.kron(np.eye(2), covariance_of(5))
    groups = np.repeat([0, 1], 5)
    found, alone = drawn(y, v, groups), pooled(y, v, groups)
    shrunk = np.concatenate([one.shrunk for one in alone])
    np.testing.assert_allclose(found.mean(axis=0), shrunk, atol=0.008)
    between = np.corrcoef(found.T)[:5, 5:]
    assert np.abs(between).max() < 0.04


def brute_force(y, v, groups, hierarchies):
    """Return the posterior means by integrating over both taus on a product grid."""
    design, total, sums = np.eye(2)[groups], 0.0, np.zeros(len(y))
    grids = [np.linspace(0.001, one.joint.tau.max(), 60) for one in hierarchies]
    for first in grids[0]:
        for second in grids[1]:
            spread = np.array([first, second])[groups] ** 2
            precision = np.linalg.inv(v + np.diag(spread))
            information = design.T @ precision @ design
            mean = design @ np.linalg.solve(information, design.T @ precision @ y)
            rest = y - mean
            log = -0.5 * (
                -np.linalg.slogdet(precision)[1]
                + np.linalg.slogdet(information)[1]
                + rest @ precision @ rest
            )
            total += np.exp(log)
            sums += np.exp(log) * (mean + spread * (precision @ rest))
    return sums / total


def test_layered_draws_count_people_that_layers_share():
    y, groups = np.array([0.1, 0.4, 0.0, 0.3, 0.9, 0.2]), np.array([0, 0, 0, 1, 1, 1])
    v = 0.25**2 * np.kron([[1.0, 0.8], [0.8, 1.0]], np.eye(3))  # sent in pairs to the same people
    found = drawn(y, v, groups, n=80_000).mean(axis=0)
    wanted = brute_force(y, v, groups, pooled(y, v, groups))
    apart = drawn(y, v * np.equal.outer(groups, groups), groups, n=80_000).mean(axis=0)
    np.testing.assert_allclose(found, wanted, atol=0.015)
    assert np.abs(apart - wanted).max() > 0.03


def test_layered_draws_of_one_seed_are_the_same():
    v, groups = covariance_of(5), np.array([0, 0, 1, 1, 1])
    np.testing.assert_array_equal(drawn(ONE, v, groups), drawn(ONE, v, groups))


def test_layered_draws_of_a_campaign_recorded_twice_move_together():
    twice = np.array([0, 0, 1, 2, 3, 4])
    y, v = ONE[twice], covariance_of(5)[np.ix_(twice, twice)]
    found = drawn(y, v, np.zeros(6, dtype=np.intp))
    np.testing.assert_array_equal(found[:, 0], found[:, 1])
    alone = pooled(ONE, covariance_of(5), np.zeros(5, dtype=np.intp))[0]
    np.testing.assert_allclose(found[:, 1:].mean(axis=0), alone.shrunk, atol=0.006)


def test_layered_draws_of_a_campaign_alone_in_its_layer_are_its_own_estimate():
    v, groups = covariance_of(5, shared=0.0), np.array([0, 0, 0, 0, 1])
    found = drawn(ONE, v, groups)
    assert found[:, 4].mean() == pytest.approx(ONE[4], abs=0.005)
    assert found[:, 4].std() == pytest.approx(0.15, rel=0.05)


def test_layered_draws_of_other_campaigns_than_were_pooled_raise():
    v, groups = covariance_of(5), np.zeros(5, dtype=np.intp)
    some = [pool(ONE[:4], v[:4, :4], confidence_level=0.95)]
    with pytest.raises(DataError, match="has 5 campaigns, its hierarchy 4"):
        layered_draws(ONE, v, groups, some, seed=1)


@pytest.mark.parametrize("n", [1, 7, 4000])
def test_layered_draws_are_as_many_as_asked_for(n):
    v, groups = covariance_of(5), np.zeros(5, dtype=np.intp)
    assert drawn(ONE, v, groups, n=n).shape == (n, 5)


def test_layered_intervals_cover_the_effects():
    rng, groups = np.random.default_rng(8), np.repeat([0, 1], 6)
    v = covariance_of(12, shared=0.5, sd=0.2)
    root, hits = np.linalg.cholesky(v), []
    for seed in range(60):
        truth = np.array([0.1, 0.4])[groups] + 0.15 * rng.standard_normal(12)
        y = truth + root @ rng.standard_normal(12)
        low, high = np.quantile(drawn(y, v, groups, n=2000, seed=seed), [0.05, 0.95], axis=0)
        hits.append((low <= truth) & (truth <= high))
    assert 0.84 < np.mean(hits) < 0.97

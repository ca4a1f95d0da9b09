"""Published hierarchies, simulated coverage, and what must not matter."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from core.errors import DataError
from core.measure.hierarchy import draws, pool

SCHOOLS = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
SCHOOLS_SE = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])
NUMBERS = (
    "mean", "mean_sd", "mean_ci_low", "mean_ci_high", "tau", "prediction_low", "prediction_high",
    "shrunk", "shrunk_sd", "shrunk_ci_low", "shrunk_ci_high",
)  # fmt: skip


def pooled(estimates, covariance, **options):
    return pool(estimates, covariance, **{"confidence_level": 0.95, **options})


def schools(**options):
    return pooled(SCHOOLS, np.diag(SCHOOLS_SE**2), **options)


def world(rng, k=22, rho=0.3, tau=0.03):
    """True effects, estimates and covariance of campaigns on shared users."""
    se = np.exp(rng.normal(np.log(0.04), 0.3, k))
    covariance = (rho + (1 - rho) * np.eye(k)) * np.outer(se, se)
    effects = rng.normal(0.03, tau, k)
    return effects, effects + np.linalg.cholesky(covariance) @ rng.normal(size=k), covariance


def test_pool_on_the_eight_schools():
    got = schools(tau_max=30.0)
    assert (got.mean, got.mean_sd) == pytest.approx((7.929, 5.091), abs=0.005)
    assert (got.shrunk[0], got.shrunk_sd[0]) == pytest.approx((11.33, 8.25), abs=0.01)
    assert (got.n, got.n_distinct) == (8, 8)
    # Bayesian Data Analysis prints -2, 7, 10, 16, 31 as the quantiles of school A
    assert (got.shrunk_ci_low[0], got.shrunk_ci_high[0]) == pytest.approx((-2, 31), abs=1.1)


def test_pool_integrates_tau_as_quadrature_does():
    """The marginal of the mean and tau integrated outright, without eigenvectors."""
    rng = np.random.default_rng(3)
    _, y, v = world(rng, k=6)
    end = 0.4

    def density(tau, power):
        inverse = np.linalg.inv(v + tau**2 * np.eye(6))
        mean = inverse.sum(axis=0) @ y / inverse.sum()
        fit = (y - mean) @ inverse @ (y - mean)
        log = (np.linalg.slogdet(inverse)[1] - np.log(inverse.sum()) - fit) / 2
        return np.exp(log - 8) * np.array([1, tau, mean])[power]

    whole, tau, mean = (integrate.quad(density, 0, end, args=(p,), limit=200)[0] for p in range(3))
    got = pooled(y, v, tau_max=end)
    assert got.tau == pytest.approx(tau / whole, rel=2e-3)
    assert got.mean == pytest.approx(mean / whole, rel=2e-3)
    assert pooled(y, v, tau_max=end, n_grid=600).tau == pytest.approx(tau / whole, rel=1e-4)


def test_pool_quantiles_agree_with_draws():
    rng = np.random.default_rng(4)
    _, y, v = world(rng, k=8)
    got = pooled(y, v, confidence_level=0.9)
    drawn = draws(got, n=60_000, seed=1)
    assert drawn.shape == (60_000, 8)
    assert drawn.mean(axis=0) == pytest.approx(got.shrunk, abs=0.001)
    assert drawn.std(axis=0) == pytest.approx(got.shrunk_sd, rel=0.02)
    assert np.quantile(drawn, 0.05, axis=0) == pytest.approx(got.shrunk_ci_low, abs=0.002)
    assert np.quantile(drawn, 0.95, axis=0) == pytest.approx(got.shrunk_ci_high, abs=0.002)


def test_draws_keep_the_correlation_of_campaigns():
    """At one tau the joint posterior is normal with a covariance known in closed form."""
    _, y, v = world(np.random.default_rng(5), k=4, rho=0.8)
    got = pooled(y, v)
    tau2 = 0.02**2
    one = np.array([0.02])
    inverse = np.linalg.inv(v + tau2 * np.eye(4))
    mean_var = 1 / inverse.sum()
    mean = mean_var * inverse.sum(axis=0) @ y
    of_mean = np.ones(4) - tau2 * inverse.sum(axis=1)
    expected = tau2 * np.eye(4) - tau2**2 * inverse + mean_var * np.outer(of_mean, of_mean)
    joint = dataclasses.replace(
        got.joint, tau=one, weights=np.ones(1), mean=np.array([mean]), mean_var=np.array([mean_var])
    )
    drawn = draws(dataclasses.replace(got, joint=joint), n=100_000, seed=2)
    assert drawn.mean(axis=0) == pytest.approx(mean + tau2 * inverse @ (y - mean), abs=3e-4)
    assert np.cov(drawn.T) == pytest.approx(expected, abs=0.03 * expected.max())


def test_draws_repeat_with_their_seed():
    got = schools()
    assert np.array_equal(draws(got, n=50, seed=9), draws(got, n=50, seed=9))
    assert not np.array_equal(draws(got, n=50, seed=9), draws(got, n=50, seed=10))
    assert draws(got, seed=1).shape == (4000, 8)


def test_pool_covers_where_campaigns_share_people_and_the_diagonal_does_not():
    rng = np.random.default_rng(7)
    mean = {"full": 0, "diagonal": 0}
    n, n_new, n_effects = 200, 0, 0.0
    for _ in range(n):
        effects, y, v = world(rng)
        full, diagonal = pooled(y, v), pooled(y, np.diag(np.diag(v)))
        mean["full"] += full.mean_ci_low <= 0.03 <= full.mean_ci_high
        mean["diagonal"] += diagonal.mean_ci_low <= 0.03 <= diagonal.mean_ci_high
        n_new += full.prediction_low <= rng.normal(0.03, 0.03) <= full.prediction_high
        n_effects += ((full.shrunk_ci_low <= effects) & (effects <= full.shrunk_ci_high)).mean()
    assert mean["full"] / n > 0.93
    assert mean["diagonal"] / n < 0.75
    assert n_new / n > 0.92
    assert 0.93 < n_effects / n < 0.98


def test_pool_shrinks_the_winners_to_the_truth():
    rng = np.random.default_rng(8)
    raw, shrunk = [], []
    for _ in range(50):
        se = np.exp(rng.normal(np.log(0.03), 0.5, 66))
        effects = rng.normal(0.02, 0.02, 66)
        y = rng.normal(effects, se)
        got = pooled(y, np.diag(se**2)).shrunk
        top, top_shrunk = np.argsort(-y)[:10], np.argsort(-got)[:10]
        raw.append((y[top] - effects[top]).mean())
        shrunk.append((got[top_shrunk] - effects[top_shrunk]).mean())
    assert np.mean(raw) > 0.03
    assert abs(np.mean(shrunk)) < 0.005


def test_pool_finds_tau_though_one_campaign_says_nothing():
    """An even grid over the widened range would have no point near the truth."""
    rng = np.random.default_rng(9)
    se = np.full(40, 0.01)
    y = rng.normal(0.02, 0.03, 40) + rng.normal(0, se)
    without = pooled(y, np.diag(se**2))
    with_noise = pooled(np.append(y, 50.0), np.diag(np.append(se, 100.0) ** 2))
    assert with_noise.tau == pytest.approx(without.tau, rel=1e-3)
    assert with_noise.mean == pytest.approx(without.mean, rel=1e-3)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 15), rho=st.floats(0, 0.99))
def test_pool_does_not_depend_on_the_order_of_campaigns(seed, k, rho):
    rng = np.random.default_rng(seed)
    _, y, v = world(rng, k=k, rho=rho)
    order = rng.permutation(k)
    one, other = pooled(y, v), pooled(y[order], v[np.ix_(order, order)])
    for name in NUMBERS:
        first, second = getattr(one, name), getattr(other, name)
        first = first[order] if isinstance(first, np.ndarray) else first
        np.testing.assert_array_equal(first, second, err_msg=name)
    assert np.array_equal(draws(one, n=20, seed=1)[:, order], draws(other, n=20, seed=1))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6), k=st.integers(1, 15), rho=st.floats(0, 0.99),
    scale=st.floats(1e-6, 1e6),
)  # fmt: skip
def test_pool_scales_with_its_unit(seed, k, rho, scale):
    _, y, v = world(np.random.default_rng(seed), k=k, rho=rho)
    one, other = pooled(y, v), pooled(y * scale, v * scale**2)
    for name in NUMBERS:
        expected = np.asarray(getattr(one, name)) * scale
        np.testing.assert_allclose(
            getattr(other, name), expected, rtol=1e-6, atol=1e-8 * scale, err_msg=name
        )


def test_pool_moves_with_a_constant_added_to_all():
    _, y, v = world(np.random.default_rng(1))
    one, other = pooled(y, v), pooled(y + 1, v)
    assert other.mean == pytest.approx(one.mean + 1)
    assert other.shrunk == pytest.approx(one.shrunk + 1)
    assert other.tau == pytest.approx(one.tau)


def test_pool_of_one_campaign_is_its_estimate():
    got = pooled(np.array([0.4]), np.array([[0.04]]))
    assert (got.mean, got.mean_sd) == pytest.approx((0.4, 0.2))
    assert (got.mean_ci_low, got.mean_ci_high) == pytest.approx((0.0080072, 0.7919928))
    assert (got.shrunk[0], got.shrunk_sd[0]) == pytest.approx((0.4, 0.2))
    assert got.shrunk_ci_low[0] == pytest.approx(got.mean_ci_low)
    assert np.isnan([got.tau, got.prediction_low, got.prediction_high]).all()
    drawn = draws(got, n=20_000, seed=1)
    assert (drawn.mean(), drawn.std()) == pytest.approx((0.4, 0.2), abs=0.005)


def test_pool_of_two_campaigns_lets_the_prior_bound_tau():
    got = pooled(np.array([0.1, 0.3]), np.diag([0.01, 0.01]))
    wider = pooled(np.array([0.1, 0.3]), np.diag([0.01, 0.01]), tau_max=3.0)
    assert got.mean == pytest.approx(0.2)
    assert 0.1 < got.shrunk[0] < 0.2 < got.shrunk[1] < 0.3
    assert got.tau < wider.tau < 3
    assert wider.prediction_low < got.prediction_low < got.mean - got.mean_sd
    assert got.mean_ci_low == pytest.approx(got.mean - 12.7062047 * got.mean_sd)


def test_pool_counts_a_campaign_recorded_again_once():
    _, y, v = world(np.random.default_rng(2), k=5)
    again = np.array([0, 1, 2, 3, 4, 2, 2, 2])
    once, more = pooled(y, v), pooled(y[again], v[np.ix_(again, again)])
    assert (more.n, more.n_distinct) == (8, 5)
    assert (more.mean, more.tau) == (once.mean, once.tau)
    assert np.array_equal(more.shrunk, once.shrunk[again])
    drawn = draws(more, n=10, seed=1)
    assert np.array_equal(drawn[:, 2], drawn[:, 5])


def test_pool_of_one_campaign_recorded_again_knows_nothing_of_tau():
    got = pooled(np.full(3, 0.2), np.full((3, 3), 0.01))
    assert (got.n, got.n_distinct) == (3, 1)
    assert (got.mean, got.mean_sd) == pytest.approx((0.2, 0.1))
    assert np.isnan(got.tau)
    assert draws(got, n=7, seed=1).shape == (7, 3)


def test_pool_with_perfectly_shared_people_takes_differences_for_real():
    """One error common to all: no difference between campaigns is noise."""
    y = np.array([0.1, 0.2, 0.4, 0.7])
    got = pooled(y, np.full((4, 4), 0.09))
    assert got.n_distinct == 4
    assert got.tau > 0.2
    # the common error stays in every effect, the differences of effects do not move
    assert got.shrunk - got.shrunk[0] == pytest.approx(y - y[0], abs=1e-8)
    assert draws(got, n=9, seed=1) - draws(got, n=9, seed=1)[:, :1] == pytest.approx(
        np.tile(y - y[0], (9, 1)), abs=1e-6
    )


def test_pool_with_fewer_people_than_campaigns():
    psi = np.random.default_rng(6).normal(size=(5, 12)) / 20
    got = pooled(psi.sum(axis=0), psi.T @ psi)
    for name in NUMBERS:
        assert np.isfinite(getattr(got, name)).all(), name
    assert np.isfinite(draws(got, n=100, seed=1)).all()


def test_pool_with_an_effect_known_exactly():
    got = pooled(np.array([0.1, 0.2, 0.5]), np.diag([0.0, 0.01, 0.01]))
    assert got.shrunk[0] == pytest.approx(0.1)
    assert (got.shrunk_sd[0], got.shrunk_ci_low[0]) == pytest.approx((0.0, 0.1), abs=1e-8)


def test_pool_without_any_error_or_difference():
    got = pooled(np.zeros(3), np.zeros((3, 3)))
    assert (got.mean, got.mean_sd, got.n_distinct) == (0.0, 0.0, 1)


def test_pool_prediction_is_wider_than_the_mean():
    got = schools(tau_max=30.0, confidence_level=0.8)
    inner = stats.norm.ppf(0.9) * got.mean_sd
    assert got.prediction_low < got.mean - inner < got.mean + inner < got.prediction_high


@pytest.mark.parametrize(
    ("estimates", "covariance", "options", "said"),
    [
        (np.zeros(0), np.zeros((0, 0)), {}, "k by k"),
        (np.zeros(2), np.eye(3), {}, "k by k"),
        (np.array([0.1, np.nan]), np.eye(2), {}, "not finite"),
        (np.zeros(2), np.array([[1.0, np.inf], [np.inf, 1.0]]), {}, "not finite"),
        (np.arange(2.0), np.array([[1.0, 0.5], [0.0, 1.0]]), {}, "symmetric"),
        (np.arange(2.0), np.array([[1.0, 2.0], [2.0, 1.0]]), {}, "negative eigenvalue"),
        (np.arange(2.0), np.eye(2), {"tau_max": 0.0}, "tau_max"),
    ],
)
def test_pool_without_a_covariance_raises(estimates, covariance, options, said):
    with pytest.raises(DataError, match=said):
        pooled(estimates, covariance, **options)

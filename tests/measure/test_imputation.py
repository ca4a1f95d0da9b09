"""Imputation against regressions by statsmodels and influence values by leaving one out."""

import numpy as np
import pytest
import statsmodels.api as sm

from core.measure.imputation import adjust, impute


@pytest.fixture
def arms():
    rng = np.random.default_rng(1)
    x0 = np.column_stack([np.ones(120), rng.normal(size=(120, 3))])
    x1 = np.column_stack([np.ones(50), rng.normal(0.5, 1, size=(50, 3))])
    slopes = np.array([2.0, 1.0, -0.5, 0.3])
    y0 = x0 @ slopes + rng.standard_t(5, 120)
    y1 = x1 @ slopes + 0.4 + rng.standard_t(5, 50)
    return y1, x1, y0, x0


def variance(two):
    """Return the variance of the effect that influence values give."""
    psi = np.concatenate([two.psi_pushed, two.psi_others])
    return float(((psi[:, 0] - psi[:, 1]) ** 2).sum())


def test_impute_predicts_as_ordinary_least_squares_on_the_others(arms):
    y1, x1, y0, x0 = arms
    two = impute(*arms)
    fit = sm.OLS(y0, x0).fit()
    assert two.post == pytest.approx(y1.mean())
    assert two.expected == pytest.approx(float(fit.predict(x1).mean()), rel=1e-6)


def test_impute_variance_of_the_expectation_is_the_hc3_sandwich_at_the_pushed_mean(arms):
    _, x1, y0, x0 = arms
    two = impute(*arms)
    covariance = sm.OLS(y0, x0).fit().cov_HC3
    mean = x1.mean(axis=0)
    found = float((two.psi_others[:, 1] ** 2).sum())
    assert found == pytest.approx(float(mean @ covariance @ mean), rel=1e-5)


def test_impute_influence_of_the_others_is_what_leaving_one_out_changes(arms):
    _, x1, y0, x0 = arms
    two = impute(*arms)
    for out in range(0, len(y0), 7):
        kept = np.arange(len(y0)) != out
        without = sm.OLS(y0[kept], x0[kept]).fit().predict(x1).mean()
        assert two.expected - without == pytest.approx(two.psi_others[out, 1], abs=1e-6)
    assert (two.psi_others[:, 0] == 0).all()


def test_impute_influence_of_the_pushed_sums_to_nothing_and_is_the_mean_deviation(arms):
    y1, x1, y0, x0 = arms
    two = impute(*arms)
    predicted = sm.OLS(y0, x0).fit().predict(x1)
    assert two.psi_pushed.sum(axis=0) == pytest.approx([0, 0], abs=1e-9)
    assert two.psi_pushed[:, 0] == pytest.approx((y1 - y1.mean()) / len(y1))
    assert two.psi_pushed[:, 1] == pytest.approx((predicted - predicted.mean()) / len(y1), abs=1e-7)


def test_impute_influence_of_the_others_sums_to_nearly_nothing(arms):
    total = impute(*arms).psi_others[:, 1]
    assert abs(total.sum()) < 0.1 * np.sqrt((total**2).sum())


def test_impute_with_a_dummy_of_each_stratum_is_post_stratification():
    rng = np.random.default_rng(2)
    of0, of1 = rng.integers(0, 4, 200), rng.choice(4, 80, p=[0.1, 0.2, 0.3, 0.4])
    y0, y1 = rng.poisson(1.0 + of0).astype(float), rng.poisson(1.5 + of1).astype(float)
    two = impute(y1, np.eye(4)[of1], y0, np.eye(4)[of0])
    shares = np.bincount(of1, minlength=4) / 80
    means = np.array([y0[of0 == k].mean() for k in range(4)])
    assert two.expected == pytest.approx(float(shares @ means))
    # the variance of a stratified mean, each stratum's by leaving one out (n - 1 twice: HC3)
    by_stratum = [((y0[of0 == k] - means[k]) ** 2).sum() for k in range(4)]
    n = np.bincount(of0, minlength=4)
    assert (two.psi_others[:, 1] ** 2).sum() == pytest.approx(
        float((shares**2 * by_stratum / (n - 1) ** 2).sum()), rel=1e-6
    )


def test_impute_without_anything_known_is_the_difference_of_means():
    rng = np.random.default_rng(3)
    y1, y0 = rng.normal(1, 1, 60), rng.normal(0, 2, 90)
    two = impute(y1, np.ones((60, 1)), y0, np.ones((90, 1)))
    assert two.post - two.expected == pytest.approx(y1.mean() - y0.mean())
    welch = y1.var(ddof=1) / 60 + y0.var(ddof=1) / 90
    assert variance(two) == pytest.approx(welch, rel=0.02)


def test_impute_does_not_depend_on_the_units_of_columns_or_on_empty_ones(arms):
    y1, x1, y0, x0 = arms
    scale = np.array([1.0, 1e4, 1e-4, 7.0, 0.0])
    wide = [np.column_stack([x, np.zeros(len(x))]) * scale for x in (x1, x0)]
    plain, other = impute(*arms), impute(y1, wide[0], y0, wide[1])
    assert other.expected == pytest.approx(plain.expected, rel=1e-6)
    assert variance(other) == pytest.approx(variance(plain), rel=1e-5)


def test_impute_with_a_column_twice_is_as_with_it_once(arms):
    y1, x1, y0, x0 = arms
    twice = [np.column_stack([x, x[:, 1]]) for x in (x1, x0)]
    assert impute(y1, twice[0], y0, twice[1]).expected == pytest.approx(
        impute(*arms).expected, rel=1e-6
    )


def test_adjust_is_the_interacted_regression_of_lin():
    rng = np.random.default_rng(4)
    x = rng.gamma(1, 1, size=(150, 2))
    pushed = np.arange(150) < 100
    y = 1 + x @ [0.5, -0.2] + pushed * (0.3 + x @ [0.4, 0.1]) + rng.normal(size=150)
    two = adjust(y[pushed], x[pushed], y[~pushed], x[~pushed])
    centred, t = x - x.mean(axis=0), pushed.astype(float)
    design = np.column_stack([np.ones(150), t, centred, centred * t[:, None]])
    fit = sm.OLS(y, design).fit()
    assert two.post - two.expected == pytest.approx(float(fit.params[1]), rel=1e-6)
    assert two.expected == pytest.approx(float(fit.params[0]), rel=1e-6)
    # beyond the sandwich, who happens to be in the sample varies too (the slopes differ by arm)
    between = ((centred @ fit.params[4:]) ** 2).sum() / 150**2
    assert variance(two) == pytest.approx(float(fit.cov_HC3[1, 1] + between), rel=0.05)


def test_adjust_variance_where_slopes_are_the_same_is_the_hc3_sandwich():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(2000, 1))
    pushed = rng.random(2000) < 0.7
    y = x[:, 0] + rng.normal(size=2000)
    two = adjust(y[pushed], x[pushed], y[~pushed], x[~pushed])
    centred, t = x - x.mean(axis=0), pushed.astype(float)
    design = np.column_stack([np.ones(2000), t, centred, centred * t[:, None]])
    assert variance(two) == pytest.approx(sm.OLS(y, design).fit().cov_HC3[1, 1], rel=0.01)


def test_adjust_explains_what_was_known_before():
    rng = np.random.default_rng(6)
    x = rng.normal(size=(400, 1))
    y = 3 * x[:, 0] + rng.normal(size=400)
    raw = y[:200].var(ddof=1) / 200 + y[200:].var(ddof=1) / 200
    assert variance(adjust(y[:200], x[:200], y[200:], x[200:])) < 0.2 * raw

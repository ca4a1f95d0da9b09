"""The paired comparison against published cases, scipy, statsmodels and simulation."""

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from core.measure.paired import clustered_moments, group_moments, paired_effects

SLEEP_1 = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
SLEEP_2 = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
CITY_U = np.array([138, 93, 61, 179, 48, 37, 29, 23, 30, 2], dtype=float)
CITY_X = np.array([143, 104, 69, 260, 75, 63, 50, 48, 111, 50], dtype=float)


def one_group(base, post, level=0.95):
    zeros = np.zeros(len(base), dtype=np.int64)
    return paired_effects(group_moments(base, post, zeros, 1), confidence_level=level)


def test_paired_effects_reproduces_the_sleep_study():
    result = one_group(SLEEP_2, SLEEP_1)
    assert result.statistic[0] == pytest.approx(-4.062128, abs=1e-6)
    assert result.df[0] == 9
    assert result.pvalue[0] == pytest.approx(0.00283289, abs=1e-8)
    assert result.ci_low[0] == pytest.approx(-2.4598858, abs=1e-7)
    assert result.ci_high[0] == pytest.approx(-0.7001142, abs=1e-7)
    assert abs(result.effect_size_std[0]) == pytest.approx(1.284558, abs=1e-6)


def test_paired_effects_at_another_confidence_level():
    result = one_group(SLEEP_2, SLEEP_1, level=0.99)
    assert result.ci_low[0] == pytest.approx(-2.844052, abs=1e-6)
    assert result.ci_high[0] == pytest.approx(-0.315948, abs=1e-6)


def test_relative_effect_unbounded_on_the_sleep_study():
    result = one_group(SLEEP_1, SLEEP_2).relative
    assert not result.is_bounded[0]
    assert np.isnan(result.estimate[0])
    assert result.ci_low[0] == pytest.approx(1.523005 - 1, abs=1e-6)
    assert np.isnan(result.ci_high[0])


def test_relative_effect_bounded_on_city():
    result = one_group(CITY_U, CITY_X).relative
    assert result.estimate[0] + 1 == pytest.approx(1.520313, abs=1e-6)
    assert result.ci_low[0] + 1 == pytest.approx(1.195956, abs=1e-6)
    assert result.ci_high[0] + 1 == pytest.approx(2.461375, abs=1e-6)


def test_paired_effects_agrees_with_scipy_in_every_group():
    rng = np.random.default_rng(5)
    groups = np.sort(rng.integers(0, 6, 500))
    base, post = rng.gamma(0.5, 2, 500), rng.gamma(0.6, 2, 500)
    result = paired_effects(group_moments(base, post, groups, 6), confidence_level=0.9)
    for g in range(6):
        reference = stats.ttest_rel(post[groups == g], base[groups == g])
        interval = reference.confidence_interval(0.9)
        assert result.statistic[g] == pytest.approx(reference.statistic)
        assert result.pvalue[g] == pytest.approx(reference.pvalue)
        assert (result.ci_low[g], result.ci_high[g]) == pytest.approx(tuple(interval))


rates = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 6)), min_size=2, max_size=40).filter(
    lambda rows: sum(r[0] for r in rows) > 0
)


@settings(max_examples=300, deadline=None)
@given(rows=rates, level=st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_relative_interval_excludes_zero_exactly_when_the_test_rejects(rows, level):
    base = np.array([r[0] for r in rows]) / 30
    post = np.array([r[1] for r in rows]) / 2
    result = one_group(base, post, level)
    p, relative = result.pvalue[0], result.relative
    if np.isnan(p) or abs(p - (1 - level)) < 1e-6 or not relative.is_bounded[0]:
        return
    excludes = relative.ci_low[0] > 0 or relative.ci_high[0] < 0
    assert excludes == (p < 1 - level)


@settings(max_examples=100, deadline=None)
@given(rows=rates, scale=st.floats(1e-3, 1e3))
def test_paired_effects_do_not_depend_on_the_unit(rows, scale):
    base = np.array([r[0] for r in rows]) / 30
    post = np.array([r[1] for r in rows]) / 2
    one, other = one_group(base, post), one_group(base * scale, post * scale)
    for name in ("statistic", "pvalue", "effect_size_std"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-6, nan_ok=True)
    assert one.relative.ci_low == pytest.approx(other.relative.ci_low, rel=1e-6, nan_ok=True)


def test_paired_effects_without_variation():
    unchanged = one_group(np.full(40, 0.1), np.full(40, 0.1))
    assert unchanged.pvalue[0] == 1
    assert np.isnan(unchanged.ci_low[0])
    moved = one_group(np.full(40, 0.1), np.full(40, 0.6))
    assert np.isnan(moved.pvalue[0])
    assert np.isnan(moved.statistic[0])


def test_relative_effect_on_a_baseline_of_zero_is_missing():
    rng = np.random.default_rng(2)
    result = one_group(np.zeros(50), rng.poisson(1, 50).astype(float)).relative
    assert np.isnan([result.estimate[0], result.ci_low[0], result.ci_high[0]]).all()


def test_group_moments_of_an_empty_and_a_single_user_group():
    moments = group_moments(np.array([1.0]), np.array([2.0]), np.array([1]), 3)
    assert moments.n.tolist() == [0, 1, 0]
    effects = paired_effects(moments, confidence_level=0.95)
    assert np.isnan(effects.pvalue).all()


def test_clustered_moments_agree_with_cluster_robust_regression():
    rng = np.random.default_rng(3)
    person = rng.integers(0, 60, 400)
    level = rng.normal(0, 1, 60)[person]
    base, post = 2 + level + rng.normal(0, 1, 400), 2.3 + level + rng.normal(0, 1, 400)
    zeros = np.zeros(400, dtype=np.int64)
    moments, persons = clustered_moments(base, post, zeros, person, 1)
    result = paired_effects(moments, confidence_level=0.95, df=persons - 1)
    fit = sm.OLS(post - base, np.ones(400)).fit(
        cov_type="cluster", cov_kwds={"groups": person, "use_correction": False}
    )
    g = len(np.unique(person))
    assert persons.tolist() == [g]
    assert result.effect_size[0] == pytest.approx(fit.params[0])
    assert result.standard_error[0] == pytest.approx(fit.bse[0] * np.sqrt(g / (g - 1)))


def test_clustered_standard_error_is_not_shrunk_by_doubling_users():
    rng = np.random.default_rng(4)
    base, post = rng.gamma(1, 1, 200), rng.gamma(1, 1, 200)
    person, zeros = np.arange(200), np.zeros(200, dtype=np.int64)
    once, n = clustered_moments(base, post, zeros, person, 1)
    twice, m = clustered_moments(
        np.tile(base, 2), np.tile(post, 2), np.tile(zeros, 2), np.tile(person, 2), 1
    )
    error = [
        paired_effects(x, confidence_level=0.95, df=k - 1).standard_error[0]
        for x, k in ((once, n), (twice, m))
    ]
    assert error[1] == pytest.approx(error[0])


def test_paired_effects_hold_their_error_rate_on_a_dense_null():
    rng = np.random.default_rng(11)
    runs, n = 2000, 300
    rate = rng.gamma(2, 0.5, (runs, n))
    base, post = rng.poisson(rate * 30) / 30, rng.poisson(rate * 2) / 2
    groups = np.repeat(np.arange(runs), n)
    result = paired_effects(
        group_moments(base.ravel(), post.ravel(), groups, runs), confidence_level=0.95
    )
    assert 0.035 < (result.pvalue < 0.05).mean() < 0.065
    covered = (result.relative.ci_low <= 0) & (result.relative.ci_high >= 0)
    assert 0.935 < covered.mean() < 0.965


def test_clustered_intervals_cover_a_null_whose_pushes_share_users():
    rng = np.random.default_rng(21)
    worlds, users, pushes = 600, 60, 6
    group = np.repeat(np.arange(worlds), users * pushes)
    person = np.tile(np.repeat(np.arange(users), pushes), worlds)
    habit = np.repeat(rng.normal(0, 1, worlds * users), pushes)  # of the difference itself
    base = np.full(len(group), 5.0)
    post = 5 + habit + rng.normal(0, 1, len(group))
    moments, persons = clustered_moments(base, post, group, person, worlds)
    clustered = paired_effects(moments, confidence_level=0.95, df=persons - 1)
    naive = paired_effects(group_moments(base, post, group, worlds), confidence_level=0.95)
    assert 0.93 < ((clustered.ci_low <= 0) & (clustered.ci_high >= 0)).mean() < 0.97
    assert ((naive.ci_low <= 0) & (naive.ci_high >= 0)).mean() < 0.8

"""What follows from two means: no two of the numbers may contradict each other."""

import dataclasses

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from core.measure.contrasts import EVIDENCE, VERDICT_EVIDENCE, Contrast, infer, missing, moments
from core.measure.estimates import ORDER
from tests.measure.studies import inferred

RATE = st.floats(0.05, 50)
SHARE = st.floats(0.01, 0.9)
MEANS = st.tuples(RATE, RATE, SHARE, SHARE, st.floats(-0.95, 0.95), st.integers(1, 400))


def said(post, expected, error_post, error_expected, rho, df, *, level=0.95, scale=1.0):
    """Infer from means, their errors as shares of the means, and their correlation."""
    se = np.array([post * error_post, expected * error_expected]) * scale
    return infer(
        np.array([post * scale]), np.array([expected * scale]),
        var_post=se[:1] ** 2, var_expected=se[1:] ** 2, cov=np.array([rho * se[0] * se[1]]),
        df=np.array([float(df)]), confidence_level=level,
    )  # fmt: skip


@settings(max_examples=300, deadline=None, derandomize=True)
@given(means=MEANS, level=st.sampled_from([0.8, 0.95, 0.99]))
def test_infer_rejects_exactly_when_the_percentage_excludes_nothing(means, level):
    found = said(*means, level=level)
    p = found.pvalue[0]
    assume(abs(p - (1 - level)) > 1e-7)
    low, high = found.relative.ci_low[0], found.relative.ci_high[0]
    excludes = found.ci_low[0] > 0 or found.ci_high[0] < 0
    assert excludes == (p < 1 - level)
    if found.relative.is_bounded[0]:
        assert (low > 0 or high < 0) == (p < 1 - level)
        assert low <= found.relative.estimate[0] <= high
    elif not np.isnan(low):
        assert (low > 0) == (p < 1 - level)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(means=MEANS, scale=st.floats(1e-3, 1e3))
def test_infer_does_not_depend_on_the_unit(means, scale):
    plain, other = said(*means), said(*means, scale=scale)
    for name in ("effect_size", "standard_error", "ci_low", "ci_high"):
        expected = getattr(plain, name) * scale
        assert getattr(other, name) == pytest.approx(expected, rel=1e-6, abs=1e-9 * scale)
    assert other.pvalue == pytest.approx(plain.pvalue, rel=1e-6)
    if plain.relative.is_bounded[0]:
        assert other.relative.estimate == pytest.approx(plain.relative.estimate, abs=1e-6)


def test_infer_of_paired_samples_is_the_paired_t_test():
    rng = np.random.default_rng(1)
    after, before = rng.normal(2, 1, 40), rng.normal(1.5, 1, 40)
    cov = np.cov(after, before) / 40
    found = infer(
        after.mean(keepdims=True), before.mean(keepdims=True), var_post=cov[:1, 0],
        var_expected=cov[1:, 1], cov=cov[:1, 1], df=np.array([39.0]), confidence_level=0.9,
    )  # fmt: skip
    test = stats.ttest_rel(after, before)
    interval = test.confidence_interval(0.9)
    assert found.statistic[0] == pytest.approx(test.statistic)
    assert found.pvalue[0] == pytest.approx(test.pvalue)
    assert (found.ci_low[0], found.ci_high[0]) == pytest.approx((interval.low, interval.high))


def test_infer_without_variation_has_no_test():
    zero, one = np.zeros(1), np.ones(1)
    found = infer(
        one, zero + 2, var_post=zero, var_expected=zero, cov=zero, df=one, confidence_level=0.95
    )
    assert found.effect_size.tolist() == [-1]
    assert np.isnan([found.pvalue, found.standard_error, found.ci_low]).all()
    moving_together = infer(
        one, zero + 2, var_post=one, var_expected=one, cov=one, df=one, confidence_level=0.95
    )
    assert np.isnan(moving_together.pvalue).all()


def contrast_of(rng, n=50, n_metrics=2, **options):
    psi = rng.normal(size=(2, n, n_metrics)).astype(np.float32) / n
    options = {"n_users": n, "n_comparison": n, **options}
    return Contrast(
        method="comparison", post=np.full(n_metrics, 2.0), expected=np.full(n_metrics, 1.5),
        df=np.full(n_metrics, n - 1.0), persons=np.arange(n), psi_post=psi[0],
        psi_expected=psi[1], **options,
    )  # fmt: skip


def test_moments_are_products_of_influence_values_unless_said_otherwise():
    one = contrast_of(np.random.default_rng(2))
    given_variances = (np.array([1.0, 2.0]), np.array([3.0, 4.0]), np.array([0.5, 0.6]))
    other = dataclasses.replace(one, variances=given_variances)
    post, expected, cov = moments([one, other])
    a, b = one.psi_post.astype(float), one.psi_expected.astype(float)
    assert post[0] == pytest.approx((a**2).sum(axis=0))
    assert expected[0] == pytest.approx((b**2).sum(axis=0))
    assert cov[0] == pytest.approx((a * b).sum(axis=0))
    assert [part[1].tolist() for part in (post, expected, cov)] == [[1, 2], [3, 4], [0.5, 0.6]]


def test_missing_has_no_number_and_says_why():
    found = missing("joint", "window_open", n_metrics=2, n_users=7)
    assert not found.is_known
    assert (found.status, found.n_users, found.n_comparison) == ("window_open", 7, 0)
    assert np.isnan([found.post, found.expected, found.df]).all()
    said_of = inferred(found)
    assert np.isnan([said_of.effect_size, said_of.pvalue, said_of.ci_high]).all()
    assert not said_of.relative.is_bounded.any()


def test_every_method_has_a_grade_and_the_order_is_by_grade():
    assert set(ORDER) == set(EVIDENCE)
    letters = [EVIDENCE[method] for method in ORDER]
    assert letters == sorted(letters)
    assert VERDICT_EVIDENCE == ("A", "B", "C")

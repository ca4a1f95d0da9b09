"""Power and sample size, against published cases and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from core.measure.power import (
    detectable_d,
    mde,
    noncentral_t_power,
    recipients_needed,
    required_n,
)


def test_required_n_gives_the_published_paired_cases() -> None:
    assert float(required_n(0.5)) == pytest.approx(33.3671, abs=1e-4)
    assert float(required_n(0.2)) == pytest.approx(198.15, abs=5e-3)
    assert float(noncentral_t_power(34, 0.5)) == pytest.approx(0.8077775, abs=1e-7)


def test_detectable_d_gives_the_published_case() -> None:
    assert float(detectable_d(100)) == pytest.approx(0.282912, abs=1e-6)


def test_two_sample_gives_the_published_cases() -> None:
    assert float(required_n(0.5, design="two_sample")) == pytest.approx(63.766, abs=5e-4)
    # R's power.t.test(n = 20, delta = 1), which leaves out the far tail of 2.5e-7
    found = float(noncentral_t_power(20, 1, design="two_sample"))
    assert found == pytest.approx(0.8689528, abs=5e-7)


def test_noncentral_t_power_equals_scipys_noncentral_t() -> None:
    n, d = np.array([5.0, 40, 900]), np.array([0.9, -0.4, 0.03])
    critical = stats.t.ppf(0.995, n - 1)
    shift = np.abs(d) * np.sqrt(n)
    expected = stats.nct.sf(critical, n - 1, shift) + stats.nct.cdf(-critical, n - 1, shift)
    np.testing.assert_allclose(noncentral_t_power(n, d, alpha=0.01), expected, rtol=1e-9)


def test_noncentral_t_power_is_alpha_without_effect_and_one_with_a_huge_one() -> None:
    n = np.array([2.0, 3, 10, 1e3, 1e6, 1e9])
    np.testing.assert_allclose(noncentral_t_power(n, 0, alpha=0.1), 0.1)
    np.testing.assert_allclose(noncentral_t_power(n[1:], 1e5), 1)


def test_noncentral_t_power_is_the_share_of_simulated_tests_that_reject() -> None:
    draws = np.random.default_rng(3).normal(0.6, 1, (4000, 20))
    share = (stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05).mean()
    assert share == pytest.approx(float(noncentral_t_power(20, 0.6)), abs=0.025)


def test_required_n_and_detectable_d_undo_noncentral_t_power() -> None:
    d = np.exp(np.linspace(-9, 1, 400))
    for power in (0.5, 0.8, 0.99):
        n = required_n(d, power)
        np.testing.assert_allclose(noncentral_t_power(n, d)[n > 2], power, atol=1e-5)
        np.testing.assert_allclose(detectable_d(n, power)[n > 2], d[n > 2], rtol=1e-4)


def test_required_n_has_edges() -> None:
    found = required_n(np.array([0.0, 1e-9, 1e6, np.nan]))
    np.testing.assert_array_equal(found, [np.inf, np.inf, 2, np.nan])


def test_power_of_fewer_than_two_users_is_missing() -> None:
    assert np.isnan(noncentral_t_power([0, 1, np.nan], 0.5)).all()
    assert np.isnan(detectable_d([0, 1, np.nan])).all()


def test_mde_is_2_8_standard_errors_with_many_users() -> None:
    assert float(mde(0.5, 1e7)) == pytest.approx(0.5 * 2.801585, abs=1e-5)
    expected = (stats.t.ppf(0.995, 9) + stats.t.ppf(0.9, 9)) * 2
    assert float(mde(2, 9, power=0.9, alpha=0.01)) == pytest.approx(expected)


def test_mde_is_missing_without_error_or_freedom() -> None:
    assert np.isnan(mde([0, 1, np.nan], [9, 0, 9])).all()


def test_recipients_needed_finds_the_effect_and_one_fewer_does_not() -> None:
    effect, error, n = 0.03, 0.02, 400
    needed = float(recipients_needed(effect, error, n=n))
    d = effect / (error * np.sqrt(n))
    assert float(noncentral_t_power(needed, d)) >= 0.8 > float(noncentral_t_power(needed - 1, d))
    np.testing.assert_array_equal(recipients_needed(-effect, error, n=n), needed)
    # four times the users halve the error, so half the effect takes four times as many
    assert float(recipients_needed(effect / 2, error, n=n)) == pytest.approx(4 * needed, rel=0.01)


def test_recipients_needed_says_when_no_number_is_enough_or_known() -> None:
    found = recipients_needed([0, 1, 1, 1], [1, 0, np.nan, 1], n=[9, 9, 9, 1])
    np.testing.assert_array_equal(found, [np.inf, np.nan, np.nan, np.nan])

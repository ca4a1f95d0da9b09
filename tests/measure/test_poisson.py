"""The Poisson regression with arms' levels against statsmodels, and its influence values."""

import numpy as np
import pytest
import statsmodels.api as sm

from core.measure import poisson
from core.measure.poisson import fit_slopes, sparse_by


def drawn(rng, n=4_000, *, n_arms=5, dispersion=0.0):
    """Return covariates, counts, days and arms of a multiplicative mean."""
    x = rng.normal(size=(n, 3)) * [0.5, 1.0, 0.3]
    arms = rng.integers(0, n_arms, n)
    days = rng.choice([1.0, 2.0], n)
    mean = np.exp(x @ [0.8, -0.3, 0.0] + np.linspace(-1, 1, n_arms)[arms]) * days
    if dispersion:
        mean = mean * rng.gamma(1 / dispersion, dispersion, n)
    return x, rng.poisson(mean).astype(float), days, arms


def test_fit_slopes_are_those_of_a_poisson_regression_with_dummies():
    x, counts, days, arms = drawn(np.random.default_rng(1))
    design = np.column_stack([x, arms[:, None] == np.arange(5)])
    told = sm.GLM(counts, design, family=sm.families.Poisson(), offset=np.log(days)).fit()
    assert fit_slopes(x, counts, days, arms).slopes == pytest.approx(told.params[:3], abs=1e-4)


def test_fit_slopes_first_steps_on_a_part_end_at_the_same_place(monkeypatch):
    x, counts, days, arms = drawn(np.random.default_rng(2))
    whole = fit_slopes(x, counts, days, arms).slopes
    monkeypatch.setattr(poisson, "_PART", 500)
    assert fit_slopes(x, counts, days, arms).slopes == pytest.approx(whole, abs=1e-3)


def test_fit_slopes_influence_is_the_robust_covariance():
    x, counts, days, arms = drawn(np.random.default_rng(3), dispersion=1.0)
    design = np.column_stack([x, arms[:, None] == np.arange(5)])
    model = sm.GLM(counts, design, family=sm.families.Poisson(), offset=np.log(days))
    robust = model.fit(cov_type="HC0").cov_params()[:3, :3]
    influence = fit_slopes(x, counts, days, arms).influence
    assert influence.T @ influence == pytest.approx(robust, rel=0.05, abs=2e-5)


def test_fit_slopes_from_afar_still_climbs():
    rng = np.random.default_rng(4)
    x = np.column_stack([rng.normal(size=3_000), rng.standard_t(3, size=3_000)])
    counts = rng.poisson(np.exp(1.5 * x[:, 0] - 3)).astype(float)
    found = fit_slopes(x, counts, np.ones(3_000), np.zeros(3_000, dtype=int))
    assert found.slopes == pytest.approx([1.5, 0.0], abs=0.15)


def test_sparse_by_sums_rows_of_groups():
    summed = sparse_by(np.array([1, 0, 1]), np.array([1.0, 2.0, 3.0]), 2) @ np.eye(3)
    assert summed.tolist() == [[0, 2, 0], [1, 0, 3]]

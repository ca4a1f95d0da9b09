"""Meta-regression against published numbers, a direct likelihood, and simulated error rates."""

import numpy as np
import pytest
import scipy.stats

from core.errors import DataError
from core.measure.meta import hartung_knapp, reml
from core.measure.regression import combined, meta_regression

# dat.bcg of metafor: 13 trials of a vaccine, log risk ratios and their variances
BCG = np.array([
    [4, 119, 11, 128, 44], [6, 300, 29, 274, 55], [3, 228, 11, 209, 42],
    [62, 13536, 248, 12619, 52], [33, 5036, 47, 5761, 13], [180, 1361, 372, 1079, 44],
    [8, 2537, 10, 619, 19], [505, 87886, 499, 87892, 13], [29, 7470, 45, 7232, 27],
    [17, 1699, 65, 1600, 42], [186, 50448, 141, 27197, 18], [5, 2493, 3, 2338, 33],
    [27, 16886, 29, 17825, 33],
], dtype=float)  # fmt: skip


def bcg():
    ill, well, ill0, well0, latitude = BCG.T
    effects = np.log(ill / (ill + well)) - np.log(ill0 / (ill0 + well0))
    variances = 1 / ill - 1 / (ill + well) + 1 / ill0 - 1 / (ill0 + well0)
    return effects, variances, latitude


def restricted(tau2, effects, covariance, design):
    """Return the restricted log likelihood as textbooks write it."""
    weight = np.linalg.inv(covariance + tau2 * np.eye(len(effects)))
    inner = design.T @ weight @ design
    rest = effects - design @ np.linalg.solve(inner, design.T @ weight @ effects)
    parts = (np.linalg.slogdet(weight)[1], -np.linalg.slogdet(inner)[1], -rest @ weight @ rest)
    return sum(parts) / 2


def test_meta_regression_without_covariates_is_the_published_pooled_mean():
    effects, variances, _ = bcg()
    fit = meta_regression(effects, np.diag(variances), np.ones((13, 1)))
    assert fit.tau2 == pytest.approx(0.313243, abs=1e-5)
    assert fit.tau2 == pytest.approx(reml(effects, variances), rel=1e-6)
    said = combined(fit, np.ones(1), confidence_level=0.95)
    assert said.estimate == pytest.approx(-0.714532, abs=1e-5)
    assert said.standard_error == pytest.approx(0.180792, abs=1e-5)
    assert (said.ci_low, said.ci_high) == pytest.approx((-1.108444, -0.320621), abs=1e-5)
    textbook = hartung_knapp(effects, variances, confidence_level=0.95)
    assert said.ci_low == pytest.approx(textbook.ci_low)


def test_meta_regression_on_latitude_maximises_the_restricted_likelihood():
    effects, variances, latitude = bcg()
    design = np.column_stack([np.ones(13), latitude])
    fit = meta_regression(effects, np.diag(variances), design)
    # metafor: rma(yi, vi, mods = ~ ablat, data = dat.bcg): tau^2 .0764, slope -.0291
    assert fit.tau2 == pytest.approx(0.0764, abs=1e-4)
    assert fit.coefficients == pytest.approx([0.2515, -0.0291], abs=1e-4)
    best = restricted(fit.tau2, effects, np.diag(variances), design)
    for other in (0.9 * fit.tau2, 1.1 * fit.tau2):
        assert restricted(other, effects, np.diag(variances), design) < best


def test_meta_regression_with_shared_people_maximises_the_restricted_likelihood():
    rng = np.random.default_rng(4)
    k = 12
    root = rng.normal(size=(k, 3 * k)) * 0.05
    covariance = root @ root.T + 0.01
    design = np.column_stack([np.ones(k), np.arange(k) % 2])
    effects = rng.multivariate_normal(design @ [0.1, 0.2], covariance + 0.2**2 * np.eye(k))
    fit = meta_regression(effects, covariance, design)
    grid = np.linspace(0, 0.3, 3001)
    values = [restricted(tau2, effects, covariance, design) for tau2 in grid]
    assert fit.tau2 == pytest.approx(grid[int(np.argmax(values))], abs=2e-4)
    weight = np.linalg.inv(covariance + fit.tau2 * np.eye(k))
    inner = np.linalg.inv(design.T @ weight @ design)
    assert fit.coefficients == pytest.approx(inner @ design.T @ weight @ effects, rel=1e-5)
    assert fit.covariance == pytest.approx(fit.factor * inner, rel=1e-5)


def test_meta_regression_does_not_depend_on_order_or_unit():
    effects, variances, latitude = bcg()
    design = np.column_stack([np.ones(13), latitude])
    order = np.random.default_rng(0).permutation(13)
    plain = meta_regression(effects, np.diag(variances), design)
    mixed = meta_regression(effects[order], np.diag(variances[order]), design[order])
    scaled = meta_regression(100 * effects, 1e4 * np.diag(variances), design)
    assert mixed.coefficients == pytest.approx(plain.coefficients)
    assert scaled.coefficients == pytest.approx(100 * plain.coefficients)
    assert scaled.covariance == pytest.approx(1e4 * plain.covariance)


def test_meta_regression_of_a_campaign_recorded_twice_has_numbers():
    covariance = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    fit = meta_regression(np.array([0.1, 0.1, 0.3]), covariance, np.ones((3, 1)))
    assert fit.coefficients[0] == pytest.approx(0.2, abs=1e-6)


@pytest.mark.parametrize("spread", [0.0, 0.15])
def test_combined_rejects_a_true_null_at_most_as_often_as_it_says(spread):
    rng = np.random.default_rng(8)
    k, n_worlds = 12, 1_500
    root = rng.normal(size=(k, 40)) * 0.015
    covariance = root @ root.T + 0.003
    design = np.column_stack([np.ones(k), np.arange(k) < 7]).astype(float)
    noise = rng.multivariate_normal(np.zeros(k), covariance + spread**2 * np.eye(k), n_worlds)
    weights = np.array([0.0, 1.0])
    pvalues = np.array([
        combined(meta_regression(y, covariance, design), weights, confidence_level=0.95).pvalue
        for y in noise
    ])  # fmt: skip
    assert (pvalues < 0.05).mean() <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / n_worlds)
    if spread:
        assert (pvalues < 0.05).mean() >= 0.025


@pytest.mark.parametrize(
    ("effects", "covariance", "design"),
    [
        (np.zeros(3), np.eye(2), np.ones((3, 1))),
        (np.zeros(2), np.eye(2), np.eye(2)),
        (np.array([0.0, np.nan]), np.eye(2), np.ones((2, 1))),
        (np.zeros(3), np.diag([1.0, 0.0, 1.0]), np.ones((3, 1))),
        (np.zeros(4), np.eye(4), np.ones((4, 2))),
    ],
)
def test_meta_regression_of_what_cannot_be_fitted_raises(effects, covariance, design):
    with pytest.raises(DataError):
        meta_regression(effects, covariance, design)


def test_combined_conditionally_is_the_sum_of_errors_alone():
    effects, variances, _ = bcg()
    fit = meta_regression(effects, np.diag(variances), np.ones((13, 1)))
    said = combined(fit, np.ones(1), confidence_level=0.95)
    weights = 1 / (variances + fit.tau2)
    weights /= weights.sum()
    error = np.sqrt((weights**2 * variances).sum())
    assert said.conditional.standard_error == pytest.approx(error, rel=1e-6)
    assert said.conditional.ci_high - said.estimate == pytest.approx(1.959964 * error, rel=1e-6)
    assert said.conditional.pvalue == pytest.approx(
        2 * scipy.stats.norm.sf(abs(said.estimate) / error), rel=1e-5
    )


def test_combined_conditionally_covers_the_campaigns_own_mean():
    rng = np.random.default_rng(5)
    truth = 0.1 + rng.normal(0, 0.3, 8)  # held fixed: these campaigns are all there is
    variances = np.full(8, 0.05**2)
    held = 0
    for _ in range(400):
        effects = truth + rng.normal(0, np.sqrt(variances))
        said = combined(
            meta_regression(effects, np.diag(variances), np.ones((8, 1))), np.ones(1),
            confidence_level=0.95,
        ).conditional  # fmt: skip
        held += said.ci_low <= truth.mean() <= said.ci_high
    assert 0.92 <= held / 400 <= 0.98

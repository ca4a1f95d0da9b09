"""The correlation of true effects: recovered through noise, and not made up by it."""

import numpy as np
import pytest

from core.errors import DataError
from core.insight.correlation import correlate


def drawn(rng, n, *, correlation, spread, noise, shared):
    """Return two sets of estimates whose errors go together, and the errors' covariances."""
    true = rng.multivariate_normal(
        [0.2, 0.1], spread**2 * np.array([[1, correlation], [correlation, 1]]), n
    )
    sd = noise * rng.uniform(0.5, 1.5, n)
    errors = sd[:, None, None] ** 2 * np.array([[1, shared], [shared, 1]])
    root = np.linalg.cholesky(errors)
    seen = true + np.einsum("nij,nj->ni", root, rng.standard_normal((n, 2)))
    return seen[:, 0], seen[:, 1], errors


def told(rng, n, **given):
    return correlate(*drawn(rng, n, **given), confidence_level=0.95)


def test_correlate_without_noise_is_the_plain_correlation():
    rng = np.random.default_rng(1)
    first, second, _ = drawn(rng, 60, correlation=0.6, spread=0.2, noise=0.01, shared=0)
    found = correlate(first, second, np.tile(np.eye(2) * 1e-8, (60, 1, 1)), confidence_level=0.95)
    assert found.estimate == pytest.approx(found.observed, abs=0.01)
    z = np.arctanh(found.observed) + np.array([-1, 1]) * 1.96 / np.sqrt(57)
    assert (found.ci_low, found.ci_high) == pytest.approx(np.tanh(z), abs=0.03)


def test_correlate_takes_out_what_noise_hides():
    rng = np.random.default_rng(2)
    runs = [told(rng, 66, correlation=0.84, spread=0.1, noise=0.1, shared=0.4) for _ in range(40)]
    assert np.mean([run.observed for run in runs]) < 0.68
    assert np.median([run.estimate for run in runs]) == pytest.approx(0.84, abs=0.06)
    assert np.mean([run.ci_low <= 0.84 <= run.ci_high for run in runs]) >= 0.85
    assert np.mean([run.pvalue < 0.05 for run in runs]) > 0.8


def test_correlate_does_not_take_shared_noise_for_shared_effects():
    rng = np.random.default_rng(3)
    n = 300
    runs = [told(rng, 40, correlation=0.0, spread=0.1, noise=0.1, shared=0.6) for _ in range(n)]
    assert np.mean([run.observed for run in runs]) > 0.2
    false = np.mean([run.pvalue < 0.05 for run in runs])
    assert false <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / n)


def test_correlate_of_effects_that_do_not_vary_says_so():
    rng = np.random.default_rng(4)
    runs = [told(rng, 30, correlation=0.0, spread=1e-6, noise=0.1, shared=0.5) for _ in range(100)]
    assert {run.status for run in runs} == {"ok", "no_spread"}
    assert np.mean([run.pvalue < 0.05 for run in runs]) <= 0.05
    assert all(np.isnan(run.estimate) for run in runs if run.status == "no_spread")


def test_correlate_of_few_campaigns_has_no_number():
    found = told(np.random.default_rng(5), 5, correlation=0.9, spread=0.5, noise=0.01, shared=0.0)
    assert found.status == "too_few_campaigns"
    assert np.isnan([found.estimate, found.pvalue, found.ci_low]).all()
    assert found.n == 5


def test_correlate_does_not_depend_on_units_or_order():
    first, second, errors = drawn(
        np.random.default_rng(6), 25, correlation=-0.7, spread=0.2, noise=0.05, shared=0.2
    )
    plain = correlate(first, second, errors, confidence_level=0.95)
    scale = np.array([100.0, 0.01])
    mixed = correlate(
        first[::-1] * 100, second[::-1] * 0.01, errors[::-1] * np.outer(scale, scale),
        confidence_level=0.95,
    )  # fmt: skip
    assert mixed.estimate == pytest.approx(plain.estimate, abs=1e-6)
    assert mixed.pvalue == pytest.approx(plain.pvalue, rel=1e-4)
    assert plain.estimate < -0.4


@pytest.mark.parametrize(
    ("second", "errors"),
    [
        (np.zeros(6), np.tile(np.eye(2), (7, 1, 1))),
        (np.full(7, np.nan), np.tile(np.eye(2), (7, 1, 1))),
        (np.zeros(7), np.zeros((7, 2, 2))),
    ],
)
def test_correlate_of_what_does_not_fit_raises(second, errors):
    with pytest.raises(DataError):
        correlate(np.zeros(7), second, errors, confidence_level=0.95)

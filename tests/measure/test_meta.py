"""Published meta-analyses and statsmodels as oracles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize
from scipy.special import stdtrit
from statsmodels.stats.meta_analysis import combine_effects

from core.errors import DataError
from core.measure.hierarchy import pool
from core.measure.meta import hartung_knapp, reml

# metafor's dat.bcg: vaccinated with and without tuberculosis, not vaccinated with and without
BCG = np.array(
    [
        [4, 119, 11, 128], [6, 300, 29, 274], [3, 228, 11, 209], [62, 13536, 248, 12619],
        [33, 5036, 47, 5761], [180, 1361, 372, 1079], [8, 2537, 10, 619], [505, 87886, 499, 87892],
        [29, 7470, 45, 7232], [17, 1699, 65, 1600], [186, 50448, 141, 27197], [5, 2493, 3, 2338],
        [27, 16886, 29, 17825],
    ],
    dtype=float,
)  # fmt: skip
N_1, N_0 = BCG[:, :2].sum(axis=1), BCG[:, 2:].sum(axis=1)
LOG_RR = np.log(BCG[:, 0] / N_1) - np.log(BCG[:, 2] / N_0)
LOG_RR_VAR = 1 / BCG[:, 0] - 1 / N_1 + 1 / BCG[:, 2] - 1 / N_0
SCHOOLS = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
SCHOOLS_VAR = np.array([15.0, 10, 16, 11, 9, 11, 10, 18]) ** 2


def test_reml_on_bcg():
    assert reml(LOG_RR, LOG_RR_VAR) == pytest.approx(0.313243, abs=1e-6)


def test_hartung_knapp_on_bcg():
    got = hartung_knapp(LOG_RR, LOG_RR_VAR, confidence_level=0.95)
    assert (got.mean, got.standard_error) == pytest.approx((-0.714532, 0.180792), abs=1e-6)
    assert (got.ci_low, got.ci_high) == pytest.approx((-1.108444, -0.320621), abs=1e-6)
    assert got.q == pytest.approx(152.2330, abs=1e-4)
    assert got.n == 13
    # metafor predicts with 12 degrees of freedom, Higgins, Thompson and Spiegelhalter with 11
    ratio = stdtrit(12, 0.975) / stdtrit(11, 0.975)
    half = (got.prediction_high - got.prediction_low) / 2 * ratio
    assert (got.mean - half, got.mean + half) == pytest.approx((-1.996017, 0.566952), abs=1e-6)


def test_hartung_knapp_on_the_eight_schools_never_narrows():
    """REML finds no heterogeneity; q below 1 would have made the interval shorter."""
    got = hartung_knapp(SCHOOLS, SCHOOLS_VAR, confidence_level=0.95)
    assert (got.tau2, got.q) == pytest.approx((0, 4.707078), abs=1e-6)
    assert (got.mean, got.standard_error) == pytest.approx((7.685617, 4.071919), abs=1e-6)


def test_hartung_knapp_agrees_with_statsmodels_without_truncation():
    """With equal variances Paule-Mandel's tau2 is REML's."""
    variances = np.full(13, 0.05)
    theirs = combine_effects(LOG_RR, variances, method_re="iterated", atol=1e-12)
    got = hartung_knapp(LOG_RR, variances, confidence_level=0.95)
    assert got.tau2 == pytest.approx(theirs.tau2, rel=1e-6)
    assert got.mean == pytest.approx(theirs.mean_effect_re, rel=1e-9)
    assert got.standard_error == pytest.approx(theirs.sd_eff_w_re_hksj, rel=1e-6)
    assert got.q == pytest.approx(theirs.q, rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), k=st.integers(2, 30), tau=st.sampled_from([0.0, 0.02, 0.2]))
def test_reml_is_the_highest_point_of_the_likelihood(seed, k, tau):
    rng = np.random.default_rng(seed)
    variances = np.exp(rng.normal(np.log(0.002), 1, k))
    y = rng.normal(0, np.sqrt(variances + tau**2))

    def minus_log(tau2):
        w = 1 / (variances + tau2)
        return -(np.log(w).sum() - np.log(w.sum()) - w @ (y - w @ y / w.sum()) ** 2) / 2

    ours = minus_log(reml(y, variances))
    top = max(np.ptp(y) ** 2, 1e-9)
    found = [
        optimize.minimize_scalar(minus_log, bounds=(0, top * share), method="bounded").fun
        for share in (1, 0.1, 0.01)
    ]
    assert ours <= min(found) + 1e-7


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(1e-4, 1e4))
def test_hartung_knapp_scales_and_ignores_order(seed, scale):
    rng = np.random.default_rng(seed)
    order = rng.permutation(13)
    one = hartung_knapp(LOG_RR, LOG_RR_VAR, confidence_level=0.9)
    other = hartung_knapp(LOG_RR[order] * scale, LOG_RR_VAR[order] * scale**2, confidence_level=0.9)
    for name in ("mean", "standard_error", "ci_low", "ci_high", "prediction_low"):
        assert getattr(other, name) == pytest.approx(getattr(one, name) * scale, rel=1e-6), name
    assert other.tau2 == pytest.approx(one.tau2 * scale**2, rel=1e-6)


def test_hartung_knapp_agrees_with_the_hierarchy_where_nobody_is_shared():
    meta = hartung_knapp(LOG_RR, LOG_RR_VAR, confidence_level=0.95)
    pooled = pool(LOG_RR, np.diag(LOG_RR_VAR), confidence_level=0.95)
    assert pooled.mean == pytest.approx(meta.mean, abs=0.1 * meta.standard_error)
    assert pooled.tau == pytest.approx(np.sqrt(meta.tau2), rel=0.2)


def test_hartung_knapp_of_few_estimates():
    one = hartung_knapp(np.array([0.3]), np.array([0.04]), confidence_level=0.95)
    assert (one.mean, one.standard_error, one.tau2) == pytest.approx((0.3, 0.2, 0.0))
    assert np.isnan([one.ci_low, one.ci_high, one.prediction_low]).all()
    two = hartung_knapp(np.array([0.3, 0.5]), np.array([0.04, 0.04]), confidence_level=0.95)
    assert two.mean == pytest.approx(0.4)
    assert two.ci_low < two.mean < two.ci_high
    assert np.isnan(two.prediction_high)


@pytest.mark.parametrize(
    ("estimates", "variances"),
    [
        (np.zeros(0), np.zeros(0)),
        (np.zeros(3), np.ones(2)),
        (np.zeros(2), np.array([1.0, 0.0])),
        (np.array([np.nan, 1.0]), np.ones(2)),
    ],
)
def test_reml_of_what_is_no_meta_analysis_raises(estimates, variances):
    with pytest.raises(DataError):
        reml(estimates, variances)

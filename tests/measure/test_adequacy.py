"""Which test the numbers allow, and that what is tested keeps its level."""

from __future__ import annotations

import numpy as np

from core.measure.adequacy import sample_adequacy
from core.measure.paired import group_moments, paired_effects
from core.measure.permutation import window_permutation


def null_windows(rng, n, rate, reps):
    """Return counts of unequal, bursting users in 16 windows of 2 days, without any effect."""
    mean = rng.gamma(0.6, rate / 0.6, (reps, n, 1)) * np.ones(16) * 2
    return rng.poisson(rng.gamma(0.6, np.maximum(mean, 1e-12) / 0.6))


def t_pvalues(windows):
    """Return the paired t-test's p of each campaign, 1 where it has none."""
    base, post = windows[:, :, 1:].sum(axis=2) / 30, windows[:, :, 0] / 2
    groups = np.repeat(np.arange(len(windows)), windows.shape[1])
    moments = group_moments(base.ravel(), post.ravel(), groups, len(windows))
    return np.nan_to_num(paired_effects(moments, confidence_level=0.95).pvalue, nan=1.0)


def adequacy_of(windows):
    return sample_adequacy(
        np.full(len(windows), windows.shape[1]),
        windows[:, :, 0].sum(axis=1),
        n_events_baseline=windows[:, :, 1:].sum(axis=(1, 2)),
    )


def test_sample_adequacy_names_test_and_reason_at_the_edges() -> None:
    found = sample_adequacy(
        np.array([0, 19, 20, 30, 300, 299, 300, 300]),
        np.array([0, 500, 5, 1, 100, 100, 99, 100]),
        n_events_baseline=np.array([0, 500, 75, 17, 900, 900, 900, 0]),
    )
    assert found.test.tolist() == [
        "none", "none", "permutation", "none", "t", "permutation", "permutation", "t"
    ]  # fmt: skip
    assert found.reason.tolist() == [
        "too_few_users", "too_few_users", "ok", "too_few_events", "ok", "ok", "ok", "ok"
    ]  # fmt: skip
    assert found.is_reliable_t.tolist() == (found.test == "t").tolist()
    assert found.n_expected[2] == 5


def test_sample_adequacy_does_not_care_on_which_side_few_events_fell() -> None:
    users, few, many = np.full(2, 50), np.array([0, 90]), np.array([90, 0])
    found = sample_adequacy(users, few, n_events_baseline=many)
    assert found.test.tolist() == ["permutation", "permutation"]


def test_sample_adequacy_refuses_what_the_t_test_gets_wrong() -> None:
    windows = null_windows(np.random.default_rng(61), 30, 0.02, 1000)
    assert (t_pvalues(windows) < 0.05).mean() > 0.2
    assert (adequacy_of(windows).test == "none").all()


def test_sample_adequacy_leaves_tests_that_keep_their_level() -> None:
    rng = np.random.default_rng(67)
    rejected, tested, by_t = 0, 0, 0
    for rate, n in ((0.02, 200), (0.1, 30), (0.1, 100), (0.3, 20), (0.3, 300), (1.0, 50)):
        windows = null_windows(rng, n, rate, 200)
        tests, pvalues = adequacy_of(windows).test, t_pvalues(windows)
        exists = np.ones(windows.shape[1:], dtype=bool)
        for row in np.flatnonzero(tests == "permutation"):
            found = window_permutation(windows[row], exists, n_draws=399, seed=int(row))
            pvalues[row] = found.pvalue
        rejected += (pvalues[tests != "none"] < 0.05).sum()
        tested += (tests != "none").sum()
        by_t += (tests == "t").sum()
    assert tested > 1000
    assert by_t > 150
    assert rejected / tested < 0.07

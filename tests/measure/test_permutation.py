"""The window permutation test: full enumeration, inversion, level, speed."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest

from core.measure.permutation import window_permutation

TINY = np.array([[5, 0, 1, 2], [3, 1, 0, 0], [2, 2, 1, 9], [0, 0, 0, 0]])
TINY_EXISTS = np.array([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 1]], dtype=bool)


def all_assignments(counts, exists, ratio=1.0):
    """Return the statistic of every assignment, and the observed one, post divided by ratio."""
    table = counts.astype(float)
    table[:, 0] /= ratio
    users = [row[there] for row, there in zip(table, exists, strict=True)]
    return np.array([sum(taken) for taken in itertools.product(*users)]), table[:, 0].sum()


def exact_pvalue(counts, exists, ratio=1.0):
    drawn, observed = all_assignments(counts, exists, ratio)
    upper, lower = (drawn >= observed - 1e-9).mean(), (drawn <= observed + 1e-9).mean()
    return min(1.0, 2 * min(upper, lower))


def heavy(rng, n, rate, *, effect=0.0, windows=16):
    """Return negative binomial counts of users of unequal rates; column 0 has the effect."""
    of_user = rng.gamma(0.6, rate / 0.6, (n, 1)) * np.ones(windows) * 2
    of_user[:, 0] *= 1 + effect
    return rng.poisson(rng.gamma(0.6, np.maximum(of_user, 1e-12) / 0.6))


def test_window_permutation_equals_full_enumeration() -> None:
    found = window_permutation(TINY, TINY_EXISTS, n_draws=200_000)
    assert found.pvalue == pytest.approx(exact_pvalue(TINY, TINY_EXISTS), abs=0.005)
    assert found.rel_effect_size == pytest.approx(10 / (1 + 0.5 + 1.5) - 1)
    assert (found.n_windows, found.n_active) == (4, 3)


def test_window_permutation_inverts_the_enumerated_test() -> None:
    rng = np.random.default_rng(5)
    counts = rng.poisson(2.0, (6, 5))
    exists = np.ones(counts.shape, dtype=bool)
    found = window_permutation(counts, exists, n_draws=200_000, confidence_level=0.8)
    for inside, outside in (
        (found.ci_low + 0.02, found.ci_low - 0.02),
        (found.ci_high - 0.02, found.ci_high + 0.02),
    ):
        assert exact_pvalue(counts, exists, 1 + inside) > 0.19
        assert exact_pvalue(counts, exists, 1 + outside) < 0.21


@pytest.mark.parametrize("effect", [0.0, 0.4, 1.0, -0.6])
def test_window_permutation_excludes_zero_exactly_when_it_rejects(effect: float) -> None:
    rng = np.random.default_rng(8)
    exists = np.ones((60, 16), dtype=bool)
    for seed in range(60):
        found = window_permutation(
            heavy(rng, 60, 0.5, effect=effect), exists, n_draws=999, seed=seed
        )
        excludes = found.ci_low > 0 or found.ci_high < 0
        assert excludes == (found.pvalue < 0.05)


def test_window_permutation_keeps_its_level_and_its_interval_covers() -> None:
    rng = np.random.default_rng(11)
    exists = np.ones((40, 16), dtype=bool)
    rejected, covered = 0, 0
    for seed in range(600):
        null = window_permutation(heavy(rng, 40, 0.5), exists, n_draws=499, seed=seed)
        rejected += null.pvalue < 0.05
        raised = heavy(rng, 40, 0.5, effect=0.3)
        found = window_permutation(raised, exists, n_draws=499, seed=seed)
        covered += found.ci_low <= 0.3 <= found.ci_high
    assert rejected / 600 < 0.07
    assert covered / 600 > 0.91


def test_window_permutation_does_not_depend_on_the_order_of_users_but_on_the_seed() -> None:
    rng = np.random.default_rng(13)
    counts, exists = heavy(rng, 80, 1.0), rng.random((80, 16)) < 0.8
    order = rng.permutation(80)
    found = window_permutation(counts, exists, seed=4)
    assert window_permutation(counts[order], exists[order], seed=4) == found
    assert window_permutation(counts, exists, seed=5).pvalue != found.pvalue


def test_window_permutation_draws_in_blocks_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = heavy(np.random.default_rng(17), 50, 1.0)
    exists = np.ones(counts.shape, dtype=bool)
    at_once = window_permutation(counts, exists)
    monkeypatch.setattr("core.measure.permutation._BLOCK", 70_000)
    assert window_permutation(counts, exists) == at_once


def test_window_permutation_ignores_inactive_users_and_those_without_both_windows() -> None:
    counts = heavy(np.random.default_rng(19), 30, 1.0)
    exists = np.ones(counts.shape, dtype=bool)
    more = np.vstack([counts, np.zeros((9, 16), dtype=int), np.full((2, 16), 7)])
    there = np.vstack([exists, exists[:9], np.zeros((2, 16), dtype=bool)])
    there[-2, 0] = True
    there[-1, 1:] = True
    assert window_permutation(more, there) == window_permutation(counts, exists)


def test_window_permutation_of_silence_is_one_and_of_nobody_missing() -> None:
    silent = window_permutation(np.zeros((5, 16), dtype=int), np.ones((5, 16), dtype=bool))
    assert (silent.pvalue, silent.n_active, silent.n_windows) == (1.0, 0, 16)
    assert np.isnan([silent.rel_effect_size, silent.ci_high]).all()
    nobody = window_permutation(np.zeros((0, 16), dtype=int), np.zeros((0, 16), dtype=bool))
    assert np.isnan([nobody.pvalue, nobody.rel_effect_size, nobody.ci_low, nobody.ci_high]).all()


def test_window_permutation_gives_no_limit_that_is_not_there() -> None:
    exists = np.ones((20, 16), dtype=bool)
    only_after, only_before = np.zeros((20, 16), dtype=int), np.ones((20, 16), dtype=int)
    only_after[:, 0], only_before[:, 0] = 1, 0
    risen = window_permutation(only_after, exists)
    assert risen.pvalue < 0.001
    assert np.isnan([risen.rel_effect_size, risen.ci_low, risen.ci_high]).all()
    gone = window_permutation(only_before, exists)
    assert gone.pvalue < 0.001
    assert (gone.rel_effect_size, gone.ci_low) == (-1, -1)
    assert np.isnan(gone.ci_high)
    few = window_permutation(TINY, TINY_EXISTS, n_draws=19)
    assert few.ci_low == -1
    assert np.isnan(few.ci_high)


def test_window_permutation_is_fast() -> None:
    counts = heavy(np.random.default_rng(23), 150, 5.0)
    exists = np.ones(counts.shape, dtype=bool)
    window_permutation(counts, exists)
    started = time.thread_time()  # the clock on the wall also times whatever else runs
    window_permutation(counts, exists)
    assert time.thread_time() - started < 0.2

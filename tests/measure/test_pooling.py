"""Layers pooled over campaigns that share users."""

import numpy as np
import pytest

from core.measure.panel import Rules
from tests.measure.worlds import campaigns_frame, layers_of, panel_of, poisson_rows

N = 80


def pooled(panel, campaigns, rules=None):
    return layers_of(panel, campaigns, rules or Rules())


def row(table, layer, metric="first"):
    return table[(table["layer"] == layer) & (table["metric"] == metric)].iloc[0]


def world(n_campaigns=3, extra=0.0):
    rows = poisson_rows(np.random.default_rng(5), n_users=N, rate=1.0, extra=extra)
    pushes = [(c, u, c) for c in range(n_campaigns) for u in range(N)]
    ids = [f"c{c}" for c in range(n_campaigns)]
    layers = ["1", "1", "3"][:n_campaigns]
    return panel_of(rows, pushes), campaigns_frame(ids, layers, [N] * n_campaigns)


def test_classic_layers_do_not_count_shared_users_twice():
    panel, campaigns = world()
    table = pooled(panel, campaigns)
    alone = row(pooled(*world(1)), "1")
    twice = row(table, "1")
    assert (twice["n_campaigns"], twice["n_pushes"], twice["n_users"]) == (2, 2 * N, N)
    # the second campaign reached the same people a millisecond later: no news in it
    assert twice["standard_error"] == pytest.approx(alone["standard_error"], rel=1e-3)
    assert twice["df"] == N - 1
    assert row(table, "all")["n_campaigns"] == 3


def test_classic_layers_sum_incremental_events_over_pushes():
    got = row(pooled(*world(extra=0.8)), "1")
    assert got["incremental_events"] == pytest.approx(got["effect_size"] * 2 * N * 2)
    assert got["incremental_events_ci_low"] < got["incremental_events"]
    assert got["n_above"] == 2
    assert got["rel_effect_size_ci_low"] > 0


def test_classic_layers_leave_open_and_small_campaigns_out():
    panel, campaigns = world()
    campaigns["qualifies"] = [True, False, True]
    campaigns["window_complete"] = [True, True, False]
    table = pooled(panel, campaigns)
    assert row(table, "1")["n_campaigns"] == 1
    assert row(table, "3")["status"] == "no_campaigns"
    assert np.isnan(row(table, "3")["effect_size"])


def test_classic_layers_show_only_layers_that_are_there():
    table = pooled(*world())
    assert set(table["layer"]) == {"1", "3", "all"}

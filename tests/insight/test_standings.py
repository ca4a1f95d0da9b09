"""Standings: whose effects are drawn, and towards what."""

import numpy as np
import pytest

from core.insight.standings import standings
from core.measure.hierarchy import pool
from core.measure.influence import log_ratio_influence
from tests.insight.rows import campaign, campaigns, lift, lifts
from tests.measure.test_layers import contrast_of, member_of

N = 200
LAYERS = ("1", "1", "1", "2", "2")


@pytest.fixture
def sends():
    rng = np.random.default_rng(4)
    return [
        member_of(place, contrast_of(rng, np.arange(10 * place, 150 + 10 * place)), layer=layer)
        for place, layer in enumerate(LAYERS)
    ]


def found_of(sends, *, without=()):
    heads = [
        lift(campaign_id=f"c{place}", metric=metric, layer=layer)
        for place, layer in enumerate(LAYERS)
        for metric in ("first", "second")
    ]
    for head in heads:
        if (head["campaign_id"], head["metric"]) in without:
            head["shrunk_rel_effect_size"] = float("nan")
    rows = [campaign(campaign_id=f"c{p}", layer=layer) for p, layer in enumerate(LAYERS)]
    return standings(sends, lifts(*heads), campaigns(*rows), n_persons=N)


def test_standings_draw_each_campaign_towards_its_layer(sends):
    found = found_of(sends)["first"]
    assert found.campaign_ids.tolist() == [f"c{n}" for n in range(5)]
    logs, psi = log_ratio_influence([one.contrast for one in sends], 0, n_persons=N)
    v = psi.astype(float).T @ psi.astype(float)
    alone = pool(logs[:3], v[:3, :3], confidence_level=0.95)
    drawn = np.log1p(found.draws[:, :3])
    np.testing.assert_allclose(drawn.mean(axis=0), alone.shrunk, atol=2 * alone.shrunk_sd.max())
    assert found.draws.shape == (4000, 5)


def test_standings_leave_out_campaigns_that_were_not_pooled(sends):
    found = found_of(sends, without={("c1", "first")})
    assert found["first"].campaign_ids.tolist() == ["c0", "c2", "c3", "c4"]
    assert found["first"].layers.tolist() == ["1", "1", "2", "2"]
    assert len(found["second"].campaign_ids) == 5


def test_standings_without_any_pool_are_empty(sends):
    nothing = {(f"c{n}", metric) for n in range(5) for metric in ("first", "second")}
    assert not found_of(sends, without=nothing)


def test_standings_do_not_change_from_call_to_call(sends):
    first, second = found_of(sends), found_of(sends)
    np.testing.assert_array_equal(first["first"].draws, second["first"].draws)

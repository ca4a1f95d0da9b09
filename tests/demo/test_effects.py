from __future__ import annotations

import numpy as np
import pytest

from core.demo.effects import GROUPS, OFFERS_CORRELATION, SESSIONS_MEAN, draw_effects
from core.demo.world import METRICS, World

ALL = (
    ["drop"] * 7
    + ["feature"] * 5
    + ["hot_on_plan"] * 3
    + ["hot_off_plan"] * 4
    + ["offer_machine_encouragement"] * 10
    + ["other_triggered"] * 37
)
KEPT = np.array([[GROUPS[group].kept] for group in ALL])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_draw_effects_has_planted_group_means_whatever_the_seed(seed: int) -> None:
    delivered = draw_effects(World(seed=seed), ALL) * KEPT
    groups = np.array(ALL)
    for name in (
        "drop",
        "feature",
        "hot_on_plan",
        "offer_machine_encouragement",
        "other_triggered",
    ):
        assert delivered[groups == name, 0].mean() == pytest.approx(GROUPS[name].mean)


def test_draw_effects_plants_three_zeros_and_one_negative() -> None:
    trades = draw_effects(World(), ALL)[:, 0]
    assert (trades == 0).sum() == 3
    assert (trades < 0).sum() == 1


def test_draw_effects_of_zero_campaign_is_zero_on_every_metric() -> None:
    effects = draw_effects(World(), ALL)
    assert not effects[effects[:, 0] == 0].any()


def test_draw_effects_correlates_offers_with_trades_as_planted() -> None:
    delivered = draw_effects(World(), ALL) * KEPT
    assert np.corrcoef(delivered[:, 0], delivered[:, 1])[0, 1] == pytest.approx(OFFERS_CORRELATION)


def test_draw_effects_plants_mean_of_sessions_and_smaller_other_metrics() -> None:
    means = dict(zip(METRICS, (draw_effects(World(), ALL) * KEPT).mean(axis=0), strict=True))
    assert means["sessions"] == pytest.approx(SESSIONS_MEAN)
    assert max(means["closet_adds"], means["wishlist_adds"]) < means["confirmed_trades"]


def test_draw_effects_of_null_world_is_zero() -> None:
    assert not draw_effects(World(effect_scale=0.0), ALL).any()


def test_draw_effects_scales_with_effect_scale() -> None:
    half = draw_effects(World(effect_scale=0.5), ALL)
    assert half == pytest.approx(draw_effects(World(), ALL) / 2)


def test_draw_effects_without_overlap_makes_up_for_no_repeats() -> None:
    effects = draw_effects(World(overlap=False), ALL)
    assert effects == pytest.approx(draw_effects(World(), ALL) * KEPT)


def test_draw_effects_of_one_campaign_is_its_groups_mean() -> None:
    only = draw_effects(World(overlap=False), ["drop"])
    assert only[0, 0] == pytest.approx(GROUPS["drop"].mean)

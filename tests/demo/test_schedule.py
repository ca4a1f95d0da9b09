from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from itertools import pairwise

import pytest

from core.demo.schedule import (
    TRIGGERED_HOURS,
    Campaign,
    campaign_counts,
    describe_automations,
    plan_campaigns,
)
from core.demo.world import HOUR_MS, World
from core.errors import ConfigError


@pytest.fixture(scope="module")
def campaigns() -> tuple[Campaign, ...]:
    return plan_campaigns(World())


def test_plan_campaigns_of_default_world_sends_12_7_and_47(
    campaigns: tuple[Campaign, ...],
) -> None:
    assert Counter(campaign.layer for campaign in campaigns) == {1: 12, 2: 7, 3: 47}
    assert Counter(c.content for c in campaigns if c.layer == 1) == {"drop": 7, "feature": 5}
    assert len({c.content for c in campaigns if c.layer == 3}) == 5


def test_plan_campaigns_are_in_order_of_time(campaigns: tuple[Campaign, ...]) -> None:
    starts = [campaign.starts_ms for campaign in campaigns]
    assert starts == sorted(starts)
    assert all(campaign.starts_ms < campaign.ends_ms for campaign in campaigns)


def test_plan_campaigns_sends_scheduled_before_triggered_of_a_day(
    campaigns: tuple[Campaign, ...],
) -> None:
    world = World()
    for campaign in campaigns:
        opens = world.instant(campaign.day, TRIGGERED_HOURS[0])
        assert (campaign.ends_ms <= opens) == (campaign.layer < 3)


def test_plan_campaigns_identifies_every_send(campaigns: tuple[Campaign, ...]) -> None:
    keys = [c.campaign_id or (c.automation_id, c.day) for c in campaigns]
    assert len(set(keys)) == 66
    assert all((c.campaign_id is None) == (c.layer == 3) for c in campaigns)
    assert len({(c.automation_id, c.day) for c in campaigns}) == 66


def test_plan_campaigns_of_layer_2_keeps_to_plan_only_sometimes(
    campaigns: tuple[Campaign, ...],
) -> None:
    hot = [campaign for campaign in campaigns if campaign.layer == 2]
    world = World()
    on_plan = [
        c
        for c in hot
        if (world.start + timedelta(days=c.day)).weekday() == 1
        and c.starts_ms == world.instant(c.day, 9.0)
    ]
    assert len(on_plan) == 3
    assert {c.group for c in on_plan} == {"hot_on_plan"}
    assert {c.group for c in hot if c not in on_plan} == {"hot_off_plan"}
    weeks = {(c.day + 1) // 7 for c in hot}
    assert len(weeks) == 7


def test_plan_campaigns_of_layer_1_avoids_tuesdays(campaigns: tuple[Campaign, ...]) -> None:
    days = [World().start + timedelta(days=c.day) for c in campaigns if c.layer == 1]
    assert all(day.weekday() != 1 for day in days)


def test_plan_campaigns_leaves_last_windows_open(campaigns: tuple[Campaign, ...]) -> None:
    opened = [c for c in campaigns if c.starts_ms + 48 * HOUR_MS > World().as_of_ms]
    assert {c.layer for c in opened} == {1, 3}


def test_plan_campaigns_holds_out_layer_1_and_two_automations(
    campaigns: tuple[Campaign, ...],
) -> None:
    held_out = {c.automation_id for c in campaigns if c.layer == 3 and c.holdout_share}
    assert held_out == {"offer-machine", "wishlist-price"}
    assert all(c.holdout_share == 0.10 for c in campaigns if c.layer == 1)
    assert all(c.holdout_share == 0.0 for c in campaigns if c.layer == 2)


def test_campaign_counts_scale_with_days_and_layers() -> None:
    assert campaign_counts(World(n_days=30)) == {1: 6, 2: 4, 3: 24}
    assert campaign_counts(World(layers=(3,))) == {1: 0, 2: 0, 3: 47}
    assert campaign_counts(World(n_campaigns=1)) == {1: 1, 2: 0, 3: 0}
    assert campaign_counts(World(n_campaigns=4, layers=(2,))) == {1: 0, 2: 4, 3: 0}


def test_plan_campaigns_of_one_campaign_is_a_drop_in_the_middle() -> None:
    (only,) = plan_campaigns(World(n_campaigns=1))
    assert (only.content, only.day) == ("drop", 30)


def test_plan_campaigns_shares_a_day_where_days_are_short() -> None:
    campaigns = plan_campaigns(World(n_days=2, n_campaigns=8, layers=(3,)))
    spans = [(c.starts_ms, c.ends_ms) for c in campaigns]
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
    assert len({(c.automation_id, c.day) for c in campaigns}) == 8


def test_plan_campaigns_beyond_automations_and_days_raises() -> None:
    with pytest.raises(ConfigError, match="do not fit"):
        plan_campaigns(World(n_days=2, n_campaigns=11, layers=(3,)))


def test_plan_campaigns_works_from_any_start_and_length() -> None:
    for days in (1, 2, 3, 8, 45):
        world = World(n_days=days, start=date(2027, 3, 12))
        for campaign in plan_campaigns(world):
            assert world.first_ms < campaign.starts_ms < campaign.ends_ms <= world.as_of_ms


def test_describe_automations_names_each_once(campaigns: tuple[Campaign, ...]) -> None:
    automations = describe_automations(campaigns)
    assert len(automations) == 12 + 1 + 5
    assert {a.id for a in automations} == {c.automation_id for c in campaigns}

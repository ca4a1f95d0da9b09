from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from core.demo import World
from core.demo.audiences import DELAY_HOURS, NO_INSTANT
from core.demo.people import draw_people
from core.demo.schedule import plan_campaigns
from core.demo.simulation import Chunk, simulate_chunk
from core.demo.world import HOUR_MS, WINDOW_MS

WORLD = World(n_users=1_500, seed=13)


@pytest.fixture(scope="module")
def chunk() -> Chunk:
    return simulate_chunk(WORLD, 0, campaigns=plan_campaigns(WORLD))


def _layers(world: World, chunk: Chunk) -> np.ndarray:
    return np.array([c.layer for c in plan_campaigns(world)])[chunk.pushes.campaign]


def test_choose_audience_takes_each_user_once_a_campaign(chunk: Chunk) -> None:
    pairs = chunk.pushes.campaign * 10_000 + chunk.pushes.user
    assert len(np.unique(pairs)) == len(pairs)


def test_choose_audience_sends_inside_the_campaigns_hours(chunk: Chunk) -> None:
    campaigns = plan_campaigns(WORLD)
    starts = np.array([c.starts_ms for c in campaigns])[chunk.pushes.campaign]
    ends = np.array([c.ends_ms for c in campaigns])[chunk.pushes.campaign]
    assert (chunk.pushes.sent_ms >= starts).all()
    assert (chunk.pushes.sent_ms < ends).all()


def test_choose_audience_triggers_layer_3_by_what_really_happened(chunk: Chunk) -> None:
    campaigns = plan_campaigns(WORLD)
    pushes = chunk.pushes.take(chunk.pushes.trigger_ms != NO_INSTANT)
    assert (_layers(WORLD, chunk) == 3).sum() == len(pushes.user)
    happened = chunk.history.happened(WORLD.as_of_ms)
    event = np.array([c.trigger if c.trigger is not None else -1 for c in campaigns])
    wanted = pd.MultiIndex.from_arrays([pushes.user, pushes.trigger_ms, event[pushes.campaign]])
    there = pd.MultiIndex.from_arrays([happened.user, happened.at_ms, happened.event])
    assert wanted.isin(there).all()


def test_choose_audience_sends_layer_3_half_to_twelve_hours_after(chunk: Chunk) -> None:
    pushes = chunk.pushes.take(chunk.pushes.trigger_ms != NO_INSTANT)
    hours = (pushes.sent_ms - pushes.trigger_ms) / HOUR_MS
    assert hours.min() >= DELAY_HOURS[0]
    assert hours.max() <= DELAY_HOURS[-1]
    assert 0.5 < ((hours >= 2) & (hours < 6)).mean() < 0.8


def test_choose_audience_never_takes_strangers_or_those_who_opted_out(chunk: Chunk) -> None:
    people = draw_people(WORLD, 0)
    user = chunk.pushes.user
    assert people.push_enabled[user].all()
    assert (people.joined_ms[user] < chunk.pushes.sent_ms).all()


def test_choose_audience_prefers_lively_users_only_with_selection(chunk: Chunk) -> None:
    blind_world = World(n_users=1_500, seed=13, selection=False)
    blind = simulate_chunk(blind_world, 0, campaigns=plan_campaigns(blind_world))
    trades = chunk.people.rates[:, 0]
    for layer, ratio in ((1, 1.03), (2, 1.8), (3, 1.5)):
        chosen = trades[chunk.pushes.user[_layers(WORLD, chunk) == layer]].mean()
        random = trades[blind.pushes.user[_layers(blind_world, blind) == layer]].mean()
        assert chosen > ratio * random
    assert (blind.pushes.trigger_ms == NO_INSTANT).all()


def test_choose_audience_without_overlap_leaves_48_hours_between_pushes() -> None:
    world = World(n_users=1_500, seed=13, overlap=False)
    chunk = simulate_chunk(world, 0, campaigns=plan_campaigns(world))
    pushes = chunk.pushes.take(chunk.pushes.is_delivered)
    order = np.lexsort([pushes.delivered_ms, pushes.user])
    same = np.diff(pushes.user[order]) == 0
    assert np.diff(pushes.delivered_ms[order])[same].min() > WINDOW_MS
    assert same.any()

from __future__ import annotations

import numpy as np
import pytest

from core.demo import World
from core.demo.history import NOT_REMOVED
from core.demo.pushes import HOLDOUT
from core.demo.schedule import plan_campaigns
from core.demo.simulation import Chunk, simulate_chunk
from core.demo.world import METRICS, WINDOW_MS

PLAIN = World(n_users=1_200, seed=17)
NULL = World(n_users=1_200, seed=17, effect_scale=0.0)


def test_simulate_chunk_without_effects_adds_and_removes_nothing() -> None:
    chunk = simulate_chunk(NULL, 0, campaigns=plan_campaigns(NULL))
    assert len(chunk.pushes.user) > 0
    assert len(chunk.history.extra.at_ms) == 0
    assert (chunk.history.removed_by == NOT_REMOVED).all()
    assert not chunk.expected.extra.any()


def test_simulate_chunk_shares_its_base_events_with_the_null_world() -> None:
    plain = simulate_chunk(PLAIN, 0, campaigns=plan_campaigns(PLAIN)).history.base
    null = simulate_chunk(NULL, 0, campaigns=plan_campaigns(NULL)).history.base
    assert (plain.at_ms == null.at_ms).all()
    assert (plain.user == null.user).all()
    assert (plain.event == null.event).all()


def test_simulate_chunk_adds_as_many_events_as_expected() -> None:
    chunk = simulate_chunk(PLAIN, 0, campaigns=plan_campaigns(PLAIN))
    added = np.maximum(chunk.expected.extra, 0).sum()
    put_off = -np.minimum(chunk.expected.extra, 0).sum()
    n_added = len(chunk.history.extra.at_ms)
    n_put_off = (chunk.history.removed_by != NOT_REMOVED).sum()
    assert n_added == pytest.approx(added, abs=4 * np.sqrt(added))
    assert n_put_off == pytest.approx(put_off, abs=4 * np.sqrt(put_off) + 0.1 * put_off)
    assert n_put_off > 0


def test_simulate_chunk_adds_events_only_in_the_48_hours_after_a_delivery() -> None:
    chunk = simulate_chunk(PLAIN, 0, campaigns=plan_campaigns(PLAIN))
    extra = chunk.history.extra
    since = extra.at_ms - chunk.pushes.delivered_ms[extra.push]
    assert chunk.pushes.is_delivered[extra.push].all()
    assert (extra.user == chunk.pushes.user[extra.push]).all()
    assert since.min() >= 0
    assert since.max() < 48 * 3_600_000


def test_simulate_chunk_halves_second_pushes_by_what_was_delivered_before() -> None:
    chunk = simulate_chunk(PLAIN, 0, campaigns=plan_campaigns(PLAIN))
    pushes = chunk.pushes.take(chunk.pushes.is_delivered)
    order = np.lexsort([pushes.delivered_ms, pushes.user])
    user, at_ms = pushes.user[order], pushes.delivered_ms[order]
    is_second = np.append(False, (np.diff(user) == 0) & (np.diff(at_ms) < 48 * 3_600_000))
    untriggered = pushes.trigger_ms[order] == -1
    factor = pushes.factor[order]
    assert (factor[untriggered & is_second] == 0.5).all()
    assert (factor[untriggered & ~is_second] == 1.0).all()
    assert (factor[is_second] <= 0.5).all()


def test_simulate_chunk_takes_from_what_follows_within_48_hours_alone() -> None:
    chunk = simulate_chunk(PLAIN, 0, campaigns=plan_campaigns(PLAIN))
    delivered = np.flatnonzero(chunk.pushes.is_delivered)
    pushes = chunk.pushes.take(delivered)
    order = np.lexsort([pushes.delivered_ms, pushes.user])
    user, at_ms = pushes.user[order], pushes.delivered_ms[order]
    is_near = (np.diff(user) == 0) & (np.diff(at_ms) < WINDOW_MS)
    two_on = np.append(at_ms[2:] - at_ms[:-2], 0)
    is_only = is_near & ~(np.append(False, is_near[:-1]) & (np.append(0, two_on[:-1]) < WINDOW_MS))
    extra = chunk.expected.extra[delivered][order]
    taken = chunk.expected.taken[delivered][order]
    assert 0.05 < is_only.mean() < is_near.mean()
    assert not taken[np.append(~is_only, True)].any()
    next_extra = extra[1:][is_only]
    assert (np.sign(taken[:-1][is_only]) == np.sign(next_extra)).all()
    assert (np.abs(taken[:-1][is_only]) <= np.abs(next_extra) * (1 + 1e-9)).all()
    seen = chunk.expected.taken_seen[delivered][order]
    is_closed = at_ms + WINDOW_MS <= PLAIN.as_of_ms
    assert seen[is_closed] == pytest.approx(taken[is_closed])
    assert (np.abs(seen) <= np.abs(taken) + 1e-12).all()


def test_simulate_chunk_expects_what_random_holdouts_show() -> None:
    """Recipients' events less holdouts', base events cancelled: the own effects are too much."""
    world = World(n_users=2_000, seed=4, selection=False, layers=(1,), n_campaigns=40)
    chunk = simulate_chunk(world, 0, campaigns=plan_campaigns(world))
    pushes, sessions = chunk.pushes, list(METRICS).index("sessions")
    is_pushed, is_held = pushes.is_delivered, pushes.status == HOLDOUT
    gained = _added(chunk, world, sessions)
    difference = gained[is_pushed].mean() - gained[is_held].mean()
    error = np.sqrt(sum(gained[one].var() / one.sum() for one in (is_pushed, is_held)))
    own = chunk.expected.extra[is_pushed, sessions].mean()
    causal = own - chunk.expected.taken[is_pushed, sessions].mean()
    assert difference == pytest.approx(causal, abs=3 * error)
    assert difference < own - 5 * error


def _added(chunk: Chunk, world: World, metric: int) -> np.ndarray:
    """Count what any push added in the 48 h after each row's instant, less what was put off."""
    pushes, extra, base = chunk.pushes, chunk.history.extra, chunk.history.base
    at_ms = np.where(pushes.is_delivered, pushes.delivered_ms, pushes.sent_ms)
    span = 2 * world.n_hours * 3_600_000

    def counted(users: np.ndarray, instants: np.ndarray) -> np.ndarray:
        keys = np.sort(users * span + instants - world.first_ms)
        start = pushes.user * span + at_ms - world.first_ms
        return np.searchsorted(keys, start + WINDOW_MS) - np.searchsorted(keys, start)

    ours = extra.event == metric
    lost = (chunk.history.removed_by != NOT_REMOVED) & (base.event == metric)
    added = counted(extra.user[ours], extra.at_ms[ours])
    return added - counted(base.user[lost], base.at_ms[lost])


def test_simulate_chunk_without_campaigns_has_no_pushes() -> None:
    chunk = simulate_chunk(World(n_users=50), 0, campaigns=())
    assert len(chunk.pushes.user) == 0
    assert chunk.expected.base.shape == (0, 7)

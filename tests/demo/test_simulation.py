from __future__ import annotations

import numpy as np
import pytest

from core.demo import World
from core.demo.history import NOT_REMOVED
from core.demo.schedule import plan_campaigns
from core.demo.simulation import simulate_chunk

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


def test_simulate_chunk_without_campaigns_has_no_pushes() -> None:
    chunk = simulate_chunk(World(n_users=50), 0, campaigns=())
    assert len(chunk.pushes.user) == 0
    assert chunk.expected.base.shape == (0, 7)

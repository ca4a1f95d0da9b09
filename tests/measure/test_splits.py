"""Pushes told apart within campaigns."""

import numpy as np

from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR
from core.measure.proportional import rows_of
from core.measure.splits import local_offsets, pushes_before, trigger_lags
from core.measure.study import Trigger
from core.measure.windows import NEVER
from tests.measure.studies import steady, study_of

TRIGGER = Trigger(event=0, source="automation", min_lag_ms=MS_PER_HOUR, max_lag_ms=24 * MS_PER_HOUR)
N, PUSHED = 200, 60


def study(*, triggered_at=None):
    """Return a triggered send: everybody did it 3 h before an hour in which some are pushed."""
    rng = np.random.default_rng(3)
    events = steady(rng, N)
    kept = (events[1] < -2 * MS_PER_DAY) | (events[1] > 0)
    trigger = (np.arange(N), np.full(N, -3 * MS_PER_HOUR), np.zeros(N, dtype=int))
    events = tuple(np.concatenate([a[kept], b]) for a, b in zip(events, trigger, strict=True))
    codes = np.repeat([0, 1], PUSHED)
    persons = np.tile(np.arange(PUSHED), 2)
    instants = np.repeat([-10 * MS_PER_DAY, 0], PUSHED)
    return study_of(
        events, (codes, persons, instants), n_seen=N, layers=["1", "3"],
        triggers=[None, TRIGGER], triggered_at=triggered_at,
    )  # fmt: skip


def test_trigger_lags_without_records_are_since_the_last_event():
    one = study()
    rows = rows_of(one, [1])
    lags = trigger_lags(one, rows)
    assert np.isnan(lags[~rows.is_pushed]).all()
    assert np.unique(lags[rows.is_pushed]).tolist() == [3.0]


def test_trigger_lags_are_as_recorded():
    at = np.where(np.arange(2 * PUSHED) % 2, -7 * MS_PER_HOUR, -1 * MS_PER_HOUR)
    at[:PUSHED] = -11 * MS_PER_DAY
    one = study(triggered_at=at)
    one.triggered_at[-1] = NEVER
    rows = rows_of(one, [1])
    lags = trigger_lags(one, rows)[rows.is_pushed]
    persons = rows.moments.persons[rows.is_pushed]
    wanted = np.where(persons % 2, 7.0, 1.0)
    wanted[persons == PUSHED - 1] = 3.0
    assert lags.tolist() == wanted.tolist()


def test_trigger_lags_after_the_delivery_are_not_believed():
    one = study(triggered_at=np.full(2 * PUSHED, 5 * MS_PER_HOUR))
    rows = rows_of(one, [1])
    assert np.unique(trigger_lags(one, rows)[rows.is_pushed]).tolist() == [3.0]


def test_pushes_before_counts_others_within_the_hours():
    one = study()
    rows = rows_of(one, [1])
    assert pushes_before(one, rows, hours=48).max() == 0
    recent = pushes_before(one, rows, hours=11 * 24)
    assert recent.tolist() == (rows.moments.persons < PUSHED).astype(int).tolist()


def test_local_offsets_are_those_of_the_campaign():
    one = study()
    one.offsets_ms[1] = -4 * MS_PER_HOUR
    assert np.unique(local_offsets(one, rows_of(one, [1]))).tolist() == [-4 * MS_PER_HOUR]

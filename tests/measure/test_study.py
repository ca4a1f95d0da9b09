"""What the estimators may look at: who was there, who was sent what."""

import numpy as np
import pytest

from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR
from core.measure.study import (
    Trigger,
    Unsent,
    first_events,
    local_block,
    person_sign_ups,
)  # fmt: skip
from core.measure.windows import NEVER
from tests.measure.studies import moments_of, study_of, whole
from tests.measure.worlds import T


@pytest.fixture
def study():
    """Person 0 is seen early, 1 late, 2 never; 3 is sent to early and never seen; 4 signs up."""
    return study_of(
        ([0, 1, 4], [-9, 9, -9], [0, 0, 1]), ([0, 1, 1], [3, 0, 3], [-5, 0, 1]),
        n_seen=5, n_persons=6, layers=["1", "3"], signed_up=[NEVER, NEVER, NEVER, NEVER, -3, NEVER],
        unsent=[(0, 2, 0, True), (1, 4, 0, True), (1, 5, 0, False)],
    )  # fmt: skip


def test_known_before_asks_for_a_sign_up_and_for_being_seen_or_sent_something(study):
    found = study.known_before(moments_of(range(6), [0] * 6))
    assert found.tolist() == [True, False, False, True, True, False]
    before = study.known_before(moments_of([0, 3, 4, 4], [-9, -5, -3, -2]))
    assert before.tolist() == [False, False, False, True]


def test_pushes_are_indexed_by_what_decided_on_their_instants(study):
    moments = moments_of([0, 3], [100, 100])
    assert study.scheduled.count(moments, -200, 0).tolist() == [0, 1]
    assert study.triggered.count(moments, -200, 0).tolist() == [1, 1]


def test_pushed_are_a_campaigns_recipients(study):
    assert study.pushed(1).persons.tolist() == [0, 3]
    assert (study.pushed(1).instants - T).tolist() == [0, 1]


def test_unsent_are_told_apart_by_campaign_and_reason(study):
    assert study.unsent.of(1, held=True).persons.tolist() == [4]
    assert study.unsent.of(1, held=False).persons.tolist() == [5]
    assert study.unsent.of(0, held=True).persons.tolist() == [2]
    assert len(Unsent.none().of(0, held=True)) == 0


def test_is_triggered_by_layer_or_by_a_known_trigger():
    trigger = Trigger(event=0, source="data", min_lag_ms=1, max_lag_ms=2)
    study = study_of(
        ([0], [0], [0]), ([0, 1, 2], [0, 0, 0], [0, 0, 0]), n_seen=1, layers=["1", "3", "2"],
        triggers=[None, None, trigger],
    )  # fmt: skip
    assert [study.is_triggered(code) for code in range(3)] == [False, True, True]


def test_rng_is_a_campaigns_own_whatever_its_place():
    def drawn(ids, code, *salt):
        pushes = ([0, 1], [0, 0], [0, 0])
        return study_of(([0], [0], [0]), pushes, n_seen=1, ids=ids).rng(code, *salt).random()

    assert drawn(("a", "b"), 0) == drawn(("b", "a"), 1)
    assert drawn(("a", "b"), 0) != drawn(("a", "b"), 1)
    assert drawn(("a", "b"), 0) != drawn(("a", "b"), 0, 1)


def test_totals_sum_the_events_of_each_metric(study):
    counts = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    assert (study.totals(counts) == counts).all()


def test_first_events_of_those_without_one_lie_beyond_all_time():
    first = first_events(whole([0, 2, 2, 3]), whole([5, 8, 1]), 5)
    assert first[[0, 2]].tolist() == [5, 1]
    assert (first[[1, 3, 4]] == np.iinfo(np.int64).max).all()


def test_person_sign_ups_are_the_earliest_known():
    found = person_sign_ups(whole([0, 0, 1, 2, 2]), whole([7, 5, NEVER, NEVER, 3]), 4)
    assert found.tolist() == [5, NEVER, 3, NEVER]


@pytest.mark.parametrize(
    ("hour", "offset", "block"), [(0, 0, 0), (5.9, 0, 0), (6, 0, 1), (23, 0, 3), (23, 2, 0)]
)
def test_local_block_of_an_instant(hour, offset, block):
    at = whole([20_000 * MS_PER_DAY + round(hour * MS_PER_HOUR)])
    assert local_block(at, offset * MS_PER_HOUR).tolist() == [block]

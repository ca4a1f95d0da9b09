"""Other pushes around a moment, against a plain loop over them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.activity.timelines import MS_PER_HOUR
from core.measure.exposure import PushIndex
from core.measure.windows import NEVER
from tests.measure.studies import moments_of, whole
from tests.measure.worlds import T

WINDOW = 48 * MS_PER_HOUR
SOME = st.lists(
    st.tuples(st.integers(0, 3), st.integers(-6, 6), st.integers(-1, 1)), max_size=12
).map(lambda rows: [(person, day * WINDOW // 4 + more) for person, day, more in rows])


def index_of(pushes):
    persons, instants = whole([p for p, _ in pushes]), T + whole([t for _, t in pushes])
    return PushIndex.of(persons, instants)


def overlap(start, other):
    """Return the hours that two windows of 48 h share."""
    return max(0, min(start, other) + WINDOW - max(start, other)) / MS_PER_HOUR


@settings(max_examples=60, deadline=None, derandomize=True)
@given(pushes=SOME, wanted=SOME)
def test_push_index_counts_and_overlaps_as_a_loop_does(pushes, wanted):
    index = index_of(pushes)
    moments = moments_of([p for p, _ in wanted], [t for _, t in wanted])
    own = [[t for q, t in pushes if q == p] for p, _ in wanted]
    instants = [t for _, t in wanted]
    both = list(zip(own, instants, strict=True))
    count = [sum(at - WINDOW <= t < at + 5 for t in some) for some, at in both]
    reached = [sum(overlap(at, t) for t in some if t < at) for some, at in both]
    followed = [sum(overlap(at, t) for t in some if t > at) for some, at in both]
    last = [max((t for t in some if t < at), default=None) for some, at in both]
    assert index.count(moments, -WINDOW, 5).tolist() == count
    assert index.reached(moments, WINDOW).tolist() == pytest.approx(reached)
    assert index.followed(moments, WINDOW).tolist() == pytest.approx(followed)
    expected = [NEVER if t is None else T + t for t in last]
    assert index.last_before(moments).tolist() == expected


def test_push_index_without_pushes_knows_of_none():
    index, moments = index_of([]), moments_of([0, 5], [0, 1])
    assert index.count(moments, -WINDOW, WINDOW).tolist() == [0, 0]
    assert index.reached(moments, WINDOW).tolist() == [0, 0]
    assert index.last_before(moments).tolist() == [NEVER, NEVER]


def test_push_index_does_not_count_the_push_at_the_moment_itself_as_another():
    index, moments = index_of([(1, 0)]), moments_of([1], [0])
    assert index.reached(moments, WINDOW).tolist() == [0]
    assert index.followed(moments, WINDOW).tolist() == [0]
    assert index.last_before(moments).tolist() == [NEVER]
    assert index.count(moments, 0, 1).tolist() == [1]


def test_push_index_takes_a_reach_of_its_own_for_each_moment():
    index, moments = index_of([(0, 10), (1, 10)]), moments_of([0, 1], [0, 0])
    assert index.count(moments, 0, np.array([10, 11])).tolist() == [0, 1]


def test_push_index_keeps_persons_of_large_codes_apart():
    many = 400_000
    index, moments = index_of([(many, 0), (many + 1, 5)]), moments_of([many, many + 1], [9, 3])
    assert index.last_before(moments).tolist() == [T, NEVER]

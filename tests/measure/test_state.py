"""What was known of a moment and what followed, against counting event by event."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR, from_rows
from core.measure.state import EDGES_HOURS, HISTORY_DAYS, WEEKS, Moments, states
from core.measure.windows import NEVER, EventIndex, WindowLengths
from tests.measure.studies import moments_of, whole
from tests.measure.worlds import T

LENGTHS = WindowLengths()


def index_of(rows, n_seen=3):
    persons, instants, kinds = (whole([row[i] for row in rows]) for i in range(3))
    names = [f"{i}" for i in range(n_seen)]
    return EventIndex(from_rows(names, persons, T + instants, kinds, event_names=("a", "b")))


def state_of(index, moments, *, as_of=None, first_seen=None):
    return states(
        index, moments, LENGTHS, n_events=2,
        as_of=T + 40 * MS_PER_DAY if as_of is None else T + as_of,
        first_seen=np.full(8, NEVER) if first_seen is None else whole(first_seen),
    )  # fmt: skip


EDGES = st.sampled_from([hours * MS_PER_HOUR for hours in (*EDGES_HOURS, 48, 504, 336, 120)])
INSTANTS = st.tuples(EDGES, st.sampled_from([-1, 1]), st.integers(-2, 2)).map(
    lambda parts: parts[0] * parts[1] + parts[2]
)
ROWS = st.lists(st.tuples(st.integers(0, 2), INSTANTS, st.integers(0, 1)), max_size=40)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    rows=ROWS,
    wanted=st.lists(
        st.tuples(st.integers(0, 4), st.integers(-2, 2) | INSTANTS), min_size=1, max_size=5
    ),
    as_of=st.sampled_from([-1, 0, 5, 30, 48, 400]).map(lambda hours: hours * MS_PER_HOUR + 1),
)
def test_states_count_as_a_loop_does(rows, wanted, as_of):
    found = state_of(index_of(rows), moments_of(*zip(*wanted, strict=True)), as_of=as_of)

    def count(person, kind, start, end):
        return sum(p == person and k == kind and start <= t < end for p, t, k in rows)

    for place, (person, at) in enumerate(wanted):
        observed = min(max(as_of - at, 0), LENGTHS.post_ms)
        assert found.post_days[place] == pytest.approx(observed / MS_PER_DAY)
        for kind in (0, 1):
            recent = [
                count(person, kind, at - far * MS_PER_HOUR, at - near * MS_PER_HOUR)
                for near, far in pairwise(EDGES_HOURS)
            ]
            weeks = [at - week * 7 * MS_PER_DAY for week in range(1, WEEKS + 1)]
            weekly = np.mean([count(person, kind, week, week + observed) for week in weeks])
            assert found.recent[place, kind].tolist() == recent
            assert found.weekly[place, kind] == weekly
            assert found.post[place, kind] == count(person, kind, at, at + observed)


def test_states_of_persons_never_seen_are_empty():
    index = index_of([(0, -5, 0), (2, -5, 0), (2, 5, 1)])
    found = state_of(index, moments_of([3, 7], [0, 0]))
    assert found.recent.sum() == found.post.sum() == found.weekly.sum() == 0
    assert found.post_days.tolist() == [2, 2]


def test_states_of_an_index_without_events():
    found = state_of(index_of([], n_seen=0), moments_of([0], [0]))
    assert found.recent.sum() == found.post.sum() == 0


def test_states_count_nothing_that_has_not_been_observed():
    found = state_of(index_of([(0, 10, 0), (0, 20, 0)]), moments_of([0], [0]), as_of=20)
    assert found.post[0].tolist() == [1, 0]
    assert found.post_days[0] == pytest.approx(20 / MS_PER_DAY)


def test_states_of_a_moment_still_to_come_have_no_observed_day():
    found = state_of(index_of([(0, 10, 0)]), moments_of([0], [5]), as_of=5)
    assert found.post_days.tolist() == [0]
    assert found.post.sum() == 0


def test_states_tenure_ends_at_the_history_and_is_whole_where_nobody_knows():
    first_seen = [NEVER, T - 3 * MS_PER_DAY, T - 300 * MS_PER_DAY, T + MS_PER_DAY, *[NEVER] * 4]
    found = state_of(index_of([]), moments_of(range(5), [0] * 5), first_seen=first_seen)
    assert found.tenure_days.tolist() == [HISTORY_DAYS, 3, HISTORY_DAYS, 0, HISTORY_DAYS]


def test_states_do_not_depend_on_the_order_of_moments():
    rng = np.random.default_rng(1)
    rows = [(int(p), int(t) * 10**7, 0) for p, t in rng.integers([0, -9], [3, 9], (50, 2))]
    moments = moments_of(rng.integers(0, 4, 30), rng.integers(-9, 9, 30) * 10**7)
    order = rng.permutation(30)
    plain, other = (state_of(index_of(rows), some) for some in (moments, moments.taken(order)))
    for name in ("recent", "weekly", "post", "post_days", "tenure_days", "instants"):
        assert (getattr(plain, name)[order] == getattr(other, name)).all()


def test_moments_joined_and_taken():
    first, second = moments_of([1, 2], [3, 4]), moments_of([5], [6])
    every = Moments.joined([first, second])
    assert len(every) == 3
    assert every.taken(np.array([2, 0])).persons.tolist() == [5, 1]
    assert Moments.paired((first.persons, first.instants)).instants.tolist() == [T + 3, T + 4]

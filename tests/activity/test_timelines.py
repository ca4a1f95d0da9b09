"""Timelines as flat arrays."""

import numpy as np
import pytest

from core.activity.timelines import from_rows, merged

NAMES = ("x", "y")


def rows(people, *columns):
    persons, instants, events = (np.array(column, dtype=np.int64) for column in columns)
    return from_rows(people, persons, instants, events, event_names=NAMES)


def as_tuples(timelines):
    people = timelines.person_ids.to_numpy()[timelines.persons]
    return list(zip(people, timelines.instants.tolist(), timelines.events.tolist(), strict=True))


def test_from_rows_sorts_by_person_instant_and_event():
    timelines = rows(["b", "a"], [0, 0, 1, 0, 1], [5, 3, 9, 5, 2], [1, 0, 0, 0, 1])
    assert as_tuples(timelines) == [
        ("a", 2, 1), ("a", 9, 0), ("b", 3, 0), ("b", 5, 0), ("b", 5, 1),
    ]  # fmt: skip
    assert timelines.offsets.tolist() == [0, 2, 5]


def test_from_rows_makes_repeated_person_ids_one():
    assert as_tuples(rows(["a", "b", "a"], [0, 1, 2], [1, 2, 3], [0, 0, 0])) == [
        ("a", 1, 0), ("a", 3, 0), ("b", 2, 0),
    ]  # fmt: skip


def test_from_rows_without_events_keeps_persons():
    timelines = rows(["a", "b"], [], [], [])
    assert len(timelines) == 0
    assert timelines.offsets.tolist() == [0, 0, 0]


def test_from_rows_falls_back_where_a_packed_key_would_overflow():
    far = [0, 2**62]
    assert as_tuples(rows(["a", "b"], [1, 0], far, [0, 1])) == [("a", 2**62, 1), ("b", 0, 0)]


def test_renamed_merges_persons_in_time_order():
    timelines = rows(["old", "new", "other"], [0, 1, 0, 2], [3, 2, 1, 9], [0, 0, 1, 0])
    moved = timelines.renamed({"old": "new", "nobody": "new"})
    assert as_tuples(moved) == [("new", 1, 1), ("new", 2, 0), ("new", 3, 0), ("other", 9, 0)]
    assert timelines.renamed({"old": "old"}) is timelines


def test_merged_joins_slices_of_the_same_persons():
    joined = merged([rows(["a", "b"], [0, 1], [1, 2], [0, 1]), rows(["b"], [0], [0], [0])])
    assert as_tuples(joined) == [("a", 1, 0), ("b", 0, 0), ("b", 2, 1)]


def test_merged_refuses_different_events():
    other = from_rows(["a"], np.array([0]), np.array([1]), np.array([0]), event_names=("z",))
    with pytest.raises(ValueError, match="different event lists"):
        merged([rows(["a"], [0], [1], [0]), other])

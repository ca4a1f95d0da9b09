"""Stretches of time nothing is known of."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.measure.holes import Holes

instants = st.integers(min_value=0, max_value=60)
pairs = st.lists(st.tuples(instants, instants), max_size=6)


@given(holes=pairs, windows=st.lists(st.tuples(instants, instants), max_size=8))
def test_touch_is_as_a_plain_loop_says(holes, windows):
    starts, ends = (np.array([w[i] for w in windows], dtype=np.int64) for i in (0, 1))
    expected = [
        any(instant in range(*hole) for hole in holes for instant in range(*window))
        for window in windows
    ]
    assert Holes.of(holes).touch(starts, ends).tolist() == expected


@given(holes=pairs)
def test_of_returns_disjoint_stretches_of_the_same_instants(holes):
    found = Holes.of(holes)
    assert (found.starts < found.ends).all()
    assert (found.ends[:-1] < found.starts[1:]).all()
    covered = {instant for hole in holes for instant in range(*hole)}
    assert covered == {
        instant
        for start, end in zip(found.starts, found.ends, strict=True)
        for instant in range(start, end)
    }

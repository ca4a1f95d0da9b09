"""Window counting against a plain loop, above all at the boundaries."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR, from_rows
from core.measure.windows import (
    NEVER,
    EventIndex,
    Sends,
    WindowLengths,
    count_blocks,
    count_windows,
)

LENGTHS = WindowLengths(baseline_days=30, post_hours=48)
T = 1_790_000_000_000
METRICS = ([0], [1, 2])
BOUNDARIES = [
    0, -1, 1, -30 * MS_PER_DAY, -30 * MS_PER_DAY - 1, -30 * MS_PER_DAY + 1,
    48 * MS_PER_HOUR, 48 * MS_PER_HOUR - 1, 48 * MS_PER_HOUR + 1,
]  # fmt: skip

offsets = st.one_of(st.sampled_from(BOUNDARIES), st.integers(-40 * MS_PER_DAY, 10 * MS_PER_DAY))
events = st.lists(st.tuples(st.integers(0, 3), offsets, st.integers(0, 2)), max_size=60)
pushes = st.lists(
    st.tuples(st.integers(-1, 3), offsets, st.one_of(st.none(), offsets)), min_size=1, max_size=12
)


def timelines(rows):
    return from_rows(
        ["a", "b", "c", "d"],
        np.array([r[0] for r in rows], dtype=np.int64),
        np.array([T + r[1] for r in rows], dtype=np.int64),
        np.array([r[2] for r in rows], dtype=np.int64),
        event_names=("x", "y", "z"),
    )


def sends_of(rows, as_of):
    return Sends(
        persons=np.array([r[0] for r in rows], dtype=np.int64),
        instants=np.array([T + r[1] for r in rows], dtype=np.int64),
        signed_up=np.array([NEVER if r[2] is None else T + r[2] for r in rows], dtype=np.int64),
        as_of=as_of,
    )


def by_loop(rows, send, metric, start, end):
    person, _, _ = send
    return sum(1 for p, at, e in rows if p == person and e in metric and start <= T + at < end)


def expected(rows, sent, as_of):
    """Count every window of every push one event at a time."""
    answers = []
    for send in sent:
        t = T + send[1]
        up = NEVER if send[2] is None else T + send[2]
        start = min(max(t - LENGTHS.baseline_ms, up), t)
        seen = min(max(as_of - t, 0), LENGTHS.post_ms)
        hours = [(t - j * LENGTHS.post_ms, seen) for j in range(1, LENGTHS.n_blocks + 1)]
        blocks = [(min(max(b, min(up, t)), b + h), b + h) for b, h in hours]
        if seen == LENGTHS.post_ms:
            blocks = [(start, t)]
        answers += [
            (
                by_loop(rows, send, metric, start, t),
                by_loop(rows, send, metric, t, t + seen),
                sum(by_loop(rows, send, metric, a, b) for a, b in blocks),
                t - start,
                seen,
                sum(b - a for a, b in blocks),
            )
            for metric in METRICS
        ]
    return answers


@settings(max_examples=150, deadline=None)
@given(rows=events, sent=pushes, as_of=st.one_of(st.just(400 * MS_PER_DAY), offsets))
@example(rows=[(0, b, 0) for b in BOUNDARIES] * 2, sent=[(0, 0, None)], as_of=400 * MS_PER_DAY)
@example(rows=[], sent=[(0, 0, None), (-1, 0, 0)], as_of=0)
@example(
    rows=[(1, b, 1) for b in BOUNDARIES],
    sent=[(1, 0, -MS_PER_DAY), (1, 0, 5), (1, 1, None), (1, -1, None)],
    as_of=6 * MS_PER_HOUR,
)
def test_count_windows_equals_a_plain_loop(rows, sent, as_of):
    counts = count_windows(
        EventIndex(timelines(rows)), sends_of(sent, T + as_of), LENGTHS, metrics=METRICS
    )
    n = len(METRICS)
    got = [
        (
            counts.n_baseline[i, m], counts.n_post[i, m], counts.n_aligned[i, m],
            counts.baseline_ms[i], counts.post_ms[i], counts.aligned_ms[i],
        )
        for i in range(len(sent)) for m in range(n)
    ]  # fmt: skip
    assert [tuple(map(int, row)) for row in got] == expected(rows, sent, T + as_of)


@settings(max_examples=100, deadline=None)
@given(rows=events, sent=pushes)
def test_count_blocks_add_up_to_the_baseline_when_it_divides(rows, sent):
    sends = sends_of([(p, at, None) for p, at, _ in sent], T + 400 * MS_PER_DAY)
    index = EventIndex(timelines(rows))
    blocks, whole = count_blocks(index, sends, LENGTHS, metrics=METRICS)
    counts = count_windows(index, sends, LENGTHS, metrics=METRICS)
    assert whole.all()
    for metric in range(len(METRICS)):
        assert (blocks[metric].sum(axis=1) == counts.n_baseline[:, metric]).all()


@pytest.mark.parametrize("day", ["2026-03-08", "2026-11-01"])
def test_count_windows_measures_elapsed_time_across_a_clock_change(day):
    zone = ZoneInfo("America/New_York")
    local = datetime.fromisoformat(f"{day}T00:30").replace(tzinfo=zone)
    t = int(local.timestamp() * 1000)
    end = t + 48 * MS_PER_HOUR
    wall = int((local + timedelta(days=2)).timestamp() * 1000)  # 48 hours on the wall
    assert abs(wall - end) == MS_PER_HOUR
    rows = from_rows(
        ["a"], np.zeros(2, np.int64), np.array([end - 1, end]), np.zeros(2, np.int64),
        event_names=("x",),
    )  # fmt: skip
    sends = Sends(
        persons=np.zeros(1, np.int64), instants=np.array([t]), signed_up=np.array([NEVER]),
        as_of=end + MS_PER_DAY,
    )  # fmt: skip
    counts = count_windows(EventIndex(rows), sends, LENGTHS, metrics=([0],))
    assert counts.n_post.tolist() == [[1]]
    assert counts.baseline_ms.tolist() == [30 * MS_PER_DAY]

"""Activity around the push, against counting by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR, from_rows
from core.measure.around import activity_around
from core.measure.windows import NEVER, EventIndex, Sends

T0 = 1_788_220_800_000


def sends(persons: list[int], instants: list[int], **given: object) -> Sends:
    return Sends(
        persons=np.array(persons, dtype=np.int64),
        instants=np.array(instants, dtype=np.int64),
        signed_up=np.array(given.get("signed_up", [NEVER] * len(persons)), dtype=np.int64),
        as_of=int(given.get("as_of", T0 + 60 * MS_PER_DAY)),  # type: ignore[call-overload]
    )


def index(rows: list[tuple[int, int, int]]) -> EventIndex:
    persons, instants, events = (np.array(part, dtype=np.int64) for part in zip(*rows, strict=True))
    return EventIndex(from_rows(["p0", "p1"], persons, instants, events, event_names=["a", "b"]))


def test_activity_around_counts_half_open_bins_from_each_own_delivery() -> None:
    found = index(
        [
            (0, T0 - MS_PER_HOUR, 0), (0, T0 - 1, 0), (0, T0, 0), (0, T0 + MS_PER_HOUR, 0),
            (1, T0 + 5 * MS_PER_DAY, 0), (1, T0 + 5 * MS_PER_DAY - 1, 1),
        ]
    )  # fmt: skip
    bins = activity_around(
        found, sends([0, 1], [T0, T0 + 5 * MS_PER_DAY]), events=[0], hours_before=2, hours_after=2
    )
    assert bins["offset"].tolist() == [-2, -1, 0, 1]
    assert bins["n_events"].tolist() == [0, 2, 2, 1]
    assert bins["n_users"].tolist() == [2, 2, 2, 2]
    assert bins["rate"].tolist() == [0.0, 1.0, 1.0, 0.5]


def test_activity_around_adds_the_events_of_a_metric() -> None:
    found = index([(0, T0 + 1, 0), (0, T0 + 2, 1), (1, T0 + 3, 1)])
    bins = activity_around(found, sends([0], [T0]), events=[0, 1], hours_before=0, hours_after=1)
    assert bins["n_events"].tolist() == [2]


def test_activity_around_leaves_out_who_was_not_there_yet() -> None:
    found = index([(0, T0 - 1, 0), (1, T0 - 1, 0)])
    bins = activity_around(
        found,
        sends([0, 1], [T0, T0], signed_up=[NEVER, T0 - MS_PER_HOUR // 2]),
        events=[0],
        hours_before=1,
        hours_after=1,
    )
    assert bins["n_users"].tolist() == [1, 2]
    assert bins["n_events"].tolist() == [1, 0]


def test_activity_around_leaves_out_hours_that_have_not_passed() -> None:
    found = index([(0, T0, 0), (1, T0, 0)])
    bins = activity_around(
        found,
        sends([0, 1], [T0, T0 - MS_PER_HOUR], as_of=T0 + MS_PER_HOUR),
        events=[0],
        hours_before=0,
        hours_after=3,
    )
    assert bins["n_users"].tolist() == [2, 1, 0]
    assert bins["rate"].tolist()[:2] == [0.5, 1.0]
    assert np.isnan(bins["rate"].iloc[2])


def test_activity_around_counts_a_person_never_seen_as_zero() -> None:
    bins = activity_around(
        index([(0, T0, 0), (1, T0, 0)]),
        sends([-1], [T0]),
        events=[0],
        hours_before=1,
        hours_after=1,
    )
    assert (bins["n_users"].tolist(), bins["n_events"].tolist()) == ([1, 1], [0, 0])


def test_activity_around_of_nobody_is_missing() -> None:
    bins = activity_around(
        index([(0, T0, 0), (1, T0, 0)]), sends([], []), events=[0], hours_before=1, hours_after=1
    )
    assert bins["n_users"].tolist() == [0, 0]
    assert bins["rate"].isna().all()


def test_activity_around_equals_counting_one_by_one() -> None:
    rng = np.random.default_rng(7)
    rows = [
        (int(person), T0 + int(at), int(event))
        for person, at, event in zip(
            rng.integers(0, 2, 400),
            rng.integers(-5 * MS_PER_DAY, 5 * MS_PER_DAY, 400),
            rng.integers(0, 2, 400),
            strict=True,
        )
    ]
    pushes = sends([0, 1], [T0, T0 + MS_PER_DAY])
    bins = activity_around(
        index(rows), pushes, events=[1], bin_hours=6, hours_before=24, hours_after=48
    )
    slow = [
        sum(
            event == 1 and start <= at < start + 6 * MS_PER_HOUR
            for person, at, event in rows
            for push, delivered in ((0, T0), (1, T0 + MS_PER_DAY))
            if person == push
            for start in [delivered + offset * 6 * MS_PER_HOUR]
        )
        for offset in range(-4, 8)
    ]
    pd.testing.assert_series_equal(
        bins["n_events"], pd.Series(slow, name="n_events"), check_dtype=False
    )


def test_activity_around_a_broken_bin_raises() -> None:
    with pytest.raises(ValueError, match="whole bins"):
        activity_around(index([(0, T0, 0), (1, T0, 0)]), sends([0], [T0]), events=[0], bin_hours=5)
